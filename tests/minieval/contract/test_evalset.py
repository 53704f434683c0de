"""Eval sets: strict rows, labels apart from features, and the identity that DVC would give."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.evalset import identify, load_eval_set
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.rows import Features
from tests.minieval.candidates import upper_rows, write_rows

ROW: dict[str, Any] = {"id": "a", "prompt": "p", "expected": "SECRET", "buckets": ["x"]}


def test_rows_come_in_order_with_their_two_halves_apart(tmp_path: Path) -> None:
    row = ROW | {"accepted": ["SECRET-2"], "group": "SECRET-3", "buckets": ["SECRET-4"], "n": 0.1, "deep": {"k": [1]}}
    eval_set = load_eval_set(write_rows(tmp_path / "e.jsonl", [row, row | {"id": "b"}]))
    first, second = eval_set.rows
    assert (first.features.id, second.features.id) == ("a", "b")
    assert json.loads(first.features.payload) == {"id": "a", "prompt": "p", "n": 0.1, "deep": {"k": [1]}}
    assert first.labels.right == {"SECRET", "SECRET-2"}
    assert first.labels.buckets == ("SECRET-4",)
    assert first.labels.group == "SECRET-3"
    assert "SECRET" not in repr(first.features)
    assert Features.__slots__ == ("id", "payload")


def test_the_identity_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "e.jsonl", upper_rows(5))
    identity = load_eval_set(path).identity
    assert identity.dvc_md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert identity.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (identity.path, identity.rows) == (str(path), 5)
    assert identify(path) == identity.model_copy(update={"rows": None})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "eval"
    rows = upper_rows(9)
    write_rows(root / "b.jsonl", rows[3:6])
    write_rows(root / "a.jsonl", rows[:3])
    write_rows(root / "sub" / "c.jsonl", rows[6:])
    write_rows(root / "sub-2" / "d\u00e9.jsonl", [upper_rows(10)[9]])
    (root / "README.md").write_text("about")
    return root


def test_a_folder_is_read_in_path_order(folder: Path) -> None:
    eval_set = load_eval_set(folder)
    assert [row.features.id for row in eval_set.rows[:6]] == [f"row-{i}" for i in range(6)]
    assert eval_set.identity.rows == 10
    assert identify(folder) == eval_set.identity.model_copy(update={"rows": None})


@pytest.mark.slow
def test_dvc_itself_gives_the_same_md5(folder: Path, tmp_path: Path) -> None:
    single = write_rows(tmp_path / "one.jsonl", upper_rows(4))
    script = (
        "import sys; from dvc.repo import Repo\n"
        "repo = Repo.init('.', no_scm=True)\n"
        "for target in sys.argv[1:]:\n    print(repo.add(target)[0].outs[0].hash_info.value)"
    )
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "eval", "one.jsonl"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-2:] == [identify(folder).dvc_md5, identify(single).dvc_md5]
    assert identify(folder).dvc_md5.endswith(".dir")


@pytest.mark.parametrize("change", ["byte", "rename", "add", "remove"])
def test_any_change_to_a_folder_changes_both_hashes(folder: Path, change: str) -> None:
    before = identify(folder)
    if change == "byte":
        (folder / "README.md").write_text("abouT")
    elif change == "rename":
        (folder / "README.md").rename(folder / "README")
    elif change == "add":
        (folder / "empty").touch()
    else:
        (folder / "README.md").unlink()
    after = identify(folder)
    assert before.dvc_md5 != after.dvc_md5
    assert before.sha256 != after.sha256


REFUSED: dict[str, list[Any]] = {
    "no id": [{k: v for k, v in ROW.items() if k != "id"}],
    "empty id": [ROW | {"id": ""}],
    "number as id": [ROW | {"id": 3}],
    "same id twice": [ROW, ROW],
    "no expected": [{k: v for k, v in ROW.items() if k != "expected"}],
    "expected number": [ROW | {"expected": 1}],
    "expected null": [ROW | {"expected": None}],
    "accepted text": [ROW | {"accepted": "x"}],
    "accepted number": [ROW | {"accepted": [1]}],
    "no buckets": [{k: v for k, v in ROW.items() if k != "buckets"}],
    "empty buckets": [ROW | {"buckets": []}],
    "bucket text": [ROW | {"buckets": "x"}],
    "bucket empty name": [ROW | {"buckets": [""]}],
    "bucket with newline": [ROW | {"buckets": ["a\nb"]}],
    "bucket twice": [ROW | {"buckets": ["x", "x"]}],
    "group number": [ROW | {"group": 1}],
    "no features": [{k: v for k, v in ROW.items() if k != "prompt"}],
    "other features": [ROW, ROW | {"id": "b", "question": "q"}],
    "lacks a feature": [ROW | {"extra": 1}, ROW | {"id": "b"}],
    "misspelt label": [ROW | {"Expected": "SECRET"}],
    "misspelt bucket": [ROW | {"bucket": "x"}],
    "misspelt with blank": [ROW | {"expected ": "SECRET"}],
    "not an object": [[1]],
    "text": ["x"],
}


@pytest.mark.parametrize("rows", REFUSED.values(), ids=REFUSED.keys())
def test_rows_that_are_not_as_they_should_be_are_named(rows: list[Any], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "e.jsonl", rows)
    with pytest.raises(CannotJudge) as caught:
        load_eval_set(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {len(rows)}: ")
    assert "\n" not in message
    assert "SECRET" not in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no rows"),
        (b"\n", "line 1: the line is empty"),
        (json.dumps(ROW).encode() + b"\n\n", "line 2: the line is empty"),
        (json.dumps(ROW).encode() + b"\n{", "line 2: not JSON"),
        (b'{"id": NaN}', "NaN"),
        (b'{"id": "a", "id": "b"}', "twice"),
        (b"\xef\xbb\xbf" + json.dumps(ROW).encode(), "line 1: not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"x": "' + b"a" * 2_000_000 + b'"}', "a row has at most"),
        (b"[" * 50_000, "nested more than 100 levels deep"),
    ],
)
def test_broken_lines_are_named(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(data)
    with pytest.raises(CannotJudge, match=words):
        load_eval_set(path)


def test_last_newline_and_carriage_returns_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\r\n" + json.dumps(ROW | {"id": "b"}).encode())
    assert len(load_eval_set(path).rows) == 2


def test_missing_empty_and_special_sets_say_what_to_do(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", Path("/dev/zero")):
        with pytest.raises(CannotJudge, match="dvc pull"):
            load_eval_set(path)
    (tmp_path / "empty").mkdir()
    for work in (load_eval_set, identify):
        with pytest.raises(CannotJudge):
            work(tmp_path / "empty")
    (tmp_path / "empty" / "link.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityFailure):
        load_eval_set(tmp_path / "empty")


def test_an_id_in_two_files_of_a_folder_is_found(folder: Path) -> None:
    write_rows(folder / "z.jsonl", upper_rows(1))
    with pytest.raises(CannotJudge, match=r"z\.jsonl, line 1: the id 'row-0' is already in .*a\.jsonl, line 1"):
        load_eval_set(folder)


def test_a_path_no_document_can_hold_is_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path / ("d" * 150) / ("e" * 100 + ".jsonl"), upper_rows(1))
    assert load_eval_set(path).identity.path is None


@given(data=st.binary(max_size=200))
def test_bytes_at_random_are_refused_in_words(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fuzz.jsonl"
        path.write_bytes(data)
        with pytest.raises(CannotJudge):
            load_eval_set(path)
