"""JSONL: the kinds of its columns, what is refused and where, and that no cut into chunks or batches matters."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge
from minieval.data.files import CHUNK
from minieval.data.jsonl import read_trusted
from minieval.data.schema import TYPES, Column, Kind
from minieval.data.strict import Seeing, parse_rows
from tests.minieval.data.sets import read_all


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "x": "a", "expected": f"e{number % 7}", "buckets": ["b"], **more}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


KINDS = {
    "booleans": ([True, False], Kind.BOOLEAN),
    "booleans, one missing": ([True, None], Kind.JSON),
    "integers": ([1, -3], Kind.INTEGER),
    "integers of 64 bits": ([1, 2**53 + 1], Kind.INTEGER),
    "integers beyond 64 bits": ([1, 2**70], Kind.JSON),
    "integers, one missing": ([20, None], Kind.NUMBER),
    "an integer that no float holds, and a missing one": ([20, 2**53 + 1, None], Kind.JSON),
    "an integer that no float holds, and a fraction": ([2**53 + 1, 1.5], Kind.JSON),
    "integers and fractions": ([1, 2.5], Kind.NUMBER),
    "text": (["a", "2024-01-01"], Kind.TEXT),
    "text, one missing": (["a", None], Kind.TEXT),
    "lists of text": ([["a"], []], Kind.TEXTS),
    "lists of numbers": ([[1], [2]], Kind.JSON),
    "objects": ([{"a": 1}, {"b": None}], Kind.JSON),
    "text and numbers": (["a", 1], Kind.JSON),
}


@pytest.mark.parametrize(("values", "kind"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("filler", [0, 12_000], ids=["at once", "after the first chunk"])
@pytest.mark.slow
def test_a_column_has_one_kind_over_the_whole_set_and_every_value_is_kept(
    values: list[Any], kind: Kind, filler: int, tmp_path: Path
) -> None:
    """The values that widen a column may come first, or long after the first chunk."""
    column = [values[0]] * filler + values
    rows = [row(number, x=value, pad="." * 60) for number, value in enumerate(column)]
    found = read_all(write(tmp_path / "e.jsonl", rows))
    assert found.kinds["x"] is kind
    assert [each["x"] for each in found.rows] == column
    assert [type(each["x"]) for each in found.rows] == [
        float if kind is Kind.NUMBER and value is not None else type(value) for value in column
    ]
    assert found.stream.identity.rows == len(column)
    passes = found.stream.reads.passes["e.jsonl"]
    assert passes <= 2, "the set is read once, and once more where its first chunk does not show the kinds"


@pytest.mark.slow
def test_one_pass_and_no_more_than_a_chunk_and_a_batch_is_held(tmp_path: Path) -> None:
    rows = [row(number, x="." * 100) for number in range(30_000)]
    path = write(tmp_path / "e.jsonl", rows)
    found = read_all(path, size=1024)
    assert found.sizes == [1024] * 29 + [304]
    assert found.stream.reads.passes == {"e.jsonl": 1}
    a_chunk = CHUNK // (path.stat().st_size // 30_000) + 2
    assert found.stream.reads.most_rows <= a_chunk + 1024
    assert found.stream.identity == identify(path).model_copy(update={"rows": 30_000})


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=60)
@given(column=st.lists(cells, min_size=1, max_size=30), size=st.integers(1, 40), chunk=st.integers(60, 4000))
@pytest.mark.slow
def test_no_cut_matters(column: list[Any], size: int, chunk: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the chunks and the batches, the rows, their places and the kinds are those of one chunk."""
    from minieval.data import files, jsonl

    path = write(tmp_path_factory.mktemp("cut") / "e.jsonl", [row(n, x=value) for n, value in enumerate(column)])
    whole = read_all(path, size=1000)
    before = files.CHUNK
    files.CHUNK = jsonl.CHUNK = chunk  # type: ignore[attr-defined]
    try:
        cut = read_all(path, size=size)
    finally:
        files.CHUNK = jsonl.CHUNK = before  # type: ignore[attr-defined]
    assert [json.dumps(each) for each in cut.rows] == [json.dumps(each) for each in whole.rows]
    assert (cut.kinds, cut.places, cut.stream.identity) == (whole.kinds, whole.places, whole.stream.identity)
    assert [json.loads(json.dumps(each["x"])) for each in cut.rows] == [json.loads(json.dumps(v)) for v in column]


simple = {
    Kind.BOOLEAN: st.booleans(),
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.floats(-(2.0**52), 2.0**52),
    Kind.TEXT: st.text(max_size=8),
    Kind.TEXTS: st.lists(st.text(max_size=4), max_size=3),
}


@given(st.data())
@pytest.mark.slow
def test_arrow_reads_what_the_strict_reader_reads_or_declines(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(simple)), min_size=1, max_size=4))
    schema = tuple(Column(f"c{i}", kind, TYPES[kind]) for i, kind in enumerate(kinds))
    one = st.fixed_dictionaries({column.name: simple[column.kind] for column in schema})
    rows = data.draw(st.lists(one, min_size=1, max_size=10))
    text = "".join(json.dumps(each, ensure_ascii=data.draw(st.booleans())) + "\n" for each in rows).encode()
    mangled = data.draw(
        st.sampled_from([b"", b"null\n", b"\n", b'{"c0": 1, "c0": 2}\n', b"{}\n", b'{"c0": NaN}\n', b"\xff\n"])
    )
    table = read_trusted(text + mangled, schema)
    if mangled:
        assert table is None
        return
    strict = parse_rows(text, Seeing(frozenset()), lambda index: f"line {index}")
    assert table is not None
    assert table.to_pylist() == strict


