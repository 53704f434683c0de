"""A request holds the columns that it is given and nothing else, in either form."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from minieval.contract.exits import CannotJudge
from minieval.data.schema import Column, Kind
from minieval.runner.wire import pack_rows, pack_setup
from tests.minieval.runner.tables import column, table

SECRET = "SECRET-0123456789abcdef"


@pytest.mark.parametrize("arrow", [True, False])
def test_no_label_and_no_metadata_is_in_a_request(arrow: bool) -> None:
    schema = pa.schema(
        [pa.field("prompt", pa.string(), metadata={"note": SECRET}), ("expected", pa.string())],
        metadata={"pandas": SECRET, "columns": "prompt expected"},
    )
    whole = pa.table([["p0", "p1", "p2"], [SECRET, SECRET, SECRET]], schema=schema)
    request = pack_rows(whole.slice(1, 1), [column("prompt", Kind.TEXT)], first=2, arrow=arrow)
    for word in (SECRET, "expected", "p0", "p2"):
        assert word.encode() not in request
    assert b"p1" in request


def test_a_slice_is_sent_without_its_neighbours() -> None:
    kinds = (Kind.TEXT, Kind.TEXTS, Kind.INTEGER, Kind.JSON)
    columns = [column(kind.value, kind) for kind in kinds]
    cells = {
        "text": "abc",
        "texts": [["d"], ["e"], ["f"]],
        "integer": [0x7171, 0x7272, 0x7373],
        "json": ["g", "h", "i"],
    }
    whole = table(columns, cells)
    alone = table(columns, {name: [values[1]] for name, values in cells.items()})
    assert pack_rows(whole.slice(1, 1), columns, first=1, arrow=True) == pack_rows(alone, columns, first=1, arrow=True)


def test_a_request_is_a_line_and_as_many_bytes_as_it_names() -> None:
    columns = [column("a", Kind.TEXT), column("n", Kind.NUMBER)]
    rows = pa.table({"n": [1.5, None], "a": ["x\n", None]})
    for arrow in (True, False):
        line, _, body = pack_rows(rows, columns, first=7, arrow=arrow).partition(b"\n")
        form = "arrow" if arrow else "json"
        assert json.loads(line) == {"form": form, "rows": 2, "first": 7, "bytes": len(body)}
    assert json.loads(body) == [["x\n", None], [1.5, None]]
    line, _, body = pack_setup(columns, {"beams": 2}, ["a"]).partition(b"\n")
    assert json.loads(line) == {"form": "setup", "bytes": len(body)}
    assert json.loads(body) == {
        "columns": [{"name": "a", "kind": "text", "type": "string"}, {"name": "n", "kind": "number", "type": "double"}],
        "params": {"beams": 2},
        "files": ["a"],
    }


def test_a_type_that_json_cannot_carry_needs_pyarrow_at_the_model() -> None:
    nested = Column("v", Kind.NATIVE, pa.list_(pa.float32()))
    rows = pa.table({"v": pa.array([[1.0]], nested.type)})
    with pytest.raises(CannotJudge, match=r"'v' has the type list<.*install pyarrow there"):
        pack_rows(rows, [nested], first=1, arrow=False)
