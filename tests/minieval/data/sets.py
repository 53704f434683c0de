"""Eval sets for the tests of the readers, and what a stream gives of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minieval.data.schema import Kind
from minieval.data.stream import EvalSetStream, WiderSchema, open_eval_set
from minieval.task.document import CONVENTIONS, Task, parse_task

BY_COLUMN = parse_task(
    b'schema = "minieval.task/1"\nid = "id"\nexpected = "label"\n[buckets]\ncolumns = ["region"]\n', where="task.toml"
)


@dataclass(frozen=True)
class Given:
    """All rows of a stream as Python values, the kinds of its columns, and the stream after its pass."""

    rows: list[dict[str, Any]]
    kinds: dict[str, Kind]
    sizes: list[int]
    places: list[str]
    stream: EvalSetStream


def read_all(path: Path, task: Task = CONVENTIONS, *, size: int = 1000) -> Given:
    """Read a whole eval set in batches of ``size``, widened where that is needed."""
    stream = open_eval_set(path, task)
    try:
        batches = list(stream.batches(size))
    except WiderSchema:
        stream = stream.widen()
        batches = list(stream.batches(size))
    names = [column.name for column in stream.schema]
    rows = [
        dict(zip(names, cells, strict=True))
        for batch in batches
        for cells in zip(*(batch.values(name) for name in names), strict=True)
    ]
    places = [batch.where(index) for batch in batches for index in range(len(batch.table))]
    kinds = {column.name: column.kind for column in stream.schema}
    return Given(rows, kinds, [len(batch.table) for batch in batches], places, stream)
