"""What holds of a set in every format: ids, groups, answers among the features, labels, and one widening at most."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.data.jsonl import read_trusted
from minieval.data.labels import read_labels
from minieval.data.leaks import FIRST
from minieval.data.schema import TYPES, Column, Kind
from minieval.data.stream import open_eval_set
from minieval.task.document import CONVENTIONS
from tests.minieval.data.sets import read_all

PAD = "." * 70


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "x": "a", "expected": f"e{number % 7}", "buckets": ["b"], **more}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def many(start: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of more than one chunk."""
    return [row(number, pad=PAD, **more) for number in range(start, start + 10_000)]


@pytest.mark.parametrize("last", [1.5, None, "text"])
@pytest.mark.slow
def test_a_set_is_widened_once_however_late_its_kinds_show(last: Any, tmp_path: Path) -> None:
    """A large integer passes as an integer; the fraction or null long after it must not round it."""
    large = row(50_000, pad=PAD, x=2**53 + 1)
    rows = [*many(0, x=1), large, *many(100_000, x=2), row(60_000, pad=PAD, x=last)]
    found = read_all(write(tmp_path / "e.jsonl", rows))
    assert found.kinds["x"] is Kind.JSON
    assert [each["x"] for each in found.rows] == [each["x"] for each in rows]
    assert found.stream.reads.passes == {"e.jsonl": 2}


