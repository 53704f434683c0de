"""The entries of a baseline's JSON objects: what a measured figure is written as, and how one object becomes another.

- An entry whose value is `None` is left out of a new object, and removed from an old one.
"""

from __future__ import annotations

from decimal import Decimal

from lynxgate.decision.baseline import PLACEHOLDERS
from lynxgate.jsonedit import REMOVED, Path
from minieval.contract.documents import Json
from minieval.contract.report import Measured, Scale, TaskIdentity

Entries = dict[str, Json]


def present_entries(entries: Entries) -> Entries:
    """Return the entries that have a value."""
    return {key: value for key, value in entries.items() if value is not None}


def figure_entries(side: Measured) -> Entries:
    """Return the entries of a bucket; its accuracy or mean, where only counts are given, with four decimals."""
    accuracy, mean = side.accuracy, side.mean
    if side.counted is not None:
        rounded = round(Decimal(side.counted.numerator) / side.counted.denominator, 4)
        if side.scale is Scale.GRADED:
            mean = rounded if mean is None else mean
        else:
            accuracy = rounded if accuracy is None else accuracy
    right_or_wrong = {"correct": side.correct, "accuracy": accuracy, "outcomes": side.outcomes, "counts": side.counts}
    graded = {"points": side.points, "mean": mean, "scores": side.scores}
    return {"n": side.n, "trials": side.trials, **right_or_wrong, **graded}


def task_entries(task: TaskIdentity | None) -> Entries:
    """Return the entries of the object that names a task file."""
    return {} if task is None else {"path": task.path, "sha256": task.sha256}


def changed_entries(path: Path, old: Json, new: Entries) -> dict[Path, Json]:
    """Return the edits that turn the object ``old`` at ``path`` into one with the entries ``new``."""
    if not isinstance(old, dict):
        present = present_entries(new)
        return {path: present} if present else {}
    changes: dict[Path, Json] = {}
    for key, value in new.items():
        if value is not None and (key not in old or old[key] != value):
            changes[*path, key] = value
        elif value is None and old.get(key) not in PLACEHOLDERS:
            # A placeholder is not removed: it marks a figure that is not known yet, and there is still none.
            changes[*path, key] = REMOVED
    return changes
