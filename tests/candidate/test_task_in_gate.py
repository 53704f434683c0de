"""The gate checks the task before the eval set is downloaded, and passes its path on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lynxgate.errors import IntegrityFailure, UsageFailure
from lynxgate.pipeline import Agreed, GatePaths, read_agreed, verify_eval_set
from minieval.task.document import read_task
from tests.samples import baseline, write

ROWS = b'{"row": "1", "text": "walk", "label": "walked", "buckets": ["a"]}\n'
TASK = 'schema = "minieval.task/1"\nid = "row"\nexpected = "label"\n[buckets]\ncolumns = ["region"]\n'


class Pulls:
    """An `EvalData` that has every file already, and counts."""

    def __init__(self) -> None:
        self.pulled: list[Path] = []

    def pull(self, target: Path) -> None:
        self.pulled.append(target)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    md5, sha256 = hashlib.md5(ROWS, usedforsecurity=False).hexdigest(), hashlib.sha256(ROWS).hexdigest()
    (tmp_path / "set.jsonl").write_bytes(ROWS)
    (tmp_path / "set.jsonl.dvc").write_text(f"outs:\n- md5: {md5}\n  size: {len(ROWS)}\n  path: set.jsonl\n")
    (tmp_path / "set.toml").write_text(TASK)
    task = {"path": "set.toml", "sha256": read_task(tmp_path / "set.toml").sha256}
    hashes: dict[str, Any] = {"eval_set_dvc_hash": md5, "eval_set_sha256": sha256}
    (tmp_path / "eval_baseline.json").write_bytes(write(baseline(eval_set="set.jsonl", task=task, **hashes)))
    return tmp_path


def verify(pulls: Pulls, **paths: Any) -> tuple[Agreed, list[str]]:
    said: list[str] = []
    services: Any = SimpleNamespace(eval_data=pulls)
    agreed = read_agreed(GatePaths(lock=None, **paths))
    verify_eval_set(agreed, services, lambda _, sentence: said.append(sentence))
    return agreed, said


def test_the_agreed_task_goes_on_to_the_evaluation(place: Path) -> None:
    agreed, said = verify(pulls := Pulls())
    assert agreed.task is not None and agreed.task.path == Path("set.toml")
    assert agreed.eval_set == Path("set.jsonl")
    assert agreed.data == (place / "eval_baseline.json").read_bytes()
    assert pulls.pulled == [Path("set.jsonl")]
    assert "set.toml is the agreed task" in said[0]


def test_another_task_costs_no_download(place: Path) -> None:
    (place / "set.toml").write_text("trials = 3\n" + TASK)
    pulls = Pulls()
    with pytest.raises(IntegrityFailure, match="check out the agreed task"):
        verify(pulls)
    assert pulls.pulled == []


def test_the_task_may_be_elsewhere_and_is_no_output(place: Path) -> None:
    moved = (place / "set.toml").rename(place / "moved.toml")
    found = verify(Pulls(), task=moved)[0].task
    assert found is not None and found.path == moved
    with pytest.raises(UsageFailure):
        verify(Pulls(), task=moved, verdict=moved)
    assert moved.read_text() == TASK
