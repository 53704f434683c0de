"""The rows of an eval set: features apart from labels, and every invalid line named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.exits import CannotJudge
from minieval.data.labels import read_labels
from minieval.data.stream import open_eval_set
from minieval.task.document import CONVENTIONS
from tests.minieval.candidates import upper_rows, write_rows

ROW: dict[str, Any] = {"id": "a", "prompt": "p", "expected": "SECRET", "buckets": ["x"]}


def test_features_are_apart_from_labels(tmp_path: Path) -> None:
    row = ROW | {"accepted": ["SECRET-2"], "group": "SECRET-3", "buckets": ["SECRET-4"], "n": 0.1, "deep": {"k": [1]}}
    stream = open_eval_set(write_rows(tmp_path / "e.jsonl", [row, row | {"id": "b"}]), CONVENTIONS)
    (batch,) = stream.batches(10)
    assert batch.list_features() == [{"prompt": "p", "n": 0.1, "deep": {"k": [1]}}] * 2
    assert batch.features.column_names == ["prompt", "n", "deep"]
    assert "SECRET" not in repr(batch.features.to_pylist())
    assert batch.values("accepted") == [["SECRET-2"]] * 2


REFUSED: dict[str, list[Any]] = {
    "no id": [{k: v for k, v in ROW.items() if k != "id"}],
    "empty id": [ROW | {"id": ""}],
    "number as id": [ROW | {"id": 3.5}],
    "same id twice": [ROW, ROW],
    "no expected": [{k: v for k, v in ROW.items() if k != "expected"}],
    "accepted text": [ROW | {"accepted": "x"}],
    "no buckets": [{k: v for k, v in ROW.items() if k != "buckets"}],
    "empty buckets": [ROW | {"buckets": []}],
    "bucket text": [ROW | {"buckets": "x"}],
    "bucket empty name": [ROW | {"buckets": [""]}],
    "bucket with newline": [ROW | {"buckets": ["a\nb"]}],
    "bucket twice": [ROW | {"buckets": ["x", "x"]}],
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
        read_labels(path)
    message = str(caught.value)
    # What the first row decides for the whole set (its columns) is said of the set.
    assert message.startswith((f"{path}, line {len(rows)}: ", f"{path}: "))
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
        (b"\xff\xfe", "not UTF-8"),
        (b'{"x": "' + b"a" * 2_000_000 + b'"}', "a row has at most"),
        (b"[" * 50_000, "nested more than 100 levels deep"),
    ],
)
def test_broken_lines_are_named(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(data)
    with pytest.raises(CannotJudge, match=words):
        read_labels(path)


def test_last_newline_and_carriage_returns_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\r\n" + json.dumps(ROW | {"id": "b"}).encode())
    assert len(read_labels(path).ids) == 2


def test_an_id_in_two_files_of_a_folder_is_found(folder: Path) -> None:
    write_rows(folder / "z.jsonl", upper_rows(1))
    with pytest.raises(CannotJudge, match=r"z\.jsonl, line 1: the id 'row-0' is already in .*a\.jsonl, line 1"):
        read_labels(folder)


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_message(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fuzz.jsonl"
        path.write_bytes(data)
        with pytest.raises(CannotJudge):
            read_labels(path)
