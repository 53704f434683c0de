"""An eval set as a stream of batches: one pass from the first row to the last, and what is known after it.

- Batches begin at fixed multiples of their size, whatever the chunks of the reader.
- While the rows pass, their ids are checked to be unique, groups are counted, features are compared with the answers,
  and the files are hashed. No row is kept.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from minieval.contract.documents import Json
from minieval.contract.evalset import find_files, identify
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.report import EvalSetIdentity
from minieval.data.batch import Batch, list_values
from minieval.data.chunks import Chunk, Reader, WiderSchema
from minieval.data.csv import CsvReader
from minieval.data.distinct import Hashes
from minieval.data.files import Reads, list_data_files
from minieval.data.groups import name_groups
from minieval.data.jsonl import JsonlReader
from minieval.data.label_checks import check_kinds, check_labels
from minieval.data.leaks import AnswerMatches
from minieval.data.named_files import NamedFiles
from minieval.data.parquet import ParquetReader
from minieval.data.schema import Kind, Schema
from minieval.task.columns import Roles
from minieval.task.document import Task

__all__ = ["EvalSetStream", "WiderSchema", "open_eval_set", "read_eval_set"]

T = TypeVar("T")

LONGEST_ID = 1000


def read_eval_set(path: Path, task: Task, read: Callable[[EvalSetStream], T]) -> T:
    """Open the eval set at ``path``, and return what ``read`` makes of its stream.

    ``read`` is called once more, under a wider schema, where a later chunk has values that the first does not announce.

    Raises:
        CannotJudge, IntegrityFailure: as `open_eval_set` and `EvalSetStream.batches`.
    """
    stream = open_eval_set(path, task)
    try:
        return read(stream)
    except WiderSchema:
        return read(stream.widen())


def open_eval_set(path: Path, task: Task) -> EvalSetStream:
    """Open an eval set: JSONL, CSV or Parquet, one file or a folder of files in path order.

    Raises:
        CannotJudge: it is missing or empty, the task does not fit its columns, or its first rows are invalid.
        IntegrityFailure: the folder holds a link or a special file.
    """
    suffix, files = list_data_files(path)
    reads, where = Reads(), str(path)
    reader: Reader
    if suffix == ".csv":
        reader = CsvReader(files, task, reads, where=where)
    elif suffix == ".parquet":
        reader = ParquetReader(files, task, reads, where=where)
    else:
        reader = JsonlReader.open(files, task, reads, where=where)
    if task.files.columns and not path.is_dir():
        raise CannotJudge(f"{path}: rows that name files need a folder as their eval set; put both into one")
    return EvalSetStream(path, reader, reads)


class EvalSetStream:
    """An eval set, to be read from its first row to its last.

    ``identity``, ``leaks`` and ``suspects`` are known after a complete pass; ``reads`` counts what was read and held.
    """

    def __init__(self, path: Path, reader: Reader, reads: Reads) -> None:
        self._path, self._reader, self.reads = path, reader, reads
        self._wider: Reader | None = None
        self._identity: EvalSetIdentity | None = None
        self._matches = AnswerMatches()
        check_kinds(reader.schema, reader.roles, where=str(path))

    @property
    def roles(self) -> Roles:
        """Return what each column is for."""
        return self._reader.roles

    @property
    def schema(self) -> Schema:
        """Return the columns, each of one kind over the whole set."""
        return self._reader.schema

    @property
    def identity(self) -> EvalSetIdentity:
        """Return the hashes of the bytes that were read, and the numbers of rows and groups.

        Raises:
            ValueError: the set was not read to its end.
        """
        if self._identity is None:
            raise ValueError("the eval set was not read to its end")
        return self._identity

    @property
    def leaks(self) -> tuple[str, ...]:
        """Return the features that are a right answer in every row."""
        return self._matches.leaks

    @property
    def suspects(self) -> tuple[tuple[str, int], ...]:
        """Return the features that are a right answer in nearly all rows, with the number of rows."""
        return self._matches.suspects

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all rows in batches of ``size`` (the last one may be smaller), in order.

        Raises:
            CannotJudge: a row is invalid, or an id is there twice; the message names the place.
            IntegrityFailure: a file changed while it was read.
            WiderSchema: a later chunk has values that the schema does not hold; read the stream of `widen` instead.
        """
        ids, groups, rows, ungrouped = Hashes(), Hashes(), 0, 0
        self._matches = AnswerMatches()
        files = NamedFiles(find_files(self._path) if self.roles.files else {}, self._reader.files)
        try:
            for batch in cut_batches(self._reader, size, self.reads):
                check_labels(batch)
                self._check_ids(batch, ids)
                named = [] if self.roles.group is None else [name for name in name_groups(batch) if name is not None]
                groups.add(named)
                self._matches.compare(batch)
                rows += len(batch.table)
                ungrouped += len(batch.table) - len(named)
                yield files.show(batch)
        except WiderSchema as wider:
            self._wider = wider.reader
            raise
        if not rows:
            raise CannotJudge(f"{self._path}: no rows; add at least one")
        digests = dict(self._reader.digests)
        if self.roles.id is not None and (repeated := ids.find_repeated()):
            self._refuse_repeated(repeated, self.roles.id)
        files.check_unchanged()
        if list_data_files(self._path)[1].keys() != digests.keys() or self._reader.digests != digests:
            raise IntegrityFailure(f"{self._path}: the files changed while they were read; evaluate again")
        found = groups.count() + ungrouped
        update = {"rows": rows, "groups": found if found < rows else None}
        self._identity = identify(self._path, digests).model_copy(update=update)

    def widen(self) -> EvalSetStream:
        """Return the stream under the schema that holds the whole set; after `WiderSchema`."""
        assert self._wider is not None, "called after WiderSchema"  # noqa: S101
        return EvalSetStream(self._path, self._wider, self.reads)

    def _check_ids(self, batch: Batch, ids: Hashes) -> None:
        if self.roles.id is not None:
            values = _list_ids(batch.table.column(self.roles.id), batch.kind(self.roles.id))
            _refuse_bad_ids(values, batch, batch.kind(self.roles.id))
            ids.add(values)

    def _refuse_repeated(self, repeated: set[int], column: str) -> None:
        """Read the ids again and name both places; two different ids may share a hash."""
        seen: dict[Json, str] = {}
        for chunk in self._reader.chunks():
            kind = next(each.kind for each in self.schema if each.name == column)
            for index, value in enumerate(_list_ids(chunk.table.column(column), kind)):
                if hash(value) not in repeated:
                    continue
                where = chunk.place.name(index)
                if value in seen:
                    raise CannotJudge(
                        f"{where}: the id {str(value)[:80]!r} is already in {seen[value]}; give each row an id of its "
                        "own"
                    )
                seen[value] = where


