"""The labels of an eval set that a decision needs: which rows are in which bucket, and which belong together.

A gate holds these in memory, some tens of bytes a row; an evaluation does not need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minieval.contract.report import EvalSetIdentity
from minieval.data.chunks import WiderSchema
from minieval.data.stream import EvalSetStream, open_eval_set
from minieval.task.buckets import BucketReader
from minieval.task.document import CONVENTIONS, Task

BATCH = 8192


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of every row, in the order of the eval set.

    ``groups`` has the number of each row's group, from 0 in order of appearance; a row without a group has its own.
    ``buckets`` has the numbers of the rows of each bucket, from 0, ascending; buckets are in order of appearance.
    """

    identity: EvalSetIdentity
    ids: tuple[str, ...]
    groups: tuple[int, ...]
    buckets: Mapping[str, tuple[int, ...]]

    @property
    def has_groups(self) -> bool:
        """Whether two rows share a group."""
        return len(set(self.groups)) < len(self.groups)


def read_labels(path: Path, task: Task = CONVENTIONS) -> Labels:
    """Read the labels of an eval set.

    Raises:
        CannotJudge, IntegrityFailure: as `minieval.data.stream.EvalSetStream.batches`.
    """
    stream = open_eval_set(path, task)
    try:
        return _read(stream, task)
    except WiderSchema:
        return _read(stream.widen(), task)


def _read(stream: EvalSetStream, task: Task) -> Labels:
    roles, reader = stream.roles, BucketReader(task, stream.roles)
    ids: list[str] = []
    numbers: list[int] = []
    known: dict[object, int] = {}
    rows_of: list[list[int]] = []
    for batch in stream.batches(BATCH):
        every = range(batch.start, batch.start + len(batch.table))
        ids += [str(number + 1) for number in every] if roles.id is None else map(str, batch.values(roles.id))
        groups = [None] * len(every) if roles.group is None else batch.values(roles.group)
        for number, group in zip(every, groups, strict=True):
            key = ("row", number) if group is None else ("group", group)
            numbers.append(known.setdefault(key, len(known)))
        rows, codes = reader.read(batch.table, batch.where)
        rows_of += [[] for _ in reader.names[len(rows_of) :]]
        for code in np.unique(codes).tolist():
            rows_of[code] += (rows[codes == code] + batch.start).tolist()
    buckets = {name: tuple(found) for name, found in zip(reader.names, rows_of, strict=True)}
    return Labels(stream.identity, tuple(ids), tuple(numbers), buckets)
