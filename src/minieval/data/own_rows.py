"""Read rows that a command of one's own wrote: `id` and `score` of each row, and perhaps `trial` and `answer`.

- The form is that of `minieval.data.kept_rows`; columns beyond these four are not read, and the order of lines is free.
- The file is hostile: what it declares is bounded before it is read, and every row of the eval set is there once for
  each trial.
- Right or wrong and graded scores are told apart by the task, and not by the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.data.batch import Batch
from minieval.data.files import open_data
from minieval.data.kept_rows_reader import LINES_AT_ONCE, as_parquet, open_bounded, refuse_long

NEEDED: Final = ("id", "score")
OPTIONAL: Final = ("trial", "answer")
SHOWN: Final = "the rows of the task's command"

Scores = npt.NDArray[np.float64]


class OwnRows:
    """The scores and answers of each row, by its id; ``used`` is the number of rows that were looked up."""

    def __init__(self, slots: dict[str, int], scores: Scores, lines: npt.NDArray[np.int64], answers: list[str]) -> None:
        self._slots, self._scores, self._lines, self._answers = slots, scores, lines, answers
        self.used = 0

    @property
    def unused(self) -> int:
        """Return the number of rows that the file has and no batch had."""
        return len(self._slots) - self.used

    def find(self, batch: Batch) -> tuple[Scores, list[list[Json]]]:
        """Return the scores (a row of the array for each row, a column for each trial) and the answers of each trial.

        Raises:
            CannotJudge: a row of the batch has no score, or an answer is not JSON text; the message names the row.
        """
        start = batch.start + 1
        numbers = range(start, start + len(batch.table))
        ids = [str(each) for each in (numbers if batch.roles.id is None else batch.values(batch.roles.id))]
        for index, name in enumerate(ids):
            if name not in self._slots:
                raise CannotJudge(f"{batch.where(index)}: {SHOWN} have no line for the id {name[:80]!r}")
        self.used += len(ids)
        places = [self._slots[name] for name in ids]
        trials = range(self._scores.shape[1])
        answers = [[self._read(int(self._lines[place, trial])) for place in places] for trial in trials]
        return self._scores[places], answers

    def _read(self, line: int) -> Json:
        if not self._answers:
            return None
        return parse_json(self._answers[line].encode(), where=f"{SHOWN}, line {line + 1}, answer", floats=True)


def read_own_rows(path: Path, *, trials: int, graded: bool) -> OwnRows:
    """Read rows with ``trials`` lines for each id; without ``graded``, scores are 0 or 1.

    Raises:
        CannotJudge: the file is no Parquet, declares too much, lacks a column, or holds a score that is none, or an id
            and trial twice or not at all.
    """
    with open_data(path) as file:
        opened = open_bounded(file, Path(SHOWN))
        names = opened.schema_arrow.names
        if missing := [name for name in NEEDED if name not in names]:
            raise CannotJudge(
                f"{SHOWN} have no column {missing[0]!r}; write id and score, and perhaps trial and answer"
            )
        columns = [name for name in (*NEEDED, *OPTIONAL) if name in names]
        ids: list[str] = []
        numbers: list[int] = []
        scores: list[float] = []
        answers: list[str] = []
        with as_parquet(Path(SHOWN)):
            for batch in opened.iter_batches(batch_size=LINES_AT_ONCE, columns=columns):
                batch.validate(full=True)
                refuse_long(batch, Path(SHOWN))
                ids += _cells(batch, "id", pa.string())
                scores += _cells(batch, "score", pa.float64())
                numbers += _cells(batch, "trial", pa.int64()) if "trial" in columns else [1] * len(batch)
                answers += _cells(batch, "answer", pa.string()) if "answer" in columns else []
    return _arrange(ids, numbers, scores, answers, trials=trials, graded=graded)


def _cells(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> list[Json]:
    column = batch.column(name)
    if column.null_count:
        raise CannotJudge(f"{SHOWN} have a line without {name}")
    if isinstance(column, pa.DictionaryArray):  # a long text that each line repeats is held once
        values = _cast(column.dictionary, name, kind)
        return [values[index] for index in column.indices.to_pylist()]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return _cast(column, name, kind)


def _cast(column: pa.Array, name: str, kind: pa.DataType) -> list[Json]:
    try:
        cells: list[Json] = column.cast(kind).to_pylist()
    except pa.ArrowException as error:
        raise CannotJudge(f"{SHOWN}: the column {name!r} is {column.type}, which is no {kind}") from error
    return cells


def _arrange(
    ids: Sequence[str],
    numbers: Sequence[int],
    scores: Sequence[float],
    answers: list[str],
    *,
    trials: int,
    graded: bool,
) -> OwnRows:
    slots: dict[str, int] = {}
    for name in ids:
        slots.setdefault(name, len(slots))
    if not slots:
        raise CannotJudge(f"{SHOWN} are empty; write a line for each row")
    arranged = np.full((len(slots), trials), np.nan)
    lines = np.zeros((len(slots), trials), np.int64)
    for line, (name, trial, score) in enumerate(zip(ids, numbers, scores, strict=True)):
        place = slots[name]
        if not 1 <= trial <= trials:
            raise CannotJudge(f"{SHOWN}: trial {trial} of the id {name[:80]!r}; the task has trials 1 to {trials}")
        if not np.isnan(arranged[place, trial - 1]):
            raise CannotJudge(f"{SHOWN}: the id {name[:80]!r} has trial {trial} twice; write each once")
        if not 0 <= score <= 1 or (not graded and score not in (0, 1)):
            allowed = "a number from 0 to 1" if graded else "0 or 1 (or set graded = true in [evaluator])"
            raise CannotJudge(f"{SHOWN}: the id {name[:80]!r} has the score {score:g}; a score is {allowed}")
        arranged[place, trial - 1], lines[place, trial - 1] = score, line
    if np.isnan(arranged).any():
        place, trial = np.argwhere(np.isnan(arranged))[0].tolist()
        raise CannotJudge(f"{SHOWN}: the id {list(slots)[place][:80]!r} has no line for trial {trial + 1}")
    return OwnRows(slots, arranged, lines, answers)