def cut_batches(reader: Reader, size: int, reads: Reads) -> Iterator[Batch]:
    """Cut the chunks of a reader anew, at fixed multiples of ``size`` rows."""
    start, held = 0, 0
    waiting: list[Chunk] = []
    for chunk in reader.chunks():
        waiting.append(chunk)
        held += len(chunk.table)
        reads.hold(held, sum(each.table.nbytes for each in waiting))
        while held >= size:
            batch, waiting = _take(waiting, size, start, reader)
            yield batch
            start, held = start + size, held - size
    if held:
        yield _take(waiting, held, start, reader)[0]


def _take(waiting: list[Chunk], size: int, start: int, reader: Reader) -> tuple[Batch, list[Chunk]]:
    """Return a batch of the first ``size`` rows, and the chunks that are left."""
    taken: list[Chunk] = []
    left = list(waiting)
    need = size
    while need:
        chunk = left.pop(0)
        if len(chunk.table) > need:
            chunk, later = chunk.cut(need)
            left.insert(0, later)
        if len(chunk.table):
            taken.append(chunk)
        need -= len(chunk.table)
    starts = [0]
    for chunk in taken[:-1]:
        starts.append(starts[-1] + len(chunk.table))

    def where(index: int) -> str:
        number = bisect.bisect_right(starts, index) - 1
        return taken[number].place.name(index - starts[number])

    table = pa.concat_tables([chunk.table for chunk in taken])
    return Batch(start, table, reader.schema, reader.roles, where), left


def _list_ids(column: pa.ChunkedArray, kind: Kind) -> list[Json]:
    """Return ids as they are compared: where text and numbers mix, 1 and "1" are one id."""
    values = list_values(column, kind)
    return [str(value) if type(value) is int else value for value in values] if kind is Kind.JSON else values


def _refuse_bad_ids(values: list[Json], batch: Batch, kind: Kind) -> None:
    if kind is Kind.INTEGER:
        return
    is_plain = kind is Kind.TEXT and None not in values
    if is_plain and min(map(len, values)) > 0 and max(map(len, values)) <= LONGEST_ID:
        return
    for index in [values.index(None)] if None in values else range(len(values)):
        value = values[index]
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
            shown = "missing" if value is None else repr(str(value)[:80])
            raise CannotJudge(
                f"{batch.where(index)}: the id is {shown}; an id is a whole number or text of 1 to {LONGEST_ID} "
                "characters"
            )
