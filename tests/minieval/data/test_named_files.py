"""Files that rows name: only files of the set, never the rows themselves, under names that tell nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.data.stream import open_eval_set
from minieval.task.document import parse_task
from tests.minieval.data.sets import read_all

TASK = parse_task(
    b'schema = "minieval.task/1"\nid = "id"\nexpected = "expected"\n[buckets]\nlists = ["buckets"]\n'
    b'[files]\ncolumns = ["image"]\n',
    where="task.toml",
)


def make(folder: Path, *cells: Any) -> Path:
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.PNG").write_bytes(b"a picture")
    (folder / "cat" / "2.a-long-suffix").write_bytes(b"another")
    rows = [{"id": str(n), "image": cell, "expected": f"e{n}", "buckets": ["b"]} for n, cell in enumerate(cells)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return folder


def test_the_model_gets_names_that_tell_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "cat/1.PNG", "cat/2.a-long-suffix", None, "", "cat//1.PNG")
    stream = open_eval_set(folder, TASK)
    batches = list(stream.batches(2))
    names = [value for batch in batches for value in batch.features.column("image").to_pylist()]
    assert names == ["00000001.png", "00000002", None, None, "00000005.png"]
    one, two = folder / "cat" / "1.PNG", folder / "cat" / "2.a-long-suffix"
    files = [entry for batch in batches for entry in batch.files]
    assert files == [("00000001.png", one), ("00000002", two), ("00000005.png", one)]
    assert stream.identity == identify(folder).model_copy(update={"rows": 5})


def test_a_suffix_for_each_answer_is_refused(tmp_path: Path) -> None:
    names = [f"cat/{index}.A{index}" for index in range(9)]
    few, many = make(tmp_path / "few", *names[:8]), make(tmp_path / "many", *names)
    for folder in (few, many):
        for name in names:
            (folder / name).write_bytes(b"a picture")
    assert len(list(open_eval_set(few, TASK).batches(2))) == 4
    with pytest.raises(CannotJudge, match=r"line 9: the column 'image' names .* 8 suffixes \(here '.a8'\)"):
        list(open_eval_set(many, TASK).batches(2))


def test_the_identity_covers_the_files(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "cat/1.PNG")
    before = read_all(folder, TASK).stream.identity
    (folder / "cat" / "1.PNG").write_bytes(b"b picture")
    assert read_all(folder, TASK).stream.identity.sha256 != before.sha256


REFUSED = {
    "the folder above": ("../x", "outside the eval set"),
    "up and down": ("cat/../cat/1.PNG", "outside the eval set"),
    "an absolute path": ("/etc/passwd", "outside the eval set"),
    "the rows": ("rows.jsonl", "which holds the answers"),
    "the rows, by another spelling": ("./rows.jsonl", "which holds the answers"),
    "other rows": ("more.jsonl", "which holds the answers"),
    "the folder": (".", "no such file"),
    "a folder": ("cat", "no such file"),
    "another case": ("CAT/1.png", "no such file"),
    "a NUL": ("cat/1.PNG\0", "no such file"),
    "a long name": ("a" * 5000, "no such file"),
    "a number": (3, "holds '3'"),
    "a list": (["cat/1.PNG"], "holds"),
}


@pytest.mark.parametrize(("cell", "words"), REFUSED.values(), ids=REFUSED)
def test_a_cell_names_a_file_of_the_set(cell: Any, words: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "cat/1.PNG", cell)
    row = {"id": "9", "image": "cat/1.PNG", "expected": "a", "buckets": ["b"]}
    (folder / "more.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(CannotJudge, match=f"rows.jsonl, line 2: .*{words}"):
        read_all(folder, TASK)


@pytest.mark.parametrize("place", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo], ids=["link", "pipe"])
def test_a_link_or_a_special_file_is_refused(place: Callable[[Path], None], tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "other")
    place(folder / "other")
    with pytest.raises(IntegrityFailure, match="a link or a special file"):
        read_all(folder, TASK)


def test_rows_that_name_files_need_a_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "cat/1.PNG")
    with pytest.raises(CannotJudge, match="need a folder"):
        open_eval_set(folder / "rows.jsonl", TASK)


def _rewrite(folder: Path) -> None:
    (folder / "cat" / "1.PNG").write_bytes(b"something else")


def _replace_by_a_link(folder: Path) -> None:
    (folder / "cat" / "1.PNG").unlink()
    (folder / "cat" / "1.PNG").symlink_to("/etc/passwd")


def _add_rows(folder: Path) -> None:
    (folder / "later.jsonl").write_text("{}\n")


@pytest.mark.parametrize("change", [_rewrite, _replace_by_a_link, _add_rows])
def test_a_change_while_the_set_is_used_is_noticed(change: Callable[[Path], None], tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "cat/1.PNG", "cat/1.PNG", "cat/2.a-long-suffix")
    batches = open_eval_set(folder, TASK).batches(2)
    next(batches)
    change(folder)
    with pytest.raises(IntegrityFailure):
        list(batches)
