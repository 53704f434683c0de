"""Move a baseline to another eval set, of the same model (``lynxgate baseline rotate``). Pure: bytes in, bytes out.

- The figures are those of the baseline's own model, measured on the new eval set: the bar stays, and only what it is
  measured with changes.
- A candidate that was evaluated on the new eval set as well is judged by the new baseline, so that both are in one
  pull request.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.compare import compare
from lynxgate.decision.groups import Groups
from lynxgate.decision.same_eval_set import check_same_eval_set, of_identity
from lynxgate.decision.verdict import Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure, UsageFailure
from lynxgate.rebaseline.move import Rebaselined, rebaseline
from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class Rotated:
    """The moved baseline, and what it says of the candidate, if one was given."""

    moved: Rebaselined
    verdict: Verdict | None


def rotate(
    data: bytes,
    champion: Evaluation,
    candidate: Evaluation | None = None,
    *,
    remove: Collection[str] = (),
    groups: Groups | None = None,
    where: str = "the baseline",
) -> Rotated:
    """Move the baseline to the eval set of ``champion``, an evaluation of the baseline's model.

    ``remove`` names the buckets that the new eval set does not have. ``groups`` are those of the new eval set.

    Raises:
        IntegrityFailure: ``champion`` is of another model than the baseline's, or ``candidate`` of another eval set.
        UsageFailure: ``champion`` is of the eval set that the baseline names, or ``remove`` names a bucket that stays.
        CannotJudge: the baseline names no model, a document contradicts itself, or the policy cannot be applied.
        Refused: a bucket would be removed that ``remove`` does not name.
    """
    baseline = parse_baseline(data, where=where)
    if baseline.source.canonical_sha is None:
        raise CannotJudge(f"{where}: source names no canonical_sha, so its model is not known; rebaseline first")
    if champion.candidate.canonical_sha != baseline.source.canonical_sha:
        raise IntegrityFailure(
            f"the evaluation is of {champion.candidate.canonical_sha or 'an unnamed bundle'}, and the baseline's model "
            f"is {baseline.source.canonical_sha}; evaluate that one on the new eval set"
        )
    if champion.eval_set.dvc_md5 == baseline.eval_set_dvc_hash:
        raise UsageFailure(
            "the evaluation is of the eval set that the baseline names; use lynxgate baseline rebaseline"
        )
    version = None if baseline.source.semver is None else str(baseline.source.semver)
    # The same model: no figure of it is a regression, so none has to be accepted.
    moved = rebaseline(data, champion, semver=version, remove=remove, is_promoted=True, groups=groups, where=where)
    if candidate is None:
        return Rotated(moved, None)
    check_same_eval_set(
        of_identity("the champion's evaluation", champion.eval_set),
        of_identity("the candidate's evaluation", candidate.eval_set),
        advice="evaluate both on the new eval set",
    )
    return Rotated(moved, compare(candidate, parse_baseline(moved.data, where=where), groups=groups))
