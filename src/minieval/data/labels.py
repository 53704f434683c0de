"""The labels of an eval set that a decision needs: which rows are in which bucket, and which belong together.

A gate holds these in memory, some tens of bytes a row; an evaluation does not need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from minieval.contract.report import EvalSetIdentity
from minieval.data.groups import name_groups
from minieval.data.stream import EvalSetStream, read_eval_set
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
    return read_eval_set(path, task, partial(_read, task=task))


def _read(stream: EvalSetStream, task: Task) -> Labels:
    roles, reader = stream.roles, BucketReader(task, stream.roles)
    ids: list[str] = []
    numbers: list[int] = []
    known: dict[str | int, int] = {}
    rows_of: list[list[int]] = []
    for batch in stream.batches(BATCH):
        every = range(batch.start, batch.start + len(batch.table))
        ids += [str(number + 1) for number in every] if roles.id is None else map(str, batch.values(roles.id))
        # A row without a group is a group of its own, known by its number.
        keys = (number if name is None else name for number, name in zip(every, name_groups(batch), strict=True))
        numbers += [known.setdefault(key, len(known)) for key in keys]
        rows, codes = reader.read(batch.table, batch.where)
        rows_of += [[] for _ in reader.names[len(rows_of) :]]
        order = np.argsort(codes, kind="stable")  # rows of one bucket stay in order
        found, starts = np.unique(codes[order], return_index=True)
        for code, part in zip(found.tolist(), np.split(rows[order] + batch.start, starts[1:]), strict=True):
            rows_of[code] += part.tolist()
    buckets = {name: tuple(found) for name, found in zip(reader.names, rows_of, strict=True)}
    return Labels(stream.identity, tuple(ids), tuple(numbers), buckets)
