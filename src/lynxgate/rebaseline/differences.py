"""What differs between two baselines, figure by figure, as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import BaselineMetric
from lynxgate.figures import format_change, format_percent, format_points
from lynxgate.jsonedit import Path
from lynxgate.rebaseline.metrics import ENVIRONMENT, describe_metric
from minieval.contract.report import Measured, Scale

ABSENT = "none"


@dataclass(frozen=True)
class Move:
    """One thing that changes: its path in the document, its old and new text, and for figures the difference."""

    place: Path
    before: str
    after: str
    difference: str = ""


def find_moves(before: Baseline, after: Baseline) -> Iterator[Move]:
    """Return each difference: eval set, task, source, aggregate, buckets, metrics, then the environment."""
    for key in ("eval_set", "eval_set_dvc_hash", "eval_set_sha256"):
        yield from _move((key,), getattr(before, key), getattr(after, key))
    for key in ("path", "sha256"):
        old_task, new_task = (None if task is None else getattr(task, key) for task in (before.task, after.task))
        yield from _move(("task", key), old_task, new_task)
    for key in ("canonical_sha", "semver", "mlflow_run_id"):
        yield from _move(("source", key), getattr(before.source, key), getattr(after.source, key))
    # As one text each, so that a changed list is one difference.
    old, new = (", ".join(each.source.median_of or ()) for each in (before, after))
    yield from _move(("source", "median_of"), old, new)
    yield from _move_figures(("aggregate",), before.aggregate, after.aggregate)
    for name in sorted(before.buckets.keys() | after.buckets.keys()):
        yield from _move_figures(("buckets", name), before.buckets.get(name), after.buckets.get(name))
    for name in sorted(before.metrics):
        yield from _move_metric(("metrics", name), before.metrics[name], after.metrics.get(name))
    for key in ENVIRONMENT:
        yield from _move(("environment", key), getattr(before.environment, key), getattr(after.environment, key))


def _move(place: Path, before: str | None, after: str | None) -> Iterator[Move]:
    if before != after:
        yield Move(place, before or ABSENT, after or ABSENT)


def _move_figures(place: Path, before: Measured | None, after: Measured | None) -> Iterator[Move]:
    if before == after:
        return
    old, new = (None if side is None else side.share for side in (before, after))
    difference = "" if old is None or new is None else f"{format_points((new - old) * 100)} pp"
    yield Move(place, _show(before), _show(after), difference)


def _move_metric(place: Path, before: BaselineMetric, after: BaselineMetric | None) -> Iterator[Move]:
    if before == after:
        return
    change = ""
    if after is not None and before.value is not None and after.value is not None:
        change = format_change(Fraction(after.value) - Fraction(before.value))
    yield Move(place, describe_metric(before, ABSENT), describe_metric(after, ABSENT), change)


def _show(side: Measured | None) -> str:
    if side is None:
        return ABSENT
    if side.share is None:
        return "placeholder"
    counted = side.scale is not Scale.GRADED and side.correct is not None
    return (f"{side.correct}/{side.reachable} = " if counted else "") + format_percent(side.share)
