"""The names of buckets: valid, one for each value; and the rows that are in each, whatever the batches are."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from minieval.contract.exits import CannotJudge
from minieval.contract.fields import Name
from minieval.task.buckets import BucketReader, name_bins, name_value
from minieval.task.columns import assign_roles
from minieval.task.document import Task, parse_task

is_name = TypeAdapter(Name).validate_python


def task(buckets: str) -> Task:
    return parse_task(f'schema = "minieval.task/1"\n[buckets]\n{buckets}'.encode(), where="task.toml")


def read(buckets: str, *tables: dict[str, Any]) -> dict[str, list[int]]:
    """Return the rows of each bucket, numbered over all tables from 0."""
    wanted = task(buckets)
    names = [*tables[0], "expected", "x"]
    reader = BucketReader(wanted, assign_roles(wanted, names, where="set"))
    found: dict[str, list[int]] = {}
    start = 0
    for columns in tables:
        table = pa.table(columns)
        rows, codes = reader.read(table, lambda index, start=start: f"row {start + index}")  # type: ignore[misc]
        for row, code in zip(rows.tolist(), codes.tolist(), strict=True):
            found.setdefault(reader.names[code], []).append(start + row)
        start += len(table)
    assert set(found) == set(reader.names), "no bucket is without a row"
    assert len(set(reader.names)) == len(reader.names)
    return found


def test_names_in_lists_are_taken_as_they_are() -> None:
    lists = [["tense.past", "hard"], ["tense.past"], ["a/b %", "hard"]]
    assert read("lists = ['b']", {"b": lists}) == {"tense.past": [0, 1], "hard": [0, 2], "a/b %": [2]}
    assert read("lists = ['b']", {"b": lists[:1]}, {"b": lists[1:]}) == read("lists = ['b']", {"b": lists})


def test_values_name_buckets() -> None:
    found = read("columns = ['region', 'vip']", {"region": ["eu", None, "us", "eu"], "vip": [True, True, False, True]})
    assert found == {
        "region.eu": [0, 3],
        "region.(null)": [1],
        "region.us": [2],
        "vip.true": [0, 1, 3],
        "vip.false": [2],
    }
    assert read("columns = ['n']", {"n": pa.array([1, 20], pa.int64())}) == {"n.1": [0], "n.20": [1]}
    assert read("columns = ['n']", {"n": [1.0, 0.5, float("nan")]}) == {"n.1": [0], "n.0.5": [1], "n.(null)": [2]}


NATIVE: dict[str, tuple[pa.Array, list[str]]] = {
    "32 bits": (pa.array([0.7, 1e20, None], pa.float32()), ["0.7", "1" + "0" * 20, "(null)"]),
    "16 bits": (pa.array([0.5, 2, None], pa.float16()), ["0.5", "2", "(null)"]),
    "a date": (pa.array([0, -5, None], pa.date32()), ["1970-01-01", "1969-12-27", "(null)"]),
    "a date that Python has not": (
        pa.array([2**31 - 1, 2**31 - 2], pa.date32()), [f"<value out of range: {2**31 - each}>" for each in (1, 2)]
    ),
    "nanoseconds": (
        pa.array([1, 10**9], pa.timestamp("ns")), ["1970-01-01 00:00:00.000000001", "1970-01-01 00:00:01"]
    ),
    "a time zone": (pa.array([0], pa.timestamp("us", "Europe/Berlin")), ["1970-01-01 00:00:00Z"]),
    "a time zone that is none": (pa.array([0], pa.timestamp("us", "Nowhere/X")), ["1970-01-01 00:00:00Z"]),
    "a time": (pa.array([61_000, 500], pa.time32("ms")), ["00:01:01", "00:00:00.500"]),
    "a duration": (pa.array([1, None], pa.duration("ns")), ["1 ns", "(null)"]),
    "a decimal": (pa.array([Decimal("1.50"), None]), ["1.50", "(null)"]),
    "bytes": (pa.array([b"a\xff", b""]), ["61ff", "(empty)"]),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "names"), NATIVE.values(), ids=NATIVE)
def test_values_of_other_types_are_named_without_pandas_or_a_time_zone(cells: pa.Array, names: list[str]) -> None:
    assert read("columns = ['v']", {"v": cells}) == {f"v.{name}": [row] for row, name in enumerate(names)}
    found = read("cross = [['v', 'r']]", {"v": cells, "r": ["x"] * len(cells)})
    assert list(found) == [f"v.{name}/r.x" for name in names]


def test_a_float_of_32_bits_is_in_the_bin_that_a_person_expects() -> None:
    """0.7 in 32 bits lies below seven tenths."""
    cells = pa.array([0.7, 0.699999, 0.1, None], pa.float32())
    assert read("bins = { p = [0.7] }", {"p": cells}) == {"p.<0.7": [1, 2], "p.>=0.7": [0], "p.(null)": [3]}


def test_crosses_join_names() -> None:
    columns = {"region": ["eu", "us", "eu"], "label": [1, 1, 0]}
    assert read("cross = [['region', 'label']]", columns) == {
        "region.eu/label.1": [0], "region.us/label.1": [1], "region.eu/label.0": [2]
    }  # fmt: skip
    found = read("bins = { age = [18] }\ncross = [['region', 'age', 'label']]", {**columns, "age": [17, 18, 40]})
    assert set(found) == {
        "age.<18", "age.>=18", "region.eu/age.<18/label.1", "region.us/age.>=18/label.1", "region.eu/age.>=18/label.0"
    }  # fmt: skip


def test_bins_are_half_open_and_a_bin_without_a_row_is_no_bucket() -> None:
    ages = pa.array([17, 18, 64, 65, None, 100], pa.int64())
    assert read("bins = { age = [18, 65, 200] }", {"age": ages}) == {
        "age.<18": [0], "age.18-65": [1, 2], "age.65-200": [3, 5], "age.(null)": [4]
    }  # fmt: skip
    scores = pa.array([0.1, 0.3, float("nan"), None])
    assert read("bins = { p = [0.3] }", {"p": scores}) == {"p.<0.3": [0], "p.>=0.3": [1], "p.(null)": [2, 3]}


def test_bins_of_large_integers_are_exact() -> None:
    large = 2**53
    found = read(f"bins = {{ n = [{large + 1}] }}", {"n": pa.array([large, large + 1], pa.int64())})
    assert list(found.values()) == [[0], [1]]
    # Neither the edge nor the value is lost where the other one is no integer of 64 bits.
    assert read("bins = { n = [0.5] }", {"n": pa.array([large + 1, 0], pa.int64())}) == {
        "n.>=0.5": [0],
        "n.<0.5": [1],
    }
    assert read(f"bins = {{ n = [{10**30}] }}", {"n": pa.array([5], pa.int64())}) == {f"n.<{10**30}": [0]}


def test_a_slice_of_a_table_has_its_own_rows() -> None:
    """Batches are slices of what a reader gave: an offset must not move a value."""
    whole = pa.table({"b": [["a"], ["b", "c"], ["c"], ["a", "b"]], "n": [1, 2, 3, 4], "t": [True, False, True, True]})
    wanted = task("lists = ['b']\nbins = { n = [3] }\ncolumns = ['t']")
    roles = assign_roles(wanted, ["b", "n", "t", "expected", "x"], where="set")
    reader = BucketReader(wanted, roles)
    rows, codes = reader.read(whole.slice(1, 2), str)
    found = sorted((row, reader.names[code]) for row, code in zip(rows.tolist(), codes.tolist(), strict=True))
    assert found == [
        (0, "b"), (0, "c"), (0, "n.<3"), (0, "t.false"), (1, "c"), (1, "n.>=3"), (1, "t.true")
    ]  # fmt: skip


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no bucket": ("lists = ['b']", {"b": [["a"], []]}, "row 1: the row is in no bucket; name .* in 'b'"),
    "no bucket in two lists": (
        "lists = ['b', 'c']", {"b": [["a"], ["d"], []], "c": [["x"], [], []]}, "row 2: the row is in no bucket"
    ),
    "a missing list": ("lists = ['b']", {"b": [["a"], None]}, "row 1: the row is in no bucket"),
    "a missing name": ("lists = ['b']", {"b": [["a"], ["a", None]]}, "row 1: 'b' lists a null; name a bucket"),
    "a bucket twice": ("lists = ['b']", {"b": [["a"], ["c", "a", "d", "a"]]}, "row 1: a bucket is twice in 'b'"),
    "a name without a character": ("lists = ['b']", {"b": [[""]]}, "row 0: 'b' has the bucket ''; a name has 1 to 200"),
    "a control character": ("lists = ['b']", {"b": [["a\n"]]}, "a name has 1 to 200 characters and no control"),
    "a long name": ("lists = ['b']", {"b": [["a" * 201]]}, "a name has 1 to 200"),
    "too many": ("columns = ['n']", {"n": list(range(10_001))}, "more than 10000 buckets; the last is 'n.10000'"),
    "two sources of one name": (
        "lists = ['b']\ncolumns = ['r']", {"b": [["r.eu"]], "r": ["eu"]}, "the bucket 'r.eu' is made by 'b' and by 'r'"
    ),
    "two lists of one name": ("lists = ['b', 'c']", {"b": [["x"]], "c": [["x"]]}, "is made by 'b' and by 'c'"),
    "lists as values": ("columns = ['v']", {"v": [["a"]]}, "'v' holds lists or objects, which make no buckets"),
    "bins of text": ("bins = { age = [18] }", {"age": ["20"]}, r"'age' has bins and is string; .* in \[types\]"),
}  # fmt: skip


@pytest.mark.parametrize(("buckets", "columns", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_counted_is_refused_with_its_row(buckets: str, columns: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotJudge, match=f"^row .*{words.removeprefix('row 0: ').removeprefix('row ')}"):
        read(buckets, columns)


texts = (
    st.text(max_size=8) | st.text("ab./~%()\n", max_size=300) | st.sampled_from(["(null)", "(empty)", "true", "1", ""])
)
values = st.none() | texts
numbers = st.none() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False)


@given(st.tuples(texts, values), st.tuples(texts, values))
def test_different_values_never_share_a_name(first: tuple[str, Any], second: tuple[str, Any]) -> None:
    names = [name_value(column, value) for column, value in (first, second)]
    assert (names[0] == names[1]) == (first == second)
    assert all(is_name(name) == name for name in names)


@given(numbers, numbers)
def test_numbers_share_a_name_when_they_are_equal(first: Any, second: Any) -> None:
    assert (name_value("n", first) == name_value("n", second)) == (first == second)


@given(st.lists(st.tuples(texts, texts, st.booleans() | st.none()), min_size=1, max_size=30), st.integers(1, 30), texts)
@pytest.mark.slow
def test_crosses_hold_each_row_once_and_no_two_groups_share_a_bucket(
    rows: Sequence[tuple[str, str, bool | None]], size: int, column: str
) -> None:
    """Against a plain grouping, cut into batches of any size."""
    first = f"a{column}"
    wanted = Task.model_validate({"buckets": {"cross": [[first if first.isprintable() else "a", "b", "c"]]}})
    names = wanted.buckets.named
    reader = BucketReader(wanted, assign_roles(wanted, [*names, "expected", "x"], where="set"))
    types = [pa.string(), pa.string(), pa.bool_()]
    given_rows: dict[str, set[tuple[Any, ...]]] = {}
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        cells = [
            pa.array(column_cells, type_) for column_cells, type_ in zip(zip(*part, strict=True), types, strict=True)
        ]
        found, codes = reader.read(pa.table(dict(zip(names, cells, strict=True))), str)
        assert found.tolist() == list(range(len(part)))
        for row, code in zip(part, codes.tolist(), strict=True):
            given_rows.setdefault(reader.names[code], set()).add(row)
    assert all(len(different) == 1 for different in given_rows.values())
    assert len(given_rows) == len(set(rows)) == len(reader.names)
    assert all(is_name(name) for name in reader.names)


edges = st.lists(st.integers(-100, 100), min_size=1, max_size=6, unique=True).map(sorted)


@given(edges, st.lists(st.integers(-120, 120) | st.none(), min_size=1, max_size=40))
@pytest.mark.slow
def test_each_number_is_in_the_bin_that_holds_it(limits: list[int], ages: list[int | None]) -> None:
    labels = name_bins("n", [Decimal(edge) for edge in limits])
    expected: dict[str, list[int]] = {}
    for row, age in enumerate(ages):
        label = "n.(null)" if age is None else labels[sum(edge <= age for edge in limits)]
        expected.setdefault(label, []).append(row)
    assert read(f"bins = {{ n = {limits} }}", {"n": pa.array(ages, pa.int64())}) == expected
    halves = pa.array([None if age is None else float(age) for age in ages], pa.float64())
    assert read(f"bins = {{ n = {limits} }}", {"n": halves}) == expected
