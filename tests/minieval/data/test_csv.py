"""CSV: text unless the task gives a type, every row kept, and each refusal names its row or line."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge
from minieval.data.files import HashingFile
from minieval.data.quotes import QuotedFile
from minieval.data.schema import Kind
from minieval.task.document import Task, parse_task
from tests.minieval.data.sets import BY_COLUMN, read_all

HEAD = "id,label,region,x\n"
ROWS = "1,a,eu,1\n2,b,us,2\n"
MANY = "".join(f"r{number},a{number % 2},eu,{number}\n" for number in range(60_000))  # more than one block


def typed(kind: str, more: str = "") -> Task:
    text = f'schema = "minieval.task/1"\nid = "id"\nexpected = "label"\n{more}\n[types]\nx = "{kind}"\n'
    return parse_task((text + '[buckets]\ncolumns = ["region"]\n').encode(), where="task.toml")


def save(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "e.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_cells_are_text_unless_the_task_gives_a_type(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + "007,1,eu,1\n8,2,,\n")
    assert [list(each.values()) for each in read_all(path, BY_COLUMN).rows] == [
        ["007", "1", "eu", "1"],
        ["8", "2", "", ""],
    ]
    found = read_all(path, typed("number"))
    assert found.kinds["x"] is Kind.NUMBER
    assert [each["x"] for each in found.rows] == [1.0, None]


@pytest.mark.parametrize(
    "saved",
    [
        b"\xef\xbb\xbf" + (HEAD + ROWS).encode(),
        (HEAD + ROWS).replace("\n", "\r\n").encode(),
        (HEAD + ROWS).replace("\n", "\r").encode(),
        (HEAD + ROWS).removesuffix("\n").encode(),
        ('"id","label","region","x"\n' + ROWS.replace("a", '"a"')).encode(),
        b"\xef\xbb\xbf" + ('"id","label","region","x"\n' + ROWS).encode(),
    ],
    ids=["BOM", "CRLF", "CR", "no newline at the end", "quoted", "BOM and quoted"],
)
def test_how_a_file_was_saved_does_not_matter(saved: bytes, tmp_path: Path) -> None:
    plain = read_all(save(tmp_path, HEAD + ROWS), BY_COLUMN)
    found = read_all(save(tmp_path, saved), BY_COLUMN)
    assert found.rows == plain.rows
    assert found.stream.identity.sha256 == identify(tmp_path / "e.csv").sha256


@pytest.mark.slow
def test_a_file_is_read_once_and_hashed_as_it_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + MANY)
    found = read_all(path, BY_COLUMN, size=1024)
    assert found.sizes == [1024] * 58 + [608]
    assert found.stream.reads.passes == {"e.csv": 1}
    assert found.stream.identity == identify(path).model_copy(update={"rows": 60_000})
    assert found.places[-1] == f"{path}, row 60000"


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    ['"', '""', ",", "\n"]
)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=30), size=st.integers(1, 40))
@pytest.mark.slow
def test_what_a_csv_writer_writes_is_read_back(
    rows: list[tuple[str, str, str]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["id", "label", "region", "x"])
    writer.writerows([str(number), *each] for number, each in enumerate(rows))
    found = read_all(save(tmp_path_factory.mktemp("csv"), text.getvalue()), BY_COLUMN, size=size)
    assert [tuple(each.values())[1:] for each in found.rows] == rows


@given(
    cells=st.lists(st.lists(st.sampled_from(["", "a", 'b"c', "d,e", "f\ng", '"']), min_size=2, max_size=3), min_size=1),
    cut=st.integers(1, 7),
)
@pytest.mark.slow
def test_quotes_that_a_csv_writer_writes_have_no_fault_wherever_they_are_cut(cells: list[list[str]], cut: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(cells)
    file = QuotedFile(HashingFile(io.BytesIO(text.getvalue().encode())))
    while file.read(cut):
        pass
    assert file.fault is None


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize(
    ("text", "line"),
    [('a,b\n1,x"y\n', 2), ('a,b\n1,"x"y\n', 2), ('a,b\n1,"x\n2,y\n', 2), ('a,"b"\n"1"",x\n', 2), ('"a" ,b\n', 1)],
)
def test_a_broken_quote_is_found_wherever_the_file_is_cut(text: str, line: int, cut: int) -> None:
    file = QuotedFile(HashingFile(io.BytesIO(text.encode())))
    file.finish() if cut == 11 else [None for _ in iter(lambda: file.read(cut), b"")]
    assert file.fault is not None
    assert file.fault.startswith(f"line {line}: ")


INT, NUM, BOOL = typed("integer"), typed("number"), typed("boolean")
REFUSED: dict[str, tuple[str | bytes, Task, str]] = {
    "nothing": ("", BY_COLUMN, "the first line has to name every column"),
    "a header alone": (HEAD, BY_COLUMN, "no rows"),
    "a header without its end": (HEAD.strip(), BY_COLUMN, "no rows"),
    "a column twice": ("id,label,region,x,x\n1,a,eu,1,2\n", BY_COLUMN, "the column 'x' is there twice"),
    "a nameless column": ("id,label,region,\n1,a,eu,1\n", BY_COLUMN, "the first line has to name every column"),
    "a header too long": (f'id,label,region,"{"x" * 200_000}"\n', BY_COLUMN, "the first line cannot be read"),
    "too few cells": (HEAD + ROWS + "3,a,eu\n", BY_COLUMN, "row 3: has 3 cells, and the first line names 4"),
    "too few cells, later": (HEAD + MANY + "3,a,eu\n", BY_COLUMN, "row 60001: has 3 cells"),
    "Latin-1": ((HEAD + "1,a,eu,é\n").encode("latin-1"), BY_COLUMN, "row 1: the column 'x' is not UTF-8"),
    "Latin-1, later": ((HEAD + MANY + "1,a,eu,é\n").encode("latin-1"), BY_COLUMN, "row 60001: .* not UTF-8"),
    "Latin-1 in the header": ("id,label,region,é\n".encode("latin-1"), BY_COLUMN, "the first line is not UTF-8"),
    "a quote never closed": (HEAD + ROWS + '3,a,eu,"z\n4,b,eu,1\n', BY_COLUMN, "line 4: .* never closed"),
    "a quote never closed, later": (HEAD + MANY + '3,a,eu,"z\n4,b,eu,1\n', BY_COLUMN, "line 60002: .* never closed"),
    "a quote inside": (HEAD + '3,a,eu,5" pipe\n', BY_COLUMN, "line 2: a double quote inside a cell"),
    "no integer": (HEAD + ROWS + "3,a,eu,z\n", INT, "row 3: the column 'x' is no integer: .*'z'"),
    "no integer, later": (HEAD + MANY + "3,a,eu,z\n", INT, "row 60001: the column 'x' is no integer"),
    "an integer too large": (HEAD + f"3,a,eu,{2**64}\n", INT, "row 1: the column 'x' is no integer"),
    "no integer at all": (HEAD + ROWS + "3,a,eu,\n", INT, "row 3: the column 'x' is empty, and integers are needed"),
    "no boolean": (HEAD + "3,a,eu,yes\n", BOOL, "row 1: the column 'x' is no boolean"),
    "NaN": (HEAD + ROWS + "3,a,eu,nan\n", NUM, "row 3: the column 'x' is nan, and only finite"),
    "infinity": (HEAD + ROWS + "3,a,eu,-inf\n", NUM, "row 3: the column 'x' is -inf"),
    "a number out of range": (HEAD + ROWS + "3,a,eu,1e999\n", NUM, "row 3: the column 'x' is inf"),
    "an id twice": (HEAD + ROWS + "1,a,eu,1\n", BY_COLUMN, "row 3: the id '1' is already in .*row 1"),
    "no id": (HEAD + ",a,eu,1\n", BY_COLUMN, "row 1: the id is ''"),
    "accepted answers": (
        "id,label,region,x,acc\n1,a,eu,1,b\n",
        typed("text", 'accepted = "acc"'),
        "'acc' has other accepted answers",
    ),
}


@pytest.mark.parametrize(("text", "task", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_named(text: str | bytes, task: Task, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=words):
        read_all(save(tmp_path, text), task)


def test_a_folder_has_the_same_columns_in_every_file(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(HEAD + "3,a,eu,z\n")
    (tmp_path / "a.csv").write_text(HEAD + ROWS)
    (tmp_path / "c.csv").write_text(HEAD)
    found = read_all(tmp_path, BY_COLUMN)
    assert [each["id"] for each in found.rows] == ["1", "2", "3"]
    assert found.places[2] == f"{tmp_path}/b.csv, row 1"
    (tmp_path / "d.csv").write_text("id,region,label,x\n9,eu,a,1\n")
    with pytest.raises(CannotJudge, match=r"d.csv: has other columns than .*a.csv"):
        read_all(tmp_path, BY_COLUMN)


def test_an_empty_group_is_no_group(tmp_path: Path) -> None:
    task: Any = typed("text", 'group = "g"')
    path = save(tmp_path, "id,label,region,x,g\n1,a,eu,1,\n2,b,eu,2,\n3,a,eu,2,q\n4,a,eu,2,q\n")
    assert read_all(path, task).stream.identity.groups == 3
