"""The requests to a predictor: one line of JSON, and as many bytes as it names. `predictor.py` reads them.

- Features go as one Arrow stream a batch, or as a JSON object of lists where the predictor's environment has no Arrow.
- Only the columns that are given are sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
from pyarrow import ipc

from minieval.contract.documents import Json
from minieval.data.schema import Column


def encode_setup(
    columns: Sequence[Column], files: Sequence[str], params: Mapping[str, Json], column: str | None
) -> bytes:
    """Return the request that comes first: the kinds of the columns, and what the model is given beside them."""
    setup = {
        "columns": {each.name: each.kind.value for each in columns},
        "files": list(files),
        "params": dict(params),
        "column": column,
    }
    return _frame("setup", json.dumps(setup, default=float).encode(), rows=0)


def encode_rows(table: pa.Table, *, arrow: bool) -> bytes:
    """Return the request for the answers to one batch of features."""
    if not arrow:
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
        return _frame("json", json.dumps(columns, default=str).encode(), rows=len(table))
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return _frame("arrow", sink.getvalue().to_pybytes(), rows=len(table))


def _frame(form: str, body: bytes, *, rows: int) -> bytes:
    return json.dumps({"form": form, "rows": rows, "bytes": len(body)}).encode() + b"\n" + body
