"""Where ``baseline rebaseline`` takes its numbers from: a file, or the evidence of promoted versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lynxgate.errors import IntegrityFailure, UsageFailure

if TYPE_CHECKING:
    from lynxgate.audit.promoted_evaluations import Promoted
    from lynxgate.cli.decision import Origin
    from lynxgate.decision.baseline import Baseline
    from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class RebaselineOptions:
    """The options, as they were given."""

    evaluation: Path | None
    source: Origin | None
    semver: str | None
    last: int | None
    registry: str


@dataclass(frozen=True)
class Numbers:
    """What the baseline is moved to; ``notes`` are for whoever moves it."""

    evaluation: Evaluation
    semver: str | None
    median_of: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def bring_numbers(asked: RebaselineOptions, baseline: bytes, *, where: str, default: Path) -> Numbers:
    """The numbers that were asked for; ``default`` is the file where nothing else is named.

    Raises:
        UsageFailure: the options contradict each other.
        CannotJudge: no such version, too few of them, or they have no median.
        IntegrityFailure: it was measured on another eval set than the baseline, or the registry contradicts itself.
        Refused: the version's bundle is tombstoned.
    """
    from lynxgate.decision.baseline import parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from minieval.contract.documents import read_document
    from minieval.contract.report import Evaluation

    _check_options(asked)
    if asked.source is None:
        measured = read_document(asked.evaluation or default, Evaluation, missing=EVALUATE_IT)
        return Numbers(measured, asked.semver)

    from lynxgate.audit.promoted_evaluations import read_last_promoted, read_promoted
    from lynxgate.wiring import open_existing_store

    agreed, store = parse_baseline(baseline, where=where), open_existing_store(asked.registry)
    if asked.source != "median":
        found = read_promoted(store, asked.semver)
        _check_eval_set(agreed, found)
        return Numbers(found.evaluation, found.semver)
    versions = read_last_promoted(store, asked.last or 0)
    for each in versions:
        _check_eval_set(agreed, each)
    return _take_median(versions, agreed)


def _take_median(versions: tuple[Promoted, ...], agreed: Baseline) -> Numbers:
    from lynxgate.rebaseline.median import take_median

    note = (
        f"a median has no outcomes, so that rule {agreed.policy.rule} compares as if on different examples, and proves "
        "less; the rows say so"
    )
    return Numbers(
        take_median([each.evaluation for each in versions]),
        None,
        tuple(each.semver for each in versions),
        (note,) if agreed.policy.rule.asks_proof else (),
    )


def _check_options(asked: RebaselineOptions) -> None:
    if asked.evaluation is not None and asked.source is not None:
        raise UsageFailure("--evaluation and --from both say where the numbers come from; name one")
    if (asked.last is not None) != (asked.source == "median"):
        raise UsageFailure("--from median and --last N (how many promoted versions) belong together")
    if asked.source == "tagged" and asked.semver is None:
        raise UsageFailure("--from tagged needs --semver, the promoted version")
    if asked.source in ("production", "median") and asked.semver is not None:
        raise UsageFailure(f"--from {asked.source} finds the version itself; for one of your own: --from tagged")


def _check_eval_set(agreed: Baseline, found: Promoted) -> None:
    named = found.evaluation.eval_set
    for kind, now, then in (
        ("DVC md5", agreed.eval_set_dvc_hash, named.dvc_md5),
        ("SHA-256", agreed.eval_set_sha256, named.sha256),
    ):
        if now is not None and then is not None and now != then:
            raise IntegrityFailure(
                f"{found.semver} was measured on {kind} {then}, and the baseline's eval set is {now}; evaluate "
                f"{found.semver} on it (lynxgate fetch --semver {found.semver}; python -m minieval), then rebaseline "
                "from that --evaluation"
            )
