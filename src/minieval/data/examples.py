"""Read a few rows of an eval set: the features that a model gets of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from minieval.contract.documents import Json
from minieval.data.labels import BATCH
from minieval.data.stream import EvalSetStream, read_eval_set
from minieval.task.document import CONVENTIONS, Task


def read_inputs(path: Path, rows: frozenset[int], task: Task = CONVENTIONS) -> Mapping[int, Mapping[str, Json]]:
    """Return the features of ``rows`` (numbered from 1), by row; a row that the eval set does not have is left out.

    Raises:
        CannotJudge, IntegrityFailure: as `minieval.data.stream.EvalSetStream.batches`.
    """
    return read_eval_set(path, task, partial(_read, rows=rows))


def _read(stream: EvalSetStream, rows: frozenset[int]) -> dict[int, Mapping[str, Json]]:
    found: dict[int, Mapping[str, Json]] = {}
    for batch in stream.batches(BATCH):
        first = batch.start + 1
        if not any(first <= row < first + len(batch.table) for row in rows):
            continue
        for number, features in enumerate(batch.list_features(), first):
            if number in rows:
                found[number] = features
    return found
