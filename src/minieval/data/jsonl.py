"""JSONL as chunks of columns: Arrow reads what it can be trusted with, the strict reader all else.

- Chunks of about 1 MiB are cut at newlines and hashed as they are read.
- Arrow reads a chunk by an explicit schema, and only a chunk of which a few fast checks show that Arrow's leniency does
  not matter: one object a line, none too long, UTF-8, no nulls (Arrow cannot tell a null from a missing column) but in
  a column that a row may lack, no number that a float cannot hold.
- A chunk with a value that the schema cannot hold is not handed out. The rest of the set is then read for its kinds
  alone, and `WiderSchema` carries what holds all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from minieval.contract.evalset import FileDigests
from minieval.contract.exits import CannotJudge
from minieval.data.chunks import Chunk, Place, WiderSchema
from minieval.data.files import CHUNK, HashingFile, Reads, open_data
from minieval.data.schema import EXACT, TYPES, Column, Kind, Schema, Seen, choose_kind, see
from minieval.data.strict import MAX_ROW_BYTES, Row, Seeing, make_table, parse_rows
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import CONVENTIONS, Task

BOM = b"\xef\xbb\xbf"
MINUS_ZERO = re.compile(rb"-0(?![.0-9eE])")


class JsonlReader:
    """Reads JSONL files, in order, as chunks under one schema. ``digests`` has each file that was read to its end."""

    def __init__(self, files: Mapping[str, Path], task: Task, seeing: Seeing, reads: Reads, *, where: str) -> None:
        self.files, self._task, self._seeing, self._reads, self._where = files, task, seeing, reads, where
        self.roles: Roles = assign_roles(task, list(seeing.columns), where=where)
        self.schema: Schema = choose_schema(seeing, self.roles)
        self.digests: dict[str, FileDigests] = {}

    @classmethod
    def open(cls, files: Mapping[str, Path], task: Task, reads: Reads, *, where: str) -> JsonlReader:
        """Read the first chunk for the columns and their kinds.

        Raises:
            CannotJudge: there is no row, or the first chunk is invalid; the message names file and line.
        """
        seeing = Seeing(frozenset({"accepted", "group"}) if task is CONVENTIONS else frozenset())
        for path in files.values():
            with open_data(path) as file:
                chunk = next(cut_lines(HashingFile(file)), None)
            if chunk is not None:
                place = Place(path, 1, "line")
                rows = parse_rows(chunk, seeing, place.name)
                seeing.add(rows)
                reader = cls(files, task, seeing, reads, where=where)
                check_lists(rows, reader.roles, place)
                return reader
        raise CannotJudge(f"{where}: no rows; add at least one")

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, in order.

        Raises:
            CannotJudge: a line is invalid; the message names file and line.
            WiderSchema: after the last chunk that the schema holds, if any does not.
        """
        fits = True
        for name, path in self.files.items():
            with open_data(path) as file:
                hashing, first = HashingFile(file), 1
                for text in cut_lines(hashing):
                    table = self._read(text, path, first)
                    fits = fits and table is not None
                    if table is not None and fits:
                        yield Chunk(table, Place(path, first, "line"))
                    first += text.count(b"\n")
                self.digests[name] = hashing.digests
            self._reads.passes[name] += 1
        if not fits:
            raise WiderSchema(JsonlReader(self.files, self._task, self._seeing, self._reads, where=self._where))

    def _read(self, text: bytes, path: Path, first: int) -> pa.Table | None:
        """Return the chunk as a table; `None` where the schema does not hold it."""
        table = read_trusted(text, self.schema, self._seeing.optional)
        if table is not None:
            self._note_large(table)
            return table
        place = Place(path, first, "line")
        rows = parse_rows(text, self._seeing, place.name)
        check_lists(rows, self.roles, place)
        self._seeing.add(rows)
        fits = choose_schema(self._seeing, self.roles) == self.schema
        return make_table(rows, self.schema) if fits else None

    def _note_large(self, table: pa.Table) -> None:
        """Note integers that are not exact as floats: a later null or fraction makes such a column one of JSON."""
        for column in self.schema:
            if column.kind is Kind.INTEGER and Seen.LARGE not in self._seeing.columns[column.name]:
                ends = pc.min_max(table.column(column.name)).as_py()
                if ends["max"] > EXACT or ends["min"] < -EXACT:
                    self._seeing.columns[column.name] |= Seen.LARGE


