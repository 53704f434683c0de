"""What the columns of an eval set hold, as far as a proposal for its task file needs it.

- The rows are read by minieval's own readers, in one pass. Of a column, only a few distinct values are kept.
- Columns of CSV are text there; here each gets the narrowest type that every cell of it has.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pyarrow import parquet

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.data.files import list_data_files
from minieval.data.schema import Column, Kind
from minieval.data.stream import EvalSetStream, open_eval_set, read_eval_set
from minieval.task.document import CONVENTIONS, Task

BATCH = 8192  # rows
MOST_VALUES = 20  # distinct ones that are kept
BOOLEANS = frozenset({"true", "false", "True", "False", "TRUE", "FALSE"})
# A number that begins with a zero, as a postal code does, is text: its zero would be lost.
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
FLOATS = frozenset({"halffloat", "float", "double"})


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A column: its type, its distinct values with their rows (`None`: more than `MOST_VALUES`, or no plain values).

    ``unique``: no value occurs twice and none is missing; looked at in columns whose name may be that of an id.
    """

    name: str
    type: str
    values: Counter[Json] | None
    unique: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """The columns of an eval set in order, its number of rows, and whether its types were inferred (CSV)."""

    rows: int
    inferred: bool
    columns: tuple[Surveyed, ...]


def may_be_id(name: str) -> bool:
    """Return whether a column's name is one that ids have: ``id``, ``row``, ``index``, ``key``, or ``..._id``."""
    plain = name.strip().casefold()
    return plain in {"id", "row", "index", "key", "uuid"} or plain.endswith(("_id", "-id", ".id"))


def list_columns(eval_set: Path) -> tuple[str, ...]:
    """Return the names of the columns, from the first line of a file or the schema of Parquet.

    Raises:
        CannotJudge, IntegrityFailure: as `minieval.data.stream.open_eval_set`.
    """
    suffix, files = list_data_files(eval_set)
    # What cannot be read here is left to the readers, whose messages name the place.
    with suppress(OSError, ValueError, StopIteration, csv.Error, AttributeError):
        return tuple(_read_names(next(iter(files.values())), suffix))
    open_eval_set(eval_set, CONVENTIONS)
    raise CannotJudge(f"{eval_set}: its columns cannot be read; check that this is an eval set")


def survey(eval_set: Path, task: Task, *, infer: bool = False) -> Survey:
    """Read all rows, and return what the columns hold that ``task`` reads; ``infer`` the types of columns of CSV.

    Raises:
        CannotJudge, IntegrityFailure: as `minieval.data.stream.EvalSetStream.batches`.
    """
    inferred = infer and list_data_files(eval_set)[0] == ".csv"
    return read_eval_set(eval_set, task, partial(_survey, inferred=inferred))


def read_numbers(eval_set: Path, task: Task, names: Sequence[str]) -> dict[str, list[float]]:
    """Return the numbers in the named columns, each sorted, without missing ones.

    Raises:
        CannotJudge, IntegrityFailure: as `survey`.
    """
    return read_eval_set(eval_set, task, partial(_read_numbers, names=names))


def _read_names(path: Path, suffix: str) -> Iterable[str]:
    if suffix == ".parquet":
        return list(parquet.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if suffix == ".csv":
            return next(csv.reader(file))
        return list(json.loads(file.readline()).keys())


@dataclass(slots=True)
class _Cells:
    """What was seen in a column so far. ``left`` are the types that every cell of a column of CSV has."""

    column: Column
    inferred: bool
    values: Counter[Json] | None = field(default_factory=Counter)
    ids: set[Json] | None = None
    rows: int = 0
    missing: bool = False
    left: list[str] = field(default_factory=lambda: ["boolean", "integer", "number"])

    def add(self, cells: list[Json]) -> None:
        self.rows += len(cells)
        if self.ids is not None:
            self.ids.update(cells)
        if self.values is not None:
            self.values.update(cells)
            if len(self.values) > MOST_VALUES:
                self.values = None
        if self.inferred:
            self.missing = self.missing or "" in cells
            self.left = [kind for kind in self.left if all(_is_of(kind, cell) for cell in cells if cell)]

    def describe(self) -> Surveyed:
        unique = self.ids is not None and len(self.ids) == self.rows and not self.ids & {None, ""}
        return Surveyed(self.column.name, self._type(), self.values or None, unique)

    def _type(self) -> str:
        if not self.inferred:
            return "number" if str(self.column.type) in FLOATS else self.column.kind.value
        # A column of integers or booleans has no empty cell: the readers refuse one.
        left = [kind for kind in self.left if kind == "number" or not self.missing]
        return left[0] if left and (self.values is None or set(self.values) != {""}) else "text"


def _is_of(kind: str, cell: str) -> bool:
    if kind == "boolean":
        return cell in BOOLEANS
    if kind == "integer":
        return INTEGER.fullmatch(cell) is not None
    return NUMBER.fullmatch(cell) is not None


def _survey(stream: EvalSetStream, *, inferred: bool) -> Survey:
    plain = (Kind.BOOLEAN, Kind.INTEGER, Kind.NUMBER, Kind.TEXT)
    found = [
        _Cells(
            column,
            inferred,
            values=Counter() if column.kind in plain else None,
            ids=set() if may_be_id(column.name) and column.kind in (Kind.INTEGER, Kind.TEXT) else None,
        )
        for column in stream.schema
    ]
    rows = 0
    for batch in stream.batches(BATCH):
        rows += len(batch.table)
        for each in found:
            if each.values is not None or each.ids is not None or each.left:
                each.add(batch.values(each.column.name))
    return Survey(rows, inferred, tuple(each.describe() for each in found))


def _read_numbers(stream: EvalSetStream, names: Sequence[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in names}
    for batch in stream.batches(BATCH):
        for name in names:
            found[name] += _list_numbers(batch.values(name))
    return {name: sorted(numbers) for name, numbers in found.items()}


def _list_numbers(cells: Iterable[Json]) -> Iterator[float]:
    return (cell for cell in cells if cell is not None and cell == cell)  # noqa: PLR0124 - not NaN
