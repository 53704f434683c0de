"""The rows of an eval set: features apart from labels, and every invalid line named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.evalset import load_eval_set
from minieval.contract.exits import CannotJudge
from minieval.contract.rows import Features
from tests.minieval.candidates import upper_rows, write_rows

ROW: dict[str, Any] = {"id": "a", "prompt": "p", "expected": "SECRET", "buckets": ["x"]}


def test_rows_come_in_order_with_features_apart_from_labels(tmp_path: Path) -> None:
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
def test_invalid_rows_are_named_by_line(rows: list[Any], tmp_path: Path) -> None:
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


def test_an_id_in_two_files_of_a_folder_is_found(folder: Path) -> None:
    write_rows(folder / "z.jsonl", upper_rows(1))
    with pytest.raises(CannotJudge, match=r"z\.jsonl, line 1: the id 'row-0' is already in .*a\.jsonl, line 1"):
        load_eval_set(folder)


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_message(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fuzz.jsonl"
        path.write_bytes(data)
        with pytest.raises(CannotJudge):
            load_eval_set(path)
