"""Parquet: the types of the file are kept, exactly, and labels of every type are JSON values."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge
from minieval.data.labels import read_labels
from minieval.data.schema import Kind
from minieval.data.stream import open_eval_set
from minieval.runner.wire import pack_rows, pack_setup
from minieval.task.document import Task, parse_task
from tests.minieval.data.sets import BY_COLUMN, read_all


def task(more: str = "", buckets: str = 'columns = ["region"]') -> Task:
    text = f'schema = "minieval.task/1"\nid = "id"\nexpected = "label"\n{more}\n[buckets]\n{buckets}\n'
    return parse_task(text.encode(), where="task.toml")


LISTS = task(buckets='lists = ["region"]')
BASE: dict[str, Any] = {"id": ["a", "b", "c"], "label": ["x", "y", "x"], "region": ["eu", "us", "eu"], "x": [1, 2, 3]}


def save(folder: Path, columns: dict[str, Any], *, group: int = 1000) -> Path:
    path = folder / "e.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=group)
    return path


A = pa.array
TYPES: dict[str, tuple[Any, Kind, list[Any]]] = {
    "small integers": (A([1, 2, 3], pa.int8()), Kind.INTEGER, [1, 2, 3]),
    "integers, one missing": (A([1, None, 3], pa.int16()), Kind.NUMBER, [1.0, None, 3.0]),
    "2^53, and a missing one": (A([2**53, None, 3]), Kind.NUMBER, [2.0**53, None, 3.0]),
    "2^53 + 1, and a missing one": (A([2**53 + 1, None, 3]), Kind.JSON, [2**53 + 1, None, 3]),
    "unsigned": (A([2**62, 1, 3], pa.uint64()), Kind.INTEGER, [2**62, 1, 3]),
    "unsigned beyond 63 bits": (A([2**63 + 1, 1, 3], pa.uint64()), Kind.JSON, [2**63 + 1, 1, 3]),
    "booleans, one missing": (A([True, None, False]), Kind.JSON, [True, None, False]),
    "short floats": (A([1.5, None, 2.5], pa.float32()), Kind.NATIVE, [1.5, None, 2.5]),
    "categories": (A(["a", None, "b"]).dictionary_encode(), Kind.TEXT, ["a", None, "b"]),
    "categories of integers": (A([2**60 + 1, None, 2]).dictionary_encode(), Kind.JSON, [2**60 + 1, None, 2]),
    "large text": (A(["a", "b", "c"], pa.large_string()), Kind.TEXT, ["a", "b", "c"]),
    "views of text": (A(["a", "b", "c"], pa.string_view()), Kind.TEXT, ["a", "b", "c"]),
    "lists of text": (A([["a"], [], ["b", "c"]], pa.large_list(pa.string())), Kind.TEXTS, [["a"], [], ["b", "c"]]),
    "lists of numbers": (A([[1], None, []]), Kind.NATIVE, [[1], None, []]),
    "bytes": (A([b"a", b"\xff", None]), Kind.NATIVE, ["YQ==", "/w==", None]),
    "decimals": (A([Decimal("0.1"), None, Decimal("2.50")]), Kind.NATIVE, [0.1, None, 2.5]),
    "dates": (A([datetime.date(2024, 2, 1)] * 3), Kind.NATIVE, ["2024-02-01"] * 3),
    "times": (A([1_700_000_000, None, 0], pa.timestamp("s")), Kind.NATIVE,
              ["2023-11-14T22:13:20", None, "1970-01-01T00:00:00"]),
    "whole microseconds": (A([1000, None, 0], pa.timestamp("ns")), Kind.NATIVE,
                           ["1970-01-01T00:00:00.000001", None, "1970-01-01T00:00:00"]),
    "a date beyond Python's": (A([0, None, 3], pa.date32()), Kind.NATIVE, ["1970-01-01", None, "1970-01-04"]),
    "durations": (A([1500, None, 0], pa.duration("ms")), Kind.NATIVE, [1.5, None, 0.0]),
    "objects": (A([{"a": 1}, None, {"a": Decimal("1.5")}]), Kind.NATIVE, [{"a": 1.0}, None, {"a": 1.5}]),
    "nothing": (pa.nulls(3), Kind.NATIVE, [None, None, None]),
}  # fmt: skip


@pytest.mark.parametrize(("column", "kind", "values"), TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("group", [1000, 1], ids=["one row group", "three"])
def test_types_are_kept(column: Any, kind: Kind, values: list[Any], group: int, tmp_path: Path) -> None:
    found = read_all(save(tmp_path, BASE | {"x": column}, group=group), BY_COLUMN, size=2)
    assert found.kinds["x"] is kind
    assert [each["x"] for each in found.rows] == values
    assert [type(each["x"]) for each in found.rows] == [type(value) for value in values]


@settings(max_examples=60)
@given(
    values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), min_size=1, max_size=30),
    size=st.integers(1, 40),
    group=st.integers(1, 40),
)
@pytest.mark.slow
def test_an_integer_is_never_rounded(
    values: list[int | None], size: int, group: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    n = len(values)
    columns = {"id": list(range(n)), "label": ["a"] * n, "region": ["eu"] * n, "x": A(values, pa.int64())}
    found = read_all(save(tmp_path_factory.mktemp("parquet"), columns, group=group), BY_COLUMN, size=size)
    assert [None if each["x"] is None else int(each["x"]) for each in found.rows] == values


def test_a_dotted_column_beside_an_object_of_that_path(tmp_path: Path) -> None:
    both = {"x": [{"b": 1}, {"b": 2}, {"b": None}], "x.b": [1, 2, None]}
    found = read_all(save(tmp_path, BASE | both), BY_COLUMN)
    assert [(each["x"]["b"], each["x.b"]) for each in found.rows] == [(1, 1.0), (2, 2.0), (None, None)]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.string(), 1)])
def test_bucket_names_may_be_any_list_of_text(kind: pa.DataType, tmp_path: Path) -> None:
    path = save(tmp_path, BASE | {"region": A([["eu"], ["us"], ["eu"]], kind)})
    assert read_labels(path, LISTS).buckets == {"eu": (0, 2), "us": (1,)}


@pytest.mark.slow
def test_a_pass_and_what_it_holds(tmp_path: Path) -> None:
    n = 40_000
    path = save(tmp_path, {"id": list(range(n)), "label": ["a", "b"] * (n // 2), "region": ["eu"] * n, "x": [1.5] * n})
    found = read_all(path, BY_COLUMN, size=1000)
    assert found.sizes == [1000] * 40
    assert found.stream.reads.passes == {"e.parquet": 1}
    assert found.stream.reads.most_rows <= 16_384 + 1000
    assert found.stream.identity == identify(path).model_copy(update={"rows": n})


@pytest.mark.slow
def test_long_rows_come_in_small_chunks(tmp_path: Path) -> None:
    n = 800
    longs = [f"{number:05d}".encode() * 12_000 for number in range(n)]
    columns = {"id": list(range(n)), "label": ["a", "b"] * (n // 2), "region": ["eu"] * n, "x": longs}
    path = tmp_path / "e.parquet"
    parquet.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    stream = read_all(path, BY_COLUMN, size=16).stream
    assert stream.reads.most_bytes < 24 * 1024 * 1024 < sum(map(len, longs))
    assert stream.reads.most_rows < n // 2


REFUSED: dict[str, tuple[dict[str, Any], Task, str]] = {
    "no answer": ({"label": ["a", None, "c"]}, BY_COLUMN, "row 2: no expected answer"),
    "NaN as the answer": ({"label": [1.0, 2.0, float("nan")]}, BY_COLUMN, "row 3: no expected answer"),
    "no id": ({"id": [1, None, 3]}, BY_COLUMN, "row 2: the id is missing"),
    "an id twice": ({"id": [1, 2, 1]}, BY_COLUMN, "row 3: the id '1' is already in .*row 1"),
    "a fraction as id": ({"id": [1.0, 2.0, 3.0]}, BY_COLUMN, "row 1: the id is '1.0'"),
    "no list of buckets": ({"region": [["eu"], None, ["eu"]]}, LISTS, "row 2: a name is missing in 'region'"),
    "a bucket without a name": ({"region": [["eu"], [None], ["eu"]]}, LISTS, "row 2: a name is missing in 'region'"),
    "an empty list": ({"region": [["eu"], [], ["eu"]]}, LISTS, "row 2: the row is in no bucket"),
    "a bucket twice": ({"region": [["eu"], ["a", "b", "a"], ["eu"]]}, LISTS, "row 2: a bucket is twice"),
    "buckets as text": ({}, LISTS, "'region' lists buckets"),
    "views of lists": ({"region": A([["a"]] * 3, pa.list_view(pa.string()))}, LISTS, "'region' lists buckets"),
    "a type": ({}, task('types = { x = "integer" }'), "types.x: a Parquet file has types of its own"),
    "accepted text": ({"acc": ["a", None, "c"]}, task('accepted = "acc"'), "'acc' has other accepted answers"),
    "an accepted gap": ({"acc": [["a"], None, [None]]}, task('accepted = "acc"'), "row 3: an answer is missing"),
    "a list as group": ({"g": [["a"], ["a"], ["b"]]}, task('group = "g"'), "row 1: .* names the row's group"),
}


@pytest.mark.parametrize(("columns", "how", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named(columns: dict[str, Any], how: Task, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=words):
        read_labels(save(tmp_path, BASE | columns), how)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    names = ["id", "label", "region", "x", "x"]
    table = pa.Table.from_arrays([A(BASE[name]) for name in names], names)
    parquet.write_table(table, tmp_path / "e.parquet")
    with pytest.raises(CannotJudge, match="two columns have one name"):
        read_all(tmp_path / "e.parquet", BY_COLUMN)


@pytest.mark.parametrize("place", range(4, 1400, 23))
def test_a_damaged_file_is_refused_or_read_and_never_a_traceback(place: int, tmp_path: Path) -> None:
    path = save(tmp_path, BASE)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 0x83
    path.write_bytes(data)
    try:
        read_all(path, BY_COLUMN)
    except CannotJudge as error:
        assert str(tmp_path) in str(error)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not Parquet at all"])
def test_another_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.parquet").write_bytes(data)
    with pytest.raises(CannotJudge, match="not a Parquet file"):
        read_all(tmp_path / "e.parquet", BY_COLUMN)


def test_files_of_other_types_are_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table(BASE), tmp_path / "a.parquet")
    parquet.write_table(pa.table(BASE | {"x": ["1", "2", "3"]}), tmp_path / "b.parquet")
    with pytest.raises(CannotJudge, match=r"b.parquet: has other columns or types than .*a.parquet"):
        read_all(tmp_path, BY_COLUMN)


NOTED = {"metadata": {b"hint": b"NOTED"}}
NESTED: dict[str, pa.DataType] = {
    "an object": pa.struct([pa.field("t", pa.string(), **NOTED)]),
    "an object of categories": pa.struct([pa.field("t", pa.dictionary(pa.int32(), pa.string()))]),
    "an object of views": pa.struct([pa.field("t", pa.string_view())]),
    "a list of objects": pa.list_(pa.struct([pa.field("t", pa.dictionary(pa.int32(), pa.string()), **NOTED)])),
    "bytes": pa.binary_view(),
    "a map": pa.map_(pa.string(), pa.field("value", pa.dictionary(pa.int32(), pa.string()), **NOTED)),
}


@pytest.mark.parametrize("kind", NESTED.values(), ids=NESTED)
def test_a_model_gets_neither_metadata_nor_other_rows_with_a_nested_feature(kind: pa.DataType, tmp_path: Path) -> None:
    def cell(number: int) -> Any:
        text = f"a value of row number {number}"
        if pa.types.is_binary_view(kind):
            return text.encode()
        if pa.types.is_map(kind):
            return [("t", text)]
        return [{"t": text}] if pa.types.is_list(kind) else {"t": text}

    ids = [f"row-{number}" for number in range(9)]
    cells = pa.array([cell(number) for number in range(9)], kind)
    path = save(tmp_path, {"id": ids, "label": ["x", "y", "z"] * 3, "region": ["eu"] * 9, "x": cells})
    stream = open_eval_set(path, task())
    columns = [column for column in stream.schema if column.name == "x"]
    first, *_ = stream.batches(2)
    sent = pack_setup(columns, {}, []) + pack_rows(first.features, columns, first=1, arrow=True)
    assert b"row number 0" in sent and b"row number 1" in sent
    assert not any(b"row number %d" % number in sent for number in range(2, 9))
    assert b"NOTED" not in sent


def test_a_declared_size_is_bounded_before_a_cell_is_read(tmp_path: Path) -> None:
    long = ["".join(f"{row} {word}," for word in range(3000)) for row in range(3)]
    path = save(tmp_path, BASE | {"x": long})
    found = parquet.ParquetFile(path).metadata.row_group(0).column(3)
    assert found.path_in_schema == "x"
    whole = path.read_bytes()
    path.write_bytes(declare(whole, found.total_uncompressed_size, 2**40))
    assert parquet.ParquetFile(path).metadata.row_group(0).column(3).total_uncompressed_size == 2**40
    sentence = rf"the column 'x' declares {2**40} bytes in row group 1, and at most {2**31} can be read at once"
    with pytest.raises(CannotJudge, match=sentence):
        open_eval_set(path, task())
    # A column that the task leaves out is not read.
    assert read_all(path, task('features = ["region"]')).stream.identity.rows == 3
    path.write_bytes(declare(whole, found.total_uncompressed_size, -1))
    with pytest.raises(CannotJudge, match="the column 'x' declares -1 bytes"):
        open_eval_set(path, task())


def declare(data: bytes, old: int, new: int) -> bytes:
    """A Parquet file with another number in its metadata (Thrift's compact protocol, before the last eight bytes)."""
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    assert footer.count(varint(old)) >= 1
    footer = footer.replace(varint(old), varint(new))
    return data[: -8 - size] + footer + len(footer).to_bytes(4, "little") + data[-4:]


def varint(value: int) -> bytes:
    """An integer as the compact protocol writes it: zigzag, seven bits a byte, the lowest first."""
    value = value << 1 if value >= 0 else ~(value << 1)
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])
