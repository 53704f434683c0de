"""Parquet as chunks of columns, in the types that the file has.

- Integers become 64 bits wide. A column of them with nulls becomes fractional where every value is exact as a float,
  else cells of JSON, as in JSONL.
- A file is hashed before it is read, and refused if it changed meanwhile: its parts are not read in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from minieval.contract.evalset import FileDigests
from minieval.contract.exits import CannotJudge
from minieval.data.chunks import Chunk, Place
from minieval.data.files import Reads, hashed_before, open_data
from minieval.data.schema import EXACT, TYPES, Column, Kind, Schema
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import Task

ROWS = 16_384  # in a chunk


class ParquetReader:
    """Reads Parquet files, in order, as chunks under one schema."""

    def __init__(self, files: Mapping[str, Path], task: Task, reads: Reads, *, where: str) -> None:
        self._files, self._reads = files, reads
        fields = _read_schema(files)
        self.roles: Roles = assign_roles(task, fields.names, where=where)
        if typed := [name for name in task.types if name in fields.names]:
            raise CannotJudge(f"{where}: types.{typed[0][:80]}: a Parquet file has types of its own; remove it")
        used = [field for field in fields if field.name in self.roles.used]
        self.schema: Schema = tuple(_column(field, files) for field in used)
        for column in self.schema:
            if column.name in self.roles.lists and column.kind is not Kind.TEXTS:
                raise CannotJudge(f"{where}: the column {column.name[:80]!r} lists buckets, and is {column.type}")
        self.digests: dict[str, FileDigests] = {}

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, in order.

        Raises:
            CannotJudge: a file is no Parquet, or damaged.
            IntegrityFailure: a file changed while it was read.
        """
        names = [column.name for column in self.schema]
        for name, path in self._files.items():
            with hashed_before(path) as (file, digests):
                first = 1
                try:
                    for batch in parquet.ParquetFile(file).iter_batches(batch_size=ROWS, columns=names):
                        table = pa.Table.from_batches([batch])
                        yield Chunk(_cast(table, self.schema), Place(path, first))
                        first += batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    raise CannotJudge(f"{path}: cannot be read as Parquet; write it again") from error
            self.digests[name] = digests
            self._reads.passes[name] += 1


def _read_schema(files: Mapping[str, Path]) -> pa.Schema:
    """Return the columns, which every file has with the same types."""
    first: tuple[Path, pa.Schema] | None = None
    for path in files.values():
        with open_data(path) as file:
            try:
                found = parquet.read_schema(file).remove_metadata()
            except pa.ArrowException as error:
                raise CannotJudge(f"{path}: not a Parquet file; check that this is the right one") from error
        if first is not None and not found.equals(first[1]):
            raise CannotJudge(f"{path}: has other columns or types than {first[0]}; give all files the same")
        first = first or (path, found)
    assert first is not None, "an eval set has a file"  # noqa: S101 - for the type checker
    if len(set(first[1].names)) != len(first[1].names):
        raise CannotJudge(f"{first[0]}: two columns have one name; rename one")
    return first[1]


def _column(field: pa.Field, files: Mapping[str, Path]) -> Column:
    kind = _kind(field.type)
    if kind in (Kind.INTEGER, Kind.BOOLEAN):
        nulls, exact = _look_through(field.name, files, numeric=kind is Kind.INTEGER)
        if nulls:
            kind = Kind.NUMBER if kind is Kind.INTEGER and exact else Kind.JSON
    return Column(field.name, kind, TYPES.get(kind, field.type))


KINDS: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_integer, Kind.INTEGER),
    (pa.types.is_float64, Kind.NUMBER),
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
)


def _kind(found: pa.DataType) -> Kind:
    if pa.types.is_dictionary(found):
        return _kind(found.value_type)
    if pa.types.is_list(found) and _kind(found.value_type) is Kind.TEXT:
        return Kind.TEXTS
    return next((kind for is_of, kind in KINDS if is_of(found)), Kind.NATIVE)


def _look_through(name: str, files: Mapping[str, Path], *, numeric: bool) -> tuple[bool, bool]:
    """Return whether a column has nulls, and whether all its numbers are exact as floats."""
    nulls, exact = False, True
    for path in files.values():
        with ExitStack() as stack:
            file = parquet.ParquetFile(stack.enter_context(open_data(path)))
            if _has_no_nulls(file, name):
                continue
            for batch in file.iter_batches(batch_size=ROWS, columns=[name]):
                cells = batch.column(0)
                nulls = nulls or cells.null_count > 0
                most = pc.max(pc.abs(cells.cast(pa.float64(), safe=False))).as_py() if numeric else None
                exact = exact and (most is None or most < EXACT)
    return nulls, exact


def _has_no_nulls(file: parquet.ParquetFile, name: str) -> bool:
    """Whether the statistics of every row group show that a column has no null."""
    paths = [file.metadata.schema.column(index).path for index in range(file.metadata.num_columns)]
    column = paths.index(name)  # nested columns before it have several leaves
    groups = (file.metadata.row_group(index).column(column).statistics for index in range(file.num_row_groups))
    return all(found is not None and found.has_null_count and found.null_count == 0 for found in groups)


def _cast(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the table in the types of the schema; cells of kind `JSON` become JSON text."""
    columns = []
    for column in schema:
        cells = table.column(column.name)
        if column.kind is Kind.JSON:
            cells = cells.cast(pa.string())  # integers, and true and false, are written as in JSON
        columns.append(cells.cast(column.type))
    return pa.table(columns, schema=pa.schema([(column.name, column.type) for column in schema]))
