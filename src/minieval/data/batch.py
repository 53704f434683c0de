"""A batch of rows: what the model gets of it, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from minieval.contract.documents import Json
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
        """Return the cells of a column as Python values."""
        return list_values(self.table.column(column), next(each.kind for each in self.schema if each.name == column))

    def list_features(self) -> list[dict[str, Json]]:
        """Return the features of each row by name."""
        columns = [self.values(name) for name in self.roles.features]
        return [dict(zip(self.roles.features, cells, strict=True)) for cells in zip(*columns, strict=True)]


def list_values(column: pa.ChunkedArray, kind: Kind) -> list[Json]:
    """Return cells as Python values; those of kind `JSON` are parsed."""
    cells: list[Json] = column.to_pylist()
    if kind is Kind.JSON:
        return [None if cell is None else json.loads(cell) for cell in cells]
    return cells
