"""Make a verdict from two documents: the one function that command, script and promotion call.

- `decide_bytes` takes a decision, by the newest rules. `decide_bytes_again` repeats one that was taken before.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from lynxgate.decision.agreed_task import read_agreed_groups
from lynxgate.decision.baseline import CREATE_IT, Baseline, parse_baseline
from lynxgate.decision.compare import compare, compare_again
from lynxgate.decision.groups import Groups
from lynxgate.decision.verdict import RULE_VERSION, Inputs, RuleVersion, Verdict
from lynxgate.errors import UsageFailure
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document, read_bytes
from minieval.contract.report import Evaluation

EVALUATE_IT = "evaluate a candidate first: python -m minieval --bundle ./candidate/ --eval-set ... --output ..."
_LONGEST = 24  # characters: more digits than any tolerance needs, and few enough to be exact in a Decimal
_TOLERANCE = re.compile(r"[0-9]+(\.[0-9]{1,18})?")


def decide(
    candidate: Path, baseline: Path, tolerance_pp: Decimal | None = None, eval_set: Path | None = None
) -> Verdict:
    """Read both documents and compare them; ``tolerance_pp`` is that of `lynxgate.decision.compare.compare`.

    ``eval_set`` is the path of the eval set; if it is given, its groups are respected.

    Raises:
        CannotJudge, IntegrityFailure, Refused: as `decide_bytes`, or a document is missing.
    """
    agreed = read_bytes(baseline, missing=CREATE_IT)
    measured = read_bytes(candidate, missing=EVALUATE_IT)
    groups = None if eval_set is None else read_agreed_groups(eval_set, agreed, baseline.parent, where=str(baseline))
    verdict, _, _ = decide_bytes(measured, agreed, tolerance_pp, groups=groups, names=(str(candidate), str(baseline)))
    return verdict


def decide_bytes(
    evaluation: bytes,
    baseline: bytes,
    tolerance_pp: Decimal | None = None,
    *,
    groups: Groups | None = None,
    names: tuple[str, str] = ("the evaluation", "the baseline"),
) -> tuple[Verdict, Evaluation, Baseline]:
    """Judge the exact bytes of two documents, with the groups of their eval set; messages use ``names`` for the two.

    Raises:
        CannotJudge: one of them is not a valid document or contradicts itself, or the policy cannot be applied.
        IntegrityFailure: they were measured on different eval sets or by different tasks, or the groups are of
            another eval set.
        Refused: ``tolerance_pp`` would loosen an active policy.
    """
    measured, agreed, inputs = _parse(evaluation, baseline, names)
    verdict = compare(measured, agreed, inputs=inputs, tolerance_pp=tolerance_pp, groups=groups)
    return verdict, measured, agreed


def decide_bytes_again(
    evaluation: bytes,
    baseline: bytes,
    tolerance_pp: Decimal | None = None,
    *,
    groups: Groups | None = None,
    version: RuleVersion = RULE_VERSION,
) -> tuple[Verdict, Evaluation, Baseline]:
    """Judge two documents on which a decision was taken before (`lynxgate.decision.compare.compare_again`).

    ``version`` is that of the rules by which it was taken.

    Raises:
        CannotJudge, IntegrityFailure, Refused: as `decide_bytes`.
    """
    measured, agreed, inputs = _parse(evaluation, baseline, ("the evaluation", "the baseline"))
    verdict = compare_again(measured, agreed, inputs=inputs, tolerance_pp=tolerance_pp, groups=groups, version=version)
    return verdict, measured, agreed


def _parse(evaluation: bytes, baseline: bytes, names: tuple[str, str]) -> tuple[Evaluation, Baseline, Inputs]:
    agreed = parse_baseline(baseline, where=names[1])
    measured = parse_document(evaluation, Evaluation, where=names[0])
    inputs = Inputs(
        evaluation_sha256=digest_bytes(evaluation),
        baseline_sha256=digest_bytes(baseline),
        eval_set_dvc_md5=measured.eval_set.dvc_md5,
        eval_set_sha256=measured.eval_set.sha256,
        task_sha256=None if measured.task is None else measured.task.sha256,
    )
    return measured, agreed, inputs


def parse_tolerance(text: str) -> Decimal:
    """Parse a tolerance written as a fraction (``0.02``) and return it in percentage points (2).

    Raises:
        UsageFailure: the text is not a plain decimal between 0 and 1.
    """
    if len(text) <= _LONGEST and _TOLERANCE.fullmatch(text) and Decimal(text) <= 1:
        return Decimal(text) * 100
    raise UsageFailure(f"{text[:40]!r} is not a tolerance: write a fraction between 0 and 1, as 0.02 for 2 pp")
