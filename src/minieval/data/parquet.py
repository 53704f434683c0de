"""Parquet as chunks of columns, in the types that the file has.

- Integers become 64 bits wide. A column of them with nulls becomes fractional where every value is exact as a float,
  else cells of JSON, as in JSONL.
- A file is hashed before it is read, and refused if it changed meanwhile: its parts are not read in order.
- What a file declares to unpack is bounded before a cell of it is read: a few kilobytes can declare terabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from minieval.contract.evalset import FileDigests
from minieval.contract.exits import CannotJudge
from minieval.data.chunks import Chunk, Place
from minieval.data.files import Reads, hashed_before, open_data
from minieval.data.schema import EXACT, INT64, TYPES, Column, Kind, Schema
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import Task

ROWS, BYTES = 16_384, 16 * 1024 * 1024  # in a chunk at most; long rows come in smaller ones
GIB = 1024**3
LARGEST_PART = 2 * GIB  # of one column in one row group, unpacked; Arrow's texts have 32-bit offsets
DAMAGED = "cannot be read as Parquet; write it again"


class ParquetReader:
    """Reads Parquet files, in order, as chunks under one schema."""

    def __init__(self, files: Mapping[str, Path], task: Task, reads: Reads, *, where: str) -> None:
        self.files, self._reads = files, reads
        fields = _read_schema(files)
        self.roles: Roles = assign_roles(task, fields.names, where=where)
        if typed := [name for name in task.types if name in fields.names]:
            raise CannotJudge(f"{where}: types.{typed[0][:80]}: a Parquet file has types of its own; remove it")
        used = [field for field in fields if field.name in self.roles.used]
        _refuse_vast(files, {field.name for field in used})
        self.schema: Schema = tuple(_column(field, files) for field in used)
        self.digests: dict[str, FileDigests] = {}

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, in order.

        Raises:
            CannotJudge: a file is no Parquet, or damaged.
            IntegrityFailure: a file changed while it was read.
        """
        names = [column.name for column in self.schema]
        for name, path in self.files.items():
            with hashed_before(path) as (file, digests):
                first = 1
                try:
                    opened = parquet.ParquetFile(file)
                    for batch in opened.iter_batches(batch_size=_chunk_rows(opened), columns=names):
                        table = _cast(pa.Table.from_batches([batch]), self.schema)
                        table.validate(full=True)  # text that is not UTF-8, which Arrow does not look for
                        yield Chunk(table, Place(path, first))
                        first += batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    raise CannotJudge(f"{path}: {DAMAGED}") from error
            self.digests[name] = digests
            self._reads.passes[name] += 1


