"""Batches of features written by hand, and a predictor for a bundle."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from minieval.contract.bundle import stage
from minieval.data.schema import Column, Kind
from minieval.runner import sandbox
from minieval.runner.child import Limits
from minieval.runner.predictions import Predictor
from minieval.runner.sandbox import Isolation

TYPES = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.JSON: pa.string(),
}


def column(name: str, kind: Kind, type_: pa.DataType | None = None) -> Column:
    """A column of a kind, with that kind's type."""
    return Column(name, kind, type_ or TYPES[kind])


def table(columns: Sequence[Column], cells: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table of Python values; those of a JSON column are written as their text."""
    arrays = [
        pa.array([json.dumps(x) for x in cells[c.name]] if c.kind is Kind.JSON else cells[c.name], c.type)
        for c in columns
    ]
    return pa.table(arrays, names=[c.name for c in columns])


@contextlib.contextmanager
def predictor(
    bundle: Path, *, isolation: Isolation = Isolation.PROCESS, files: Path | None = None, arrow: bool = True
) -> Iterator[Predictor]:
    """A predictor that has loaded the bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        staged, home, eval_set = Path(scratch, "bundle"), Path(scratch, "home"), Path(scratch, "eval", "set.jsonl")
        home.mkdir()
        stage(bundle, staged)
        start = sandbox.start(isolation, bundle=staged, eval_set=eval_set, home=home, limits=Limits(), files=files)
        with start as child:
            found = Predictor(child)
            found.wait_until_ready()
            found.arrow = found.arrow and arrow
            yield found


def predict_in_batches(
    found: Predictor, columns: Sequence[Column], features: pa.Table, size: int, params: Mapping[str, Any] | None = None
) -> list[Any]:
    """Every answer, asked for in batches of a size."""
    found.configure(columns, params or {})
    starts = range(0, features.num_rows, size)
    return [answer for start in starts for answer in found.predict(features.slice(start, size), first=start + 1)]
