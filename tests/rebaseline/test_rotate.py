"""A baseline moves to another eval set with the figures of its own model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, IntegrityFailure, Refused, UsageFailure
from lynxgate.rebaseline.rotate import rotate
from tests.samples import MODEL, OLDER_MODEL, baseline, evaluation, parse_evaluation, write

FRESH = {"path": "data/fresh.jsonl", "dvc_md5": "f" * 32, "sha256": "9" * 64}
OLD = {"x": {"n": 100, "correct": 90}, "y": {"n": 50, "correct": 45}}
ON_FRESH = {"x": {"n": 200, "correct": 150}, "y": {"n": 80, "correct": 60}}


def measured(model: str, buckets: Any, eval_set: Any = None, **changes: Any) -> dict[str, Any]:
    named = {"canonical_sha": model, "mlflow_run_id": "e" * 32}
    return evaluation(buckets, candidate=named, eval_set=eval_set or FRESH, **changes)


def champion(**changes: Any) -> dict[str, Any]:
    return measured(OLDER_MODEL, ON_FRESH, **changes)


def test_the_figures_of_the_same_model_on_the_new_set_are_no_regression() -> None:
    """75 % on the new set after 90 % on the old one: an active baseline moves, since it is the same model."""
    data = write(baseline(OLD))
    moved = json.loads(rotate(data, parse_evaluation(champion())).moved.data)
    assert (moved["eval_set"], moved["eval_set_dvc_hash"], moved["eval_set_sha256"]) == tuple(FRESH.values())
    assert moved["buckets"] == ON_FRESH
    assert moved["status"] == "active"
    assert moved["source"] == {"canonical_sha": OLDER_MODEL, "semver": "v0.3.0", "mlflow_run_id": "e" * 32}
    assert moved["policy"] == json.loads(data)["policy"]


@pytest.mark.parametrize(("correct", "passed"), [(150, True), (146, True), (145, False)])
def test_a_candidate_is_judged_by_the_new_figures(correct: int, *, passed: bool) -> None:
    candidate = measured(MODEL, ON_FRESH | {"x": {"n": 200, "correct": correct}})
    rotated = rotate(write(baseline(OLD)), parse_evaluation(champion()), parse_evaluation(candidate))
    assert rotated.verdict is not None
    assert rotated.verdict.passed is passed


def test_another_model_would_move_the_bar() -> None:
    data = write(baseline(OLD))
    with pytest.raises(IntegrityFailure, match="evaluate that one on the new eval set"):
        rotate(data, parse_evaluation(measured(MODEL, ON_FRESH)))
    unnamed = evaluation(ON_FRESH, candidate={}, eval_set=FRESH)
    with pytest.raises(IntegrityFailure, match="an unnamed bundle"):
        rotate(data, parse_evaluation(unnamed))
    with pytest.raises(CannotJudge, match="source names no canonical_sha"):
        rotate(write(baseline(OLD, source={"semver": "v0.3.0"})), parse_evaluation(champion()))


def test_the_same_set_another_set_and_a_bucket_that_is_gone() -> None:
    data = write(baseline(OLD))
    same = evaluation(OLD, candidate={"canonical_sha": OLDER_MODEL})
    with pytest.raises(UsageFailure, match="use lynxgate baseline rebaseline"):
        rotate(data, parse_evaluation(same))
    other = measured(MODEL, ON_FRESH, FRESH | {"dvc_md5": "1" * 32})
    with pytest.raises(IntegrityFailure, match="not the same eval set"):
        rotate(data, parse_evaluation(champion()), parse_evaluation(other))
    smaller = parse_evaluation(measured(OLDER_MODEL, {"x": ON_FRESH["x"]}))
    with pytest.raises(Refused, match="y"):
        rotate(data, smaller)
    assert set(json.loads(rotate(data, smaller, remove=("y",)).moved.data)["buckets"]) == {"x"}


def test_the_command_writes_the_baseline_and_exits_with_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eval_baseline.json").write_bytes(write(baseline(OLD)))
    Path("champion.json").write_bytes(write(champion()))
    worse = measured(MODEL, ON_FRESH | {"x": {"n": 200, "correct": 100}})
    Path("candidate.json").write_bytes(write(worse))
    assert run(["baseline", "rotate", "--evaluation", "candidate.json"]) == 4
    assert run(["baseline", "rotate", "--evaluation", "champion.json", "--candidate", "candidate.json"]) == 2
    out = capfd.readouterr().out
    assert "failed: x regressed" in out
    assert json.loads(Path("eval_baseline.json").read_bytes())["eval_set"] == "data/fresh.jsonl"
    assert run(["baseline", "rotate", "--evaluation", "champion.json"]) == 64
