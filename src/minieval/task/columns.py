"""What each column of an eval set is for: the id, a label, a bucket, a feature. Pure.

- The id is never a feature, and neither is a label: what a candidate receives are the features alone.
- Without a task file, a column whose name looks like a misspelt label is refused: it would be a feature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from minieval.contract.exits import CannotJudge
from minieval.task.document import CONVENTIONS, Task

NEARLY_LABELS = frozenset({"accept", "answers", "bucket", "groups", "ids", "label", "labels"})
LABELS = ("id", "expected", "accepted", "buckets", "group")  # of the conventions


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of an eval set by what they are for.

    Without an ``id``, the number of a row, from 1, is its id. ``features`` are in the order of the task file, else of
    the eval set. ``lists`` hold names of buckets, and ``columns`` are those whose values make buckets.
    """

    expected: str
    id: str | None
    accepted: str | None
    group: str | None
    lists: tuple[str, ...]
    columns: tuple[str, ...]
    features: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Return every column that has a role, once."""
        labels = (name for name in (self.id, self.expected, self.accepted, self.group) if name is not None)
        return tuple(dict.fromkeys((*labels, *self.lists, *self.columns, *self.features)))


def assign_roles(task: Task, names: Sequence[str], *, where: str) -> Roles:
    """Return what each column of an eval set is for; ``names`` are its columns in order, and ``where`` names it.

    Raises:
        CannotJudge: a column that the task names is missing, a label is named as a feature, or there is no feature.
    """
    by_convention = task is CONVENTIONS
    if by_convention:
        _refuse_nearly_labels(names, where)
    optional = {"accepted", "group"} if by_convention else set()
    labels = {
        role: name
        for role in ("id", "expected", "accepted", "group")
        if (name := getattr(task, role)) is not None and not (role in optional and name not in names)
    }
    for role, name in labels.items():
        if other := next((each for each, taken in labels.items() if taken == name and each != role), None):
            raise CannotJudge(f"{where}: the column {name[:80]!r} is `{role}` and `{other}`; name another for one")
    columns = tuple(name for name in task.buckets.named if name not in task.buckets.lists)
    named = {*labels.values(), *task.buckets.named}
    hidden = {labels.get("id"), labels["expected"], labels.get("accepted"), *task.buckets.lists}
    if task.features is None:
        features = [name for name in names if name not in named]
    else:
        features = _expand(task.features, [name for name in names if name not in hidden])
    wanted = (*labels.values(), *task.buckets.named, *features, *task.files.columns, *task.types)
    known = set(names)
    if absent := [name for name in wanted if name not in known]:
        raise CannotJudge(f"{where}: no column {absent[0][:80]!r}; it has {list_names(names)}")
    if shown := [name for name in features if name in hidden]:
        raise CannotJudge(f"{where}: the column {shown[0][:80]!r} is an id or a label; take it out of `features`")
    if not features:
        raise CannotJudge(f"{where}: no features; add what the model reads, such as `prompt`")
    if stray := [name for name in task.files.columns if name not in features]:
        raise CannotJudge(f"{where}: the column {stray[0][:80]!r} names files and is no feature; add it to `features`")
    return Roles(
        expected=labels["expected"],
        id=labels.get("id"),
        accepted=labels.get("accepted"),
        group=labels.get("group"),
        lists=task.buckets.lists,
        columns=columns,
        features=tuple(features),
        files=task.files.columns,
    )


def _expand(features: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the features by name: ``*`` in one stands for any characters, and is never an id or a label."""
    found: list[str] = []
    for feature in features:
        pattern = re.compile(".*".join(map(re.escape, feature.split("*"))), re.DOTALL)
        found += [name for name in names if pattern.fullmatch(name)] if "*" in feature else [feature]
    return list(dict.fromkeys(found))


def list_names(names: Sequence[str]) -> str:
    """Return the first ten names in alphabetical order, for a message."""
    return ", ".join(sorted(name[:80] for name in names)[:10]) or "(none)"


def _refuse_nearly_labels(names: Sequence[str], where: str) -> None:
    for name in names:
        plain = name.strip().casefold()
        if name not in LABELS and (plain in NEARLY_LABELS or plain in LABELS):
            raise CannotJudge(
                f"{where}: the key {name[:80]!r} looks like a label, and the model would see it; rename or remove it"
            )
