"""The strict reader of JSONL: it names the line of whatever is wrong, and tells which kinds of values occur.

It costs ten times what Arrow does. It reads the first chunk of a set, and each chunk that Arrow cannot be trusted with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.data.schema import Kind, Schema, Seen, see
from minieval.task.columns import list_names

MAX_ROW_BYTES = 1024 * 1024

Row = dict[str, Json]
Places = Callable[[int], str]  # names the place of a line of the chunk, counted from 0


@dataclass(slots=True)
class Seeing:
    """The columns of a set in the order of its first row, and which kinds of values occur in each.

    A row may lack the ``optional`` columns.
    """

    optional: frozenset[str]
    columns: dict[str, Seen] = field(default_factory=dict)

    def add(self, rows: Sequence[Row]) -> None:
        """See the values of further rows; a column that some of them lack has nulls."""
        names = [*self.columns, *(name for name in self._later(rows) if name not in self.columns)]
        was_empty = not self.columns
        for name in names:
            before = self.columns.get(name, Seen.NOTHING if was_empty else Seen.NULL)
            self.columns[name] = before | see(row.get(name) for row in rows)

    def _later(self, rows: Sequence[Row]) -> Iterable[str]:
        """Return the names of the first row, and of optional columns that any row has."""
        found = dict.fromkeys(rows[0]) if rows else {}
        return found | dict.fromkeys(name for row in rows for name in self.optional & row.keys())


def parse_rows(chunk: bytes, seeing: Seeing, where: Places) -> list[Row]:
    """Parse whole lines strictly, and check that each has the columns of the first row of the set.

    Raises:
        CannotJudge: a line is empty, too long, no strict JSON object, or has other columns; the message names it.
    """
    lines = chunk.removesuffix(b"\n").split(b"\n")
    rows = [_parse_line(line.removesuffix(b"\r"), where, index) for index, line in enumerate(lines)]
    wanted = (seeing.columns or rows[0]).keys() - seeing.optional
    for index, row in enumerate(rows):
        if row.keys() - seeing.optional != wanted:
            raise CannotJudge(
                f"{where(index)}: has the columns {list_names(list(row.keys() - seeing.optional))}, and the first row "
                f"has {list_names(list(wanted))}; give all rows the same columns"
            )
    return rows


def make_table(rows: Sequence[Row], schema: Schema) -> pa.Table:
    """Return the rows as a table; every value fits its column."""
    return pa.table(
        [pa.array([_cell(row.get(each.name), each.kind) for row in rows], each.type) for each in schema],
        schema=pa.schema([(each.name, each.type) for each in schema]),
    )


def _parse_line(line: bytes, where: Places, index: int) -> Row:
    if not line.strip():
        raise CannotJudge(f"{where(index)}: the line is empty; remove it")
    if len(line) > MAX_ROW_BYTES:
        raise CannotJudge(
            f"{where(index)}: {len(line)} bytes, and a row has at most {MAX_ROW_BYTES}; check that this is JSONL"
        )
    row = parse_json(line, where=where(index), floats=True)
    if not isinstance(row, dict):
        raise CannotJudge(f"{where(index)}: not a JSON object; write one object a line")
    return row


def _cell(value: Json, kind: Kind) -> Json:
    if kind is Kind.JSON:
        return None if value is None else json.dumps(value, ensure_ascii=False)
    return float(value) if kind is Kind.NUMBER and value is not None else value
