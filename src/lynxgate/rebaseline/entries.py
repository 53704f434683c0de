"""The entries of a baseline's JSON objects: what a measured figure is written as, and how one object becomes another.

- An entry whose value is `None` is left out of a new object, and removed from an old one.
"""

from __future__ import annotations

from decimal import Decimal

from lynxgate.decision.baseline import PLACEHOLDERS
from lynxgate.jsonedit import REMOVED, Path
from minieval.contract.documents import Json
from minieval.contract.report import Measured

Entries = dict[str, Json]


def present_entries(entries: Entries) -> Entries:
    """Return the entries that have a value."""
    return {key: value for key, value in entries.items() if value is not None}


def figure_entries(side: Measured) -> Entries:
    """Return the entries of a bucket; its accuracy, where only counts are given, with four decimals."""
    accuracy = side.accuracy
    if accuracy is None and side.correct is not None and side.n is not None:
        accuracy = round(Decimal(side.correct) / side.n, 4)
    return {"n": side.n, "correct": side.correct, "accuracy": accuracy, "outcomes": side.outcomes}


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
