"""CSV as chunks of columns: text, unless the task gives a column another type.

- The first line names the columns. A comma divides, a double quote encloses; a line may end in CRLF.
- An empty cell is empty text, a missing number, and an error in a column of integers or booleans.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from minieval.contract.evalset import FileDigests
from minieval.contract.exits import CannotJudge
from minieval.data.chunks import Chunk, Place
from minieval.data.files import CHUNK, Reads, hashed_before, open_data
from minieval.data.schema import TYPES, Column, Kind, Schema
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import Task

MAX_HEADER = 1024 * 1024
COMPLETE = (Kind.INTEGER, Kind.BOOLEAN)  # kinds that have no missing value


class CsvReader:
    """Reads CSV files, in order, as chunks under one schema."""

    def __init__(self, files: Mapping[str, Path], task: Task, reads: Reads, *, where: str) -> None:
        self._files, self._reads, self._where = files, reads, where
        self._names = _read_headers(files)
        self.roles: Roles = assign_roles(task, self._names, where=where)
        kinds = {name: Kind(task.types.get(name, "text")) for name in self._names}
        self.schema: Schema = tuple(Column(name, kind, TYPES[kind]) for name, kind in kinds.items())
        self.digests: dict[str, FileDigests] = {}
        if self.roles.lists:
            raise CannotJudge(f"{where}: CSV has no lists; name the buckets' columns in `buckets.columns`")

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, in order.

        Raises:
            CannotJudge: a row is invalid; the message names it.
            IntegrityFailure: a file changed while it was read.
        """
        for name, path in self._files.items():
            with hashed_before(path) as (file, digests):
                yield from self._read(file, path)
            self.digests[name] = digests
            self._reads.passes[name] += 1

    def _read(self, file: BinaryIO, path: Path) -> Iterator[Chunk]:
        first = 1
        try:
            with arrow_csv.open_csv(
                pa.PythonFile(file, mode="r"),
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=CHUNK),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={column.name: column.type for column in self.schema},
                    strings_can_be_null=False,
                    null_values=[""],
                ),
            ) as batches:
                for batch in batches:
                    chunk = Chunk(pa.Table.from_batches([batch]), Place(path, first))
                    self._refuse_empty_cells(chunk)
                    yield chunk
                    first += batch.num_rows
        except pa.ArrowInvalid as error:
            raise CannotJudge(f"{path}: {_explain(str(error), self._names)}") from error

    def _refuse_empty_cells(self, chunk: Chunk) -> None:
        for column in self.schema:
            cells = chunk.table.column(column.name)
            if column.kind in COMPLETE and cells.null_count:
                index = cells.to_pylist().index(None)
                raise CannotJudge(
                    f"{chunk.place.name(index)}: the column {column.name[:80]!r} is empty, and of type "
                    f"{column.kind}; fill it in, or set its type to number or text"
                )


def _read_headers(files: Mapping[str, Path]) -> list[str]:
    """Return the names of the columns, which every file has in the same order."""
    first: tuple[Path, list[str]] | None = None
    for path in files.values():
        names = _read_header(path)
        if first is not None and names != first[1]:
            raise CannotJudge(f"{path}: has other columns than {first[0]}; give all files the same, in one order")
        first = first or (path, names)
    assert first is not None, "an eval set has a file"  # noqa: S101 - for the type checker
    return first[1]


def _read_header(path: Path) -> list[str]:
    with open_data(path) as file:
        start = file.readline(MAX_HEADER)
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotJudge(f"{path}: the first line is not UTF-8 text; save the file as UTF-8") from error
    try:
        names = next(csv.reader(io.StringIO(text)), [])
    except csv.Error as error:
        raise CannotJudge(
            f"{path}: the first line is no CSV ({error}); save the file with lines ended by LF"
        ) from error
    if not names or not all(names):
        raise CannotJudge(f"{path}: the first line has to name every column")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CannotJudge(f"{path}: the column {twice[:80]!r} is there twice; rename one")
    return names


def _explain(message: str, names: list[str]) -> str:
    """Return Arrow's message in the words of this reader. Rows count from 1, after the header."""
    if found := re.search(
        r"CSV column #(\d+)(?:: Row #(\d+))?: CSV conversion error to (\w+): (.*)", message, re.DOTALL
    ):
        index, row, kind, reason = found.groups()
        name = names[int(index)] if int(index) < len(names) else index
        return f"{_row(row)}the column {name[:80]!r} is no {_WORDS.get(kind, kind)}: {_shown(reason)}"
    if found := re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message):
        row, wanted, got = found.groups()
        return f"{_row(row)}has {got} cells, and the first line names {wanted} columns"
    if "UTF8" in message:
        return "not UTF-8 text; save the file as UTF-8"
    return f"no CSV that can be read ({_shown(message)})"


_WORDS = {"int64": "integer", "double": "number", "bool": "boolean"}


def _row(number: str | None) -> str:
    return f"row {int(number) - 1}: " if number else ""  # Arrow counts the header


def _shown(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text[:300]).split())[:120]
