"""CSV as chunks of columns: text, unless the task gives a column another type.

- The first line names the columns. A comma divides, a double quote encloses; a line may end in CRLF.
- An empty cell is empty text, a missing number, and an error in a column of integers or booleans.
- Files are hashed as they are read, once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from minieval.contract.evalset import FileDigests
from minieval.contract.exits import CannotJudge
from minieval.data.chunks import Chunk, Place
from minieval.data.files import CHUNK, HashingFile, Reads, open_data
from minieval.data.quotes import QuotedFile
from minieval.data.schema import TYPES, Column, Kind, Schema
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import Task

COMPLETE = (Kind.INTEGER, Kind.BOOLEAN)  # kinds that have no missing value


class CsvReader:
    """Reads CSV files, in order, as chunks under one schema."""

    def __init__(self, files: Mapping[str, Path], task: Task, reads: Reads, *, where: str) -> None:
        self.files, self._reads, self._where = files, reads, where
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
        """
        for name, path in self.files.items():
            with open_data(path) as file:
                quoted = QuotedFile(HashingFile(file))
                for chunk in self._read(quoted, path):
                    _refuse_fault(quoted, path)
                    self._check(chunk)
                    yield chunk
                self.digests[name] = quoted.finish()
                _refuse_fault(quoted, path)
            self._reads.passes[name] += 1

    def _read(self, file: QuotedFile, path: Path) -> Iterator[Chunk]:
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
                    yield Chunk(pa.Table.from_batches([batch]), Place(path, first))
                    first += batch.num_rows
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):  # a first line without an end, and no row
                return
            _refuse_fault(file, path)
            raise CannotJudge(f"{path}{_explain(str(error), self._names)}") from error

    def _check(self, chunk: Chunk) -> None:
        for column in self.schema:
            cells = chunk.table.column(column.name)
            if column.kind in COMPLETE and cells.null_count:
                index = cells.to_pylist().index(None)
                raise CannotJudge(
                    f"{chunk.place.name(index)}: the column {column.name[:80]!r} is empty, and {column.kind}s are "
                    "needed; fill it in, or set its type to number or text"
                )
            if column.kind is Kind.NUMBER and (index := pc.index(pc.is_finite(cells), False).as_py()) >= 0:
                raise CannotJudge(
                    f"{chunk.place.name(index)}: the column {column.name[:80]!r} is {cells[index]}, and only finite "
                    "numbers are read; leave the cell of a missing one empty"
                )


def _refuse_fault(file: QuotedFile, path: Path) -> None:
    if file.fault is not None:
        raise CannotJudge(f"{path}, {file.fault}")


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
        # Bytes that are not UTF-8 may stand in a row, which is named later.
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            names = next(csv.reader(text, strict=True), [])
            "".join(names).encode()
        except csv.Error as error:
            raise CannotJudge(f"{path}: the first line cannot be read: {error}") from error
        except UnicodeEncodeError as error:
            raise CannotJudge(f"{path}: the first line is not UTF-8 text; save the file as UTF-8") from error
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
        if "UTF8" in reason:
            return f"{_row(row)}: the column {name[:80]!r} is not UTF-8 text; save the file as UTF-8"
        return f"{_row(row)}: the column {name[:80]!r} is no {_WORDS.get(kind, kind)}: {_shown(reason)}"
    if found := re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message):
        row, wanted, got = found.groups()
        return f"{_row(row)}: has {got} cells, and the first line names {wanted} columns"
    if "UTF8" in message:
        return ": not UTF-8 text; save the file as UTF-8"
    return f": no CSV that can be read ({_shown(message)})"


_WORDS = {"int64": "integer", "double": "number", "bool": "boolean"}


def _row(number: str | None) -> str:
    return f", row {int(number) - 1}" if number else ""  # Arrow counts the header


def _shown(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text[:300]).split())[:120]