REFUSED = {
    "an empty line": (b'%b\n\n%b\n', "line 2: the line is empty"),
    "no JSON": (b"%b\nnope\n", "line 2: not JSON"),
    "no object": (b"%b\n[1]\n", "line 2: not a JSON object"),
    "two objects": (b"%b %b\n", "line 1: not JSON"),
    "NaN": (b'%b\n{"id": "2", "x": NaN, "expected": "a", "buckets": ["b"]}\n', "line 2: NaN is not a JSON number"),
    "a key twice": (b'%b\n{"id": "2", "id": "3", "x": "a", "expected": "a", "buckets": ["b"]}\n', "line 2: .*twice"),
    "half a character": (
        b'%b\n{"id": "2", "x": "\\ud800", "expected": "a", "buckets": ["b"]}\n', "line 2: .*lone surrogate",
    ),
    "latin-1": (b'%b\n{"id": "2", "x": "\xe9", "expected": "a", "buckets": ["b"]}\n', "line 2: not UTF-8"),
    "a column less": (b'%b\n{"id": "2", "expected": "a", "buckets": ["b"]}\n', "line 2: has the columns .*first row"),
    "a column more": (
        b'%b\n{"id": "2", "x": "a", "y": "a", "expected": "a", "buckets": ["b"]}\n', "line 2: has the columns .*y",
    ),
    "an id twice": (b'%b\n%b\n', "line 2: the id 'r1' is already in .*, line 1"),
    "an empty id": (b'{"id": "", "x": "a", "expected": "a", "buckets": ["b"]}\n', "line 1: the id is ''"),
    "an id that is a list": (b'{"id": ["a"], "x": "a", "expected": "a", "buckets": ["b"]}\n', "line 1: the id is"),
    "a bucket as text": (b'{"id": "1", "x": 1, "expected": 1, "buckets": "b"}\n', "line 1: .*'buckets' lists buckets"),
    "a misspelt label": (b'{"id": "1", "expected": "a", "buckets": ["b"], "Label": 1}\n', "'Label' looks like a label"),
    "no answer": (b'{"id": "1", "x": "a", "buckets": ["b"]}\n', "no column 'expected'"),
    "no feature": (b'{"id": "1", "expected": "a", "buckets": ["b"]}\n', "no features"),
    "a long row": (b'{"id": "1", "x": "' + b"a" * 1024 * 1024 + b'"}\n', "line 1: .* a row has at most 1048576"),
}  # fmt: skip
GOOD = json.dumps(row(1)).encode()


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("before", [0, 15_000], ids=["first", "later"])
@pytest.mark.slow
def test_a_bad_line_is_named(text: bytes, words: str, before: int, tmp_path: Path) -> None:
    if before and words.startswith(("'", "no ")):
        return  # what the first row decides is decided there
    path = tmp_path / "e.jsonl"
    filler = b"".join(json.dumps(row(number + 10, pad="")).encode() + b"\n" for number in range(before))
    text = text.replace(b"%b", GOOD)
    if before:
        filler = filler.replace(b', "pad": ""', b"")
        words = re.sub(r"line (\d)", lambda found: f"line {int(found[1]) + before}", words)
    path.write_bytes(filler + text)
    with pytest.raises(CannotJudge, match=words):
        read_all(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.removesuffix(b"\n"),
    ],
    ids=["BOM", "CRLF", "no newline at the end"],
)
def test_how_a_file_was_saved_does_not_matter(edit: Any, tmp_path: Path) -> None:
    rows = [row(number) for number in range(10)]
    plain = write(tmp_path / "plain.jsonl", rows)
    saved = tmp_path / "saved.jsonl"
    saved.write_bytes(edit(plain.read_bytes()))
    found = read_all(saved)
    assert found.rows == read_all(plain).rows
    assert found.stream.identity.dvc_md5 == identify(saved).dvc_md5


def test_a_folder_is_read_in_path_order(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "b.jsonl", [row(2)])
    write(tmp_path / "set" / "a.jsonl", [row(1)])
    (tmp_path / "set" / "README.md").write_text("not rows")
    found = read_all(tmp_path / "set")
    assert [each["id"] for each in found.rows] == ["r1", "r2"]
    assert found.places == [f"{tmp_path}/set/a.jsonl, line 1", f"{tmp_path}/set/b.jsonl, line 1"]
    assert found.stream.identity == identify(tmp_path / "set").model_copy(update={"rows": 2})


def test_integer_ids_are_accepted(tmp_path: Path) -> None:
    found = read_all(write(tmp_path / "e.jsonl", [row(1) | {"id": number} for number in (1, 2, 30)]))
    assert [each["id"] for each in found.rows] == [1, 2, 30]
    with pytest.raises(CannotJudge, match=r"line 3: the id '2' is already in .*line 2"):
        read_all(write(tmp_path / "f.jsonl", [row(1) | {"id": number} for number in (1, 2, 2)]))


def test_groups_are_counted(tmp_path: Path) -> None:
    rows = [row(number, group=f"g{number % 4}") for number in range(10)] + [row(10), row(11)]
    found = read_all(write(tmp_path / "e.jsonl", rows), size=3)
    assert found.stream.identity.groups == 6
