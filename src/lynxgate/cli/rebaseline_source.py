"""Where ``baseline rebaseline`` takes its numbers from: a file, or the evidence of promoted versions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from lynxgate.errors import UsageFailure

if TYPE_CHECKING:
    from lynxgate.audit.promoted_evaluations import Promoted
    from lynxgate.decision.baseline import Baseline
    from minieval.contract.report import Evaluation


class Origin(StrEnum):
    """Which evidence in the registry: the version in production, one version, or the median of the last versions."""

    PRODUCTION = "production"
    TAGGED = "tagged"
    MEDIAN = "median"


@dataclass(frozen=True)
class RebaselineOptions:
    """The options of the command, as given."""

    evaluation: Path | None
    source: Origin | None
    semver: str | None
    last: int | None
    registry: str


@dataclass(frozen=True)
class Numbers:
    """What the baseline is updated to; ``notes`` are sentences for the person who updates it."""

    evaluation: Evaluation
    semver: str | None
    median_of: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_numbers(options: RebaselineOptions, baseline: bytes, *, where: str, default: Path) -> Numbers:
    """Return the numbers that the options name; ``default`` is the evaluation to read when they name none.

    Raises:
        UsageFailure: the options contradict each other.
        CannotJudge: there is no such version, there are too few versions, or they have no median.
        IntegrityFailure: the numbers were measured on another eval set, or the registry contradicts itself.
        Refused: the version's bundle is tombstoned, or the registry is that of another model.
    """
    from lynxgate.decision.baseline import parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from minieval.contract.documents import read_document
    from minieval.contract.report import Evaluation

    _check_options(options)
    if options.source is None:
        measured = read_document(options.evaluation or default, Evaluation, missing=EVALUATE_IT)
        return Numbers(measured, options.semver, notes=_check_version(options.semver))

    from lynxgate.audit.promoted_evaluations import read_last_promoted, read_promoted
    from lynxgate.registry.layout import check_model, read_mark
    from lynxgate.wiring import open_existing_store

    agreed, store = parse_baseline(baseline, where=where), open_existing_store(options.registry)
    mark = read_mark(store)
    if mark is not None:
        check_model(mark, agreed.model, store.location)  # another model's figures are no baseline of this one
    if options.source is not Origin.MEDIAN:
        found = read_promoted(store, options.semver)
        _check_eval_set(agreed, found)
        return Numbers(found.evaluation, found.semver)
    # `_check_options` has made sure that --last is given.
    versions = read_last_promoted(store, options.last or 0)
    for each in versions:
        _check_eval_set(agreed, each)
    return _take_median(versions, agreed)


def _check_version(semver: str | None) -> tuple[str, ...]:
    # A file names no version, so a `--semver` beside it is a claim of the person who types it.
    if semver is None:
        return ()
    return (f"that this is {semver} was not checked; --from tagged --semver {semver} takes a promoted version",)


def _take_median(versions: tuple[Promoted, ...], agreed: Baseline) -> Numbers:
    from lynxgate.rebaseline.median import take_median

    # A median is of no single model, so there are no examples to pair with a candidate's.
    note = (
        f"a median has no outcomes of single examples, so rule {agreed.policy.rule} compares as if the examples "
        "differed, and detects less; the rows of a verdict state this"
    )
    return Numbers(
        take_median([each.evaluation for each in versions]),
        None,
        tuple(each.semver for each in versions),
        (note,) if agreed.policy.rule.asks_proof else (),
    )


def _check_options(options: RebaselineOptions) -> None:
    if options.evaluation is not None and options.source is not None:
        raise UsageFailure("--evaluation and --from both name the source of the numbers; use one of them")
    if (options.last is not None) != (options.source is Origin.MEDIAN):
        raise UsageFailure("use --from median and --last N (the number of promoted versions) together")
    if options.source is Origin.TAGGED and options.semver is None:
        raise UsageFailure("--from tagged needs --semver, the promoted version")
    if options.source in (Origin.PRODUCTION, Origin.MEDIAN) and options.semver is not None:
        raise UsageFailure(
            f"--from {options.source} finds the version itself; to choose a version, use --from tagged --semver"
        )


def _check_eval_set(agreed: Baseline, found: Promoted) -> None:
    from lynxgate.decision.same_eval_set import check_same_eval_set, of_baseline, of_identity
    from lynxgate.decision.same_task import check_same_task

    evaluate_it = (
        f"(lynxgate fetch --semver {found.semver}; python -m minieval), then rebaseline from that --evaluation"
    )
    check_same_eval_set(
        of_identity(found.semver, found.evaluation.eval_set),
        of_baseline(agreed),
        advice=f"evaluate {found.semver} on the baseline's eval set {evaluate_it}",
    )
    # A placeholder for the digest names no task yet; the figures that are taken over then name it.
    if agreed.task is None or agreed.task.identity is not None:
        check_same_task(
            (found.semver, found.evaluation.task),
            ("the baseline", None if agreed.task is None else agreed.task.identity),
            advice=f"evaluate {found.semver} with the baseline's task {evaluate_it}",
        )