def _chunk_rows(file: parquet.ParquetFile) -> int:
    """Return how many rows a chunk has: `ROWS`, or fewer where they are long."""
    groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
    size, rows = sum(int(group.total_byte_size) for group in groups), int(file.metadata.num_rows)
    return max(1, min(ROWS, BYTES * rows // max(1, size)))


def _read_schema(files: Mapping[str, Path]) -> pa.Schema:
    """Return the columns, which every file has with the same types."""
    first: tuple[Path, pa.Schema] | None = None
    for path in files.values():
        with open_data(path) as file:
            try:
                found = parquet.read_schema(file).remove_metadata()
                "".join(found.names).encode()
            except (pa.ArrowException, OSError, UnicodeError) as error:
                raise CannotJudge(f"{path}: not a Parquet file; check that this is the right one") from error
        if first is not None and not found.equals(first[1]):
            raise CannotJudge(f"{path}: has other columns or types than {first[0]}; give all files the same")
        first = first or (path, found)
    assert first is not None, "an eval set has a file"  # noqa: S101 - for the type checker
    if len(set(first[1].names)) != len(first[1].names):
        raise CannotJudge(f"{first[0]}: two columns have one name; rename one")
    return first[1]


def _refuse_vast(files: Mapping[str, Path], used: Collection[str]) -> None:
    """Refuse a file that declares more bytes than `LARGEST_PART` in one part of a column that is used.

    A column that is not used is not read, so it may declare anything.

    Raises:
        CannotJudge: a part of a file is larger, or has a negative size.
    """
    for path in files.values():
        with open_data(path) as file:
            try:
                metadata = parquet.ParquetFile(file).metadata
                groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
                parts = [(n, group.column(i)) for n, group in enumerate(groups, 1) for i in range(group.num_columns)]
                sizes = [(n, str(part.path_in_schema), int(part.total_uncompressed_size)) for n, part in parts]
            except (pa.ArrowException, OSError, UnicodeError) as error:
                raise CannotJudge(f"{path}: {DAMAGED}") from error
        for number, leaf, size in sizes:
            if 0 <= size <= LARGEST_PART or not any(leaf == name or leaf.startswith(f"{name}.") for name in used):
                continue
            raise CannotJudge(
                f"{path}: the column {leaf[:80]!r} declares {size} bytes in row group {number}, and at most "
                f"{LARGEST_PART} can be read at once; write smaller row groups"
            )


def _column(field: pa.Field, files: Mapping[str, Path]) -> Column:
    found = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    kind = _kind(found)
    if kind in (Kind.INTEGER, Kind.BOOLEAN):
        seen = _look_through(field, files, found)
        if seen.nulls:
            kind = Kind.NUMBER if kind is Kind.INTEGER and seen.exact else Kind.JSON
        elif not seen.signed:
            kind = Kind.JSON
    return Column(field.name, kind, TYPES.get(kind, _bare(found)))


def _bare(found: pa.DataType) -> pa.DataType:  # noqa: PLR0911 - one line a kind
    """Return a type that carries nothing but its own rows' values.

    Fields of objects and lists have metadata, which may name anything; a dictionary holds the values of other rows,
    and so does the buffer behind views.
    """
    types = pa.types
    if isinstance(found, pa.BaseExtensionType):
        return _bare(found.storage_type)
    if types.is_dictionary(found):
        return _bare(found.value_type)
    if types.is_string_view(found) or types.is_binary_view(found):
        return pa.string() if types.is_string_view(found) else pa.binary()
    if types.is_struct(found):
        return pa.struct([pa.field(each.name, _bare(each.type), each.nullable) for each in found])
    if types.is_map(found):
        return pa.map_(_bare(found.key_type), _bare(found.item_type), found.keys_sorted)
    if not any(is_of(found) for is_of in LISTS):
        return found
    item = pa.field("item", _bare(found.value_type), found.value_field.nullable)
    if types.is_fixed_size_list(found):
        return pa.list_(item, found.list_size)
    return pa.large_list(item) if types.is_large_list(found) else pa.list_(item)


KINDS: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_integer, Kind.INTEGER),
    (pa.types.is_float64, Kind.NUMBER),
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
    (pa.types.is_string_view, Kind.TEXT),
)
# Not views of lists: Arrow 25 casts them to lists that its own validation refuses.
LISTS: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)


def _kind(found: pa.DataType) -> Kind:
    if pa.types.is_dictionary(found):
        return _kind(found.value_type)
    if any(is_of(found) for is_of in LISTS) and _kind(found.value_type) is Kind.TEXT:
        return Kind.TEXTS
    return next((kind for is_of, kind in KINDS if is_of(found)), Kind.NATIVE)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a column holds: nulls; numbers that are all exact as floats; numbers that all fit 64 bits with a sign."""

    nulls: bool = False
    exact: bool = True
    signed: bool = True


def _look_through(field: pa.Field, files: Mapping[str, Path], found: pa.DataType) -> _Seen:
    """Read a column of integers or booleans through; its statistics are not asked.

    pyarrow 25 ends the process where the metadata of a column is damaged, so nothing reads them here.
    """
    seen = _Seen()
    for path in files.values():
        with ExitStack() as stack:
            try:
                file = parquet.ParquetFile(stack.enter_context(open_data(path)))
                for batch in file.iter_batches(batch_size=ROWS, columns=[field.name]):
                    seen = _look_at(batch.column(field.name).cast(found), seen)
            except (pa.ArrowException, OSError) as error:
                raise CannotJudge(f"{path}: {DAMAGED}") from error
    return seen


def _look_at(cells: pa.Array, seen: _Seen) -> _Seen:
    nulls = seen.nulls or cells.null_count > 0
    if not pa.types.is_integer(cells.type):
        return _Seen(nulls=nulls)
    ends = pc.min_max(cells).as_py()
    if ends["max"] is None:
        return replace(seen, nulls=nulls)
    exact = ends["min"] >= -EXACT and ends["max"] <= EXACT
    return _Seen(nulls, seen.exact and exact, seen.signed and ends["max"] < INT64)


def _cast(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the table in the types of the schema; cells of kind `JSON` become JSON text."""
    columns = []
    for column in schema:
        cells = table.column(column.name)
        if column.kind is Kind.JSON:
            cells = cells.cast(pa.string())  # integers, and true and false, are written as in JSON
        columns.append(cells.cast(column.type))
    return pa.table(columns, schema=pa.schema([(column.name, column.type) for column in schema]))