@settings(max_examples=40, deadline=None)
@given(
    blocks=st.lists(
        st.lists(st.sampled_from([1, -7, 2**53, 2**53 + 1, -(2**63), 2**63, 1.5, 1e300, None, True, "a", ["a"]])),
        min_size=1,
    )
)
@pytest.mark.slow
def test_at_most_two_passes_whatever_the_blocks_hold(
    blocks: list[list[Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each block is a file, and a chunk of its own; the first row is an integer, so that later ones widen."""
    folder = tmp_path_factory.mktemp("set")
    values = [1]
    for number, block in enumerate([[1], *blocks]):
        names = [row(1000 * number + place, x=value) for place, value in enumerate(block)]
        write(folder / f"{number:04d}.jsonl", names)
        values += block if number else []
    found = read_all(folder)
    assert [each["x"] for each in found.rows] == values
    assert [isinstance(each["x"], bool) for each in found.rows] == [isinstance(value, bool) for value in values]
    assert max(found.stream.reads.passes.values()) <= 2


@pytest.mark.parametrize("before", [0, 15_000], ids=["first", "later"])
def test_a_long_row_is_refused_wherever_it_stands(before: int, tmp_path: Path) -> None:
    rows = [row(number, pad=PAD) for number in range(before)]
    path = write(tmp_path / "e.jsonl", [*rows, row(90_000, pad="." * 1_100_000)])
    with pytest.raises(CannotJudge, match=f"line {before + 1}: .* a row has at most 1048576"):
        read_all(path)


def test_a_minus_zero_is_read_by_the_strict_reader() -> None:
    schema = (Column("x", Kind.NUMBER, TYPES[Kind.NUMBER]),)
    assert read_trusted(b'{"x": -0}\n', schema) is None
    assert read_trusted(b'{"x": -0.5}\n', schema) is not None


def test_accepted_answers_and_groups_may_be_missing_and_arrow_still_reads_them(tmp_path: Path) -> None:
    rows = [row(n, **({"accepted": [f"a{n}"], "group": "g"} if n % 2 else {})) for n in range(10)]
    path = write(tmp_path / "e.jsonl", rows)
    found = read_all(path)
    assert found.kinds["accepted"] is Kind.TEXTS
    assert [each["accepted"] for each in found.rows] == [each.get("accepted") for each in rows]
    schema = found.stream.schema
    assert read_trusted(path.read_bytes(), schema) is None
    assert read_trusted(path.read_bytes(), schema, frozenset({"accepted", "group"})) is not None
    assert found.stream.identity.groups == 6


LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "accepted as text": ({"accepted": "yes"}, "'accepted' is no list"),
    "accepted with a gap": ({"accepted": ["a", None]}, "an answer is missing in 'accepted'"),
    "no answer": ({"expected": None}, "no expected answer"),
    "a list as group": ({"group": ["a"]}, "names the row's group"),
    "an object as group": ({"group": {"a": 1}}, "names the row's group"),
    "no id": ({"id": None}, "the id is missing"),
    "a true id": ({"id": True}, "the id is 'True'"),
    "a fraction as id": ({"id": 1.5}, "the id is '1.5'"),
}


@pytest.mark.parametrize(("wrong", "words"), LABELS.values(), ids=LABELS)
def test_a_wrong_label_is_named(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", [row(0), row(1), row(2) | wrong])
    with pytest.raises(CannotJudge, match=f"line 3: .*{words}"):
        read_all(path)


def test_text_and_number_are_one_id(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=r"line 2: the id '1' is already in .*line 1"):
        read_all(write(tmp_path / "e.jsonl", [row(0, id=1), row(1, id="1")]))


def test_ids_and_groups_whose_hashes_are_equal_stay_apart(tmp_path: Path) -> None:
    """In Python, -1 and -2 have one hash."""
    found = read_all(write(tmp_path / "e.jsonl", [row(n, id=n, group=n) for n in (-1, -2)] + [row(3, id=3, group=-2)]))
    assert (found.stream.identity.rows, found.stream.identity.groups) == (3, 2)


groups = st.lists(st.none() | st.integers(-3, 3) | st.sampled_from(["", "1", "a", "-1"]), min_size=1, max_size=40)


@settings(max_examples=60)
@given(names=groups, size=st.integers(1, 50))
@pytest.mark.slow
def test_groups_are_those_of_a_dictionary(
    names: list[Any], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.mktemp("set") / "e.jsonl", [row(n, group=name) for n, name in enumerate(names)])
    keys = [("row", n) if name in (None, "") else (type(name), name) for n, name in enumerate(names)]
    numbers: dict[Any, int] = {}
    wanted = tuple(numbers.setdefault(key, len(numbers)) for key in keys)
    assert read_labels(path).groups == wanted
    counted = read_all(path, size=size).stream.identity.groups
    assert counted == (len(numbers) if len(numbers) < len(names) else None)


def test_rows_of_many_buckets_are_in_order(tmp_path: Path) -> None:
    rows = [row(n, buckets=[f"b{n % 5}", f"c{n % 3}"]) for n in range(100)]
    found = read_labels(write(tmp_path / "e.jsonl", rows)).buckets
    assert found == {
        **{f"b{k}": tuple(range(k, 100, 5)) for k in range(5)},
        **{f"c{k}": tuple(range(k, 100, 3)) for k in range(3)},
    }


LEAKS: dict[str, tuple[Any, Any, list[str]]] = {
    "text": ("e", "e", ["x"]),
    "text in white space": ("e", " e ", ["x"]),
    "another text": ("e", "f", []),
    "a list": (["e"], ["e"], ["x"]),
    "an object": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ["x"]),
    "inside an object": ("e", {"a": {"b": "e"}}, ["x.a.b"]),
    "inside a list": ("e", ["f", "e"], ["x[1]"]),
    "a number as text": (1, "1", ["x"]),
    "a whole number as a fraction": (1, 1.0, ["x"]),
    "a boolean": (True, True, ["x"]),
}


@pytest.mark.parametrize(("answer", "feature", "found"), LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("n", [2, 2 * FIRST + 1])
@pytest.mark.slow
def test_a_feature_that_is_the_answer_is_found(
    answer: Any, feature: Any, found: list[str], n: int, tmp_path: Path
) -> None:
    other = {"x": "zz", "expected": "zz"}
    paths = {"x.a.b": {"a": {"b": "zz"}}, "x[1]": ["f", "zz"]}
    first = row(0) | other | ({"x": paths[found[0]]} if found and found[0] in paths else {})
    rows = [first] + [row(k, x=feature, expected=answer, pad="p") for k in range(1, n)]
    rows[0]["pad"] = "p"
    assert list(read_all(write(tmp_path / "e.jsonl", rows)).stream.leaks) == found


@pytest.mark.parametrize("size", [1, 7, 999, 1000, 1001, 5000])
@pytest.mark.slow
def test_what_is_found_does_not_depend_on_the_batches(size: int, tmp_path: Path) -> None:
    rows = [row(n, x=f"e{n % 7}", y=f"e{n % 7}" if n >= 600 else "no") for n in range(3000)]
    rows[5]["x"] = "no"
    stream = read_all(write(tmp_path / "e.jsonl", rows), size=size).stream
    assert (stream.leaks, stream.suspects) == ((), (("x", 2999),))


def test_a_column_named_like_a_path_hides_nothing(tmp_path: Path) -> None:
    rows = [row(n, x={"a": f"e{n % 7}"}, **{"x.a": f"e{n % 7}"}) for n in range(20)]
    assert read_all(write(tmp_path / "e.jsonl", rows)).stream.leaks == ("x.a", "x.a")


def test_identity_is_known_after_a_whole_pass_only(tmp_path: Path) -> None:
    stream = open_eval_set(write(tmp_path / "e.jsonl", [row(n) for n in range(5)]), CONVENTIONS)
    with pytest.raises(ValueError, match="not read to its end"):
        _ = stream.identity
    batches = stream.batches(2)
    next(batches)
    with pytest.raises(ValueError, match="not read to its end"):
        _ = stream.identity
    assert Counter(len(batch.table) for batch in batches) == {2: 1, 1: 1}
    assert stream.identity.rows == 5


def test_a_file_that_joins_the_set_meanwhile_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [row(n) for n in range(5)])
    batches = open_eval_set(tmp_path, CONVENTIONS).batches(2)
    next(batches)
    write(tmp_path / "b.jsonl", [row(9)])
    with pytest.raises(IntegrityFailure, match="changed while they were read"):
        list(batches)


def test_formats_do_not_mix(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [row(1)])
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    with pytest.raises(CannotJudge, match=r"files in .jsonl or .parquet; keep the rows in one format"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("buckets", "words"), [(["a", ""], "has the bucket ''"), (["a\nb"], "no control"), ("a", "lists")]
)
@pytest.mark.parametrize("before", [2, 15_000], ids=["first chunk", "later"])
def test_the_row_with_a_wrong_bucket_is_named(buckets: Any, words: str, before: int, tmp_path: Path) -> None:
    rows = [row(number, pad=PAD) for number in range(before)]
    path = write(tmp_path / "e.jsonl", [*rows, row(90_000, pad=PAD, buckets=buckets), row(90_001, pad=PAD)])
    with pytest.raises(CannotJudge, match=f"line {before + 1}: .*{words}"):
        read_labels(path)
