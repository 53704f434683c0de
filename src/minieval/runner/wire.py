"""The bytes between minieval and its predictor. Pure.

- A request is a line of JSON with the number of bytes that follow, and these bytes: an Arrow IPC stream, or JSON where
  the predictor has no pyarrow. An answer is one line of JSON.
- A request holds the columns that it is given and nothing else: no metadata of a schema, and no other column of the
  table that they were taken from, no row beside the batch's.
- Answers are JSON in both cases: no native parser reads bytes that a candidate wrote.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.data.schema import Column, Kind

WHERE = "the predictor's answer"


def pack_setup(columns: Sequence[Column], params: Mapping[str, Json], files: Sequence[str]) -> bytes:
    """Return the request that names the columns of all later ones, the model's params, and the columns of files."""
    body = {
        "columns": [{"name": column.name, "kind": column.kind.value, "type": str(column.type)} for column in columns],
        "params": dict(params),
        "files": list(files),
    }
    return _frame({"form": "setup"}, json.dumps(body).encode())


def pack_rows(table: pa.Table, columns: Sequence[Column], *, first: int, arrow: bool) -> bytes:
    """Return the request for the rows of ``table``, of which ``first`` is the number of the first, counted from 1.

    Raises:
        CannotJudge: a column has a type that JSON cannot carry, and the predictor has no pyarrow.
    """
    header: dict[str, Json] = {"form": "arrow" if arrow else "json", "rows": table.num_rows, "first": first}
    return _frame(header, _arrow(table, columns) if arrow else _json(table, columns))


def read_answer(line: bytes, *keys: str) -> dict[str, Json]:
    """Return a message of the predictor: an object with exactly ``keys``, or with ``error``.

    Raises:
        CannotJudge: it is anything else.
    """
    message = parse_json(line, where=WHERE, floats=True)
    if not isinstance(message, dict) or set(message) not in (set(keys), {"error"}):
        raise CannotJudge(f"{WHERE} is not a message of the predictor; the candidate wrote to its channel")
    return message


def _frame(header: dict[str, Json], body: bytes) -> bytes:
    return b"%s\n%s" % (json.dumps({**header, "bytes": len(body)}).encode(), body)


def _arrow(table: pa.Table, columns: Sequence[Column]) -> bytes:
    # A schema of its own: metadata of a Parquet file may name its other columns.
    bare = pa.schema([(column.name, column.type) for column in columns])
    sent = pa.table([_copy(table.column(column.name), column.type) for column in columns], schema=bare)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, bare) as stream:
        stream.write_table(sent)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _copy(cells: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return the cells in buffers of their own: of a slice, IPC writes up to seven bytes of what lies behind it."""
    return pa.concat_arrays([*cells.chunks, pa.array([], kind)])


def _json(table: pa.Table, columns: Sequence[Column]) -> bytes:
    return json.dumps([_cells(table.column(column.name), column) for column in columns]).encode()


def _cells(cells: pa.ChunkedArray, column: Column) -> list[Json]:
    """Return a column's cells as JSON; of types that JSON does not have, as the text that the predictor reads."""
    plain = column.type
    if column.kind is not Kind.NATIVE or (pa.types.is_primitive(plain) and not pa.types.is_temporal(plain)):
        return list(cells.to_pylist())
    if pa.types.is_timestamp(plain) or pa.types.is_date(plain) or pa.types.is_decimal(plain):
        return list(cells.cast(pa.string()).to_pylist())
    if pa.types.is_binary(plain) or pa.types.is_large_binary(plain) or pa.types.is_fixed_size_binary(plain):
        return [None if cell is None else base64.b64encode(cell).decode() for cell in cells.to_pylist()]
    raise CannotJudge(
        f"the feature {column.name[:80]!r} has the type {plain}, which the model's environment reads with pyarrow "
        "alone; install pyarrow there"
    )
