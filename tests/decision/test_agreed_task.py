"""The task file in the checkout is the one that the baseline names, or nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lynxgate.decision.agreed_task import list_files, list_task_files, read_agreed_task
from lynxgate.decision.baseline import Baseline
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.task.document import read_task
from tests.samples import baseline, parse_agreed

TASK = 'schema = "minieval.task/1"\nid = "row"\nexpected = "label"\n[buckets]\ncolumns = ["region"]\n'
SCORED = TASK + '[score]\nkind = "python"\npython = "scoring.py"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "eval.toml").write_text(TASK)
    return tmp_path


def agree(task: Any, **changes: Any) -> Baseline:
    return parse_agreed(baseline(**({} if task is None else {"task": task}), **changes))


def named(folder: Path) -> dict[str, str]:
    return {"path": "data/eval.toml", "sha256": read_task(folder / "data" / "eval.toml").sha256}


def test_the_agreed_task_is_returned_and_a_baseline_may_have_none(folder: Path) -> None:
    found = read_agreed_task(agree(named(folder)), folder)
    assert found is not None
    assert list_files(found) == list_task_files(agree(named(folder)), folder) == (folder / "data" / "eval.toml",)
    assert read_agreed_task(agree(None), folder) is None
    assert list_task_files(agree(None), folder) == ()


def test_the_file_may_be_elsewhere(folder: Path) -> None:
    agreed = agree(named(folder))
    moved = (folder / "data" / "eval.toml").rename(folder / "moved.toml")
    with pytest.raises(CannotJudge, match=r"eval\.toml"):
        read_agreed_task(agreed, folder)
    found = read_agreed_task(agreed, folder, path=moved)
    assert found is not None
    assert found.path == moved


def test_a_changed_task_is_an_integrity_failure(folder: Path) -> None:
    agreed = agree(named(folder))
    (folder / "data" / "eval.toml").write_text(TASK + "# a comment\n")
    with pytest.raises(IntegrityFailure, match="check out the agreed task"):
        read_agreed_task(agreed, folder)


def test_a_changed_file_of_an_evaluator_is_an_integrity_failure(folder: Path) -> None:
    data = folder / "data"
    for name in ("judge.py", "rubric.txt"):
        (data / name).write_text(name)
    (data / "eval.toml").write_text(TASK + '[evaluator]\ncommand = ["python", "judge.py"]\nfiles = ["rubric.txt"]\n')
    agreed = agree(named(folder))
    assert list_task_files(agreed, folder) == (data / "eval.toml", data / "judge.py", data / "rubric.txt")
    for name in ("judge.py", "rubric.txt"):
        (data / name).write_text("changed")
        with pytest.raises(IntegrityFailure, match="check out the agreed task"):
            read_agreed_task(agreed, folder)
        (data / name).write_text(name)
    assert read_agreed_task(agreed, folder) is not None


def test_a_changed_scorer_is_an_integrity_failure_and_is_one_of_its_files(folder: Path) -> None:
    scorer = folder / "data" / "scoring.py"
    scorer.write_text("def score(expected, answer, features): return expected == answer\n")
    (folder / "data" / "eval.toml").write_text(SCORED)
    agreed = agree(named(folder))
    assert list_task_files(agreed, folder) == (folder / "data" / "eval.toml", scorer)
    assert read_agreed_task(agreed, folder) is not None
    scorer.write_text("def score(expected, answer, features): return True\n")
    with pytest.raises(IntegrityFailure):
        read_agreed_task(agreed, folder)


def test_a_placeholder_for_the_digest_cannot_be_judged(folder: Path) -> None:
    agreed = agree({"path": "data/eval.toml", "sha256": None}, status="report-only")
    with pytest.raises(CannotJudge, match="placeholder for the digest of its task"):
        read_agreed_task(agreed, folder)