def choose_schema(seeing: Seeing, roles: Roles) -> Schema:
    """Return every column, each of the narrowest kind that holds what was seen. Accepted answers may be missing."""
    chosen = []
    for name, seen in seeing.columns.items():
        kind = choose_kind(seen & ~Seen.NULL | Seen.TEXTS if name == roles.accepted else seen)
        chosen.append(Column(name, kind, TYPES[kind]))
    return tuple(chosen)


def check_lists(rows: Sequence[Row], roles: Roles, place: Place) -> None:
    """Check that columns of buckets hold lists of names.

    Raises:
        CannotJudge: one does not; the message names the line.
    """
    for column in roles.lists:
        for index, row in enumerate(rows):
            if see((row[column],)) != Seen.TEXTS:
                raise CannotJudge(
                    f"{place.name(index)}: the column {column[:80]!r} lists buckets: write a list of names in every row"
                )


def read_trusted(text: bytes, schema: Schema, optional: frozenset[str] = frozenset()) -> pa.Table | None:
    """Return a chunk as Arrow reads it; `None` where it cannot, or could not be trusted.

    A row may lack the ``optional`` columns.
    """
    if b"\r\n" in text:
        text = text.replace(b"\r\n", b"\n")
    kinds = {column.kind for column in schema}
    if Kind.JSON in kinds or not _has_one_object_a_line(text) or _has_long_line(text):
        return None
    if Kind.NUMBER in kinds and MINUS_ZERO.search(text):  # to Arrow a negative zero, to JSON the integer 0
        return None
    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema([(column.name, column.type) for column in schema]), unexpected_field_behavior="error"
    )
    read = arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    try:
        table = arrow_json.read_json(pa.BufferReader(text), read_options=read, parse_options=options)
    except pa.ArrowInvalid:
        return None
    if len(table) != text.count(b"\n"):
        return None
    plain = (_is_plain(table.column(each.name), each, optional=each.name in optional) for each in schema)
    return table if all(plain) else None


def cut_lines(file: HashingFile) -> Iterator[bytes]:
    """Yield the file in chunks of whole lines, the last one ended; a byte-order mark at its start is left out."""
    rest = b""
    start = True
    while data := file.read(CHUNK):
        if start and data.startswith(BOM):
            data = data[len(BOM) :]
        start = False
        head, newline, tail = data.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += tail
            if len(rest) > 2 * MAX_ROW_BYTES:  # a line that is refused for its length anyway
                break
    if rest:
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _has_one_object_a_line(text: bytes) -> bool:
    """Whether every line begins and ends like an object, and the text is UTF-8."""
    if not (text.startswith(b"{") and text.endswith(b"}\n") and text.count(b"}\n{") == text.count(b"\n") - 1):
        return False
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_long_line(text: bytes) -> bool:
    """Whether a line is so long that the strict reader has to look at it."""
    return len(text) > MAX_ROW_BYTES and max(map(len, text.split(b"\n"))) > MAX_ROW_BYTES


def _is_plain(column: pa.ChunkedArray, expected: Column, *, optional: bool) -> bool:
    """Whether the cells are what the strict reader would give: nothing is null, and no number was rounded."""
    if column.null_count and not (optional and expected.kind in (Kind.TEXT, Kind.TEXTS)):
        return False
    match expected.kind:
        case Kind.TEXTS:
            return not any(chunk.values.null_count for chunk in column.chunks)
        case Kind.NUMBER:
            return bool(pc.all(pc.less(pc.abs(column), float(EXACT))).as_py())
        case _:
            return True
