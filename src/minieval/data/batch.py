"""A batch of rows: what the model gets of it, and what it does not."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.data.schema import Kind, Schema
from minieval.task.columns import Roles


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of an eval set; ``start`` is the number of the first one in the set, from 0.

    ``where`` names the place of a row, counted from 0 in the batch. ``files`` are those that the rows name, under the
    opaque names that the model gets.
    """

    start: int
    table: pa.Table
    schema: Schema
    roles: Roles
    where: Callable[[int], str]
    files: tuple[tuple[str, Path], ...] = ()

    @property
    def features(self) -> pa.Table:
        """Return what the model gets: the features, and nothing else."""
        return self.table.select(list(self.roles.features))

    def values(self, column: str) -> list[Json]:
        """Return the cells of a column as JSON values."""
        return list_values(self.table.column(column), self.kind(column))

    def kind(self, column: str) -> Kind:
        """Return the kind of a column."""
        return next(each.kind for each in self.schema if each.name == column)

    def list_features(self) -> list[dict[str, Json]]:
        """Return the features of each row by name."""
        columns = [self.values(name) for name in self.roles.features]
        return [dict(zip(self.roles.features, cells, strict=True)) for cells in zip(*columns, strict=True)]


def list_values(column: pa.ChunkedArray, kind: Kind) -> list[Json]:
    """Return cells as JSON values; those of kind `JSON` are parsed."""
    if kind is Kind.NATIVE:
        return _list_native(column)
    cells: list[Json] = column.to_pylist()
    if kind is Kind.JSON:
        return [None if cell is None else json.loads(cell) for cell in cells]
    return cells


def _list_native(column: pa.ChunkedArray) -> list[Json]:
    """Return cells of another type of Arrow's; what JSON has not is written as text, and durations in seconds."""
    try:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = _drop_nanoseconds(column)
        return [_plain(cell) for cell in column.to_pylist()]
    except (pa.ArrowException, ValueError, OverflowError, KeyError):  # a time zone or a date that Python has not
        pass
    try:
        texts: list[Json] = column.cast(pa.string()).to_pylist()
    except pa.ArrowException as error:
        raise CannotJudge(f"cells of type {column.type} cannot be read; store them as text or numbers") from error
    return texts


def _drop_nanoseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times in microseconds where none is finer: Python needs pandas for others."""
    try:
        return column.cast(pa.timestamp("us", column.type.tz))
    except pa.ArrowInvalid:
        return column


def _plain(cell: Json) -> Json:
    if isinstance(cell, dict):
        return {str(name): _plain(each) for name, each in cell.items()}
    if isinstance(cell, list | tuple):
        return [_plain(each) for each in cell]
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    return _write(cell)


def _write(cell: object) -> str | float:
    """Return a value that JSON has not as one that it has: as the predictor writes those in an answer."""
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    if isinstance(cell, datetime.timedelta):
        return cell.total_seconds()
    return str(cell.isoformat()) if hasattr(cell, "isoformat") else str(cell)
