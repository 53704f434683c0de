"""Every attack is blocked by the command that CI calls, and no verdict that could be read as a pass is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lynxgate.cli.app import run as lynxgate
from lynxgate.decision.verdict import parse_verdict
from minieval.contract.exits import CannotJudge
from minieval.data.stream import open_eval_set
from minieval.task.document import NO_TASK_FILE
from tests.redteam.attacks import ATTACKS, Attack, honest_baseline, honest_evaluation, stage


def compare(place: Path, evaluation: str, baseline: str, *argv: str) -> int:
    (place / "c.json").write_text(evaluation)
    (place / "b.json").write_text(baseline)
    paths = ("--candidate", str(place / "c.json"), "--baseline", str(place / "b.json"))
    return lynxgate(["compare", *paths, "--output", str(place / "verdict.json"), *argv])


def test_the_honest_candidate_passes(tmp_path: Path) -> None:
    """Else every attack would be blocked for nothing."""
    assert compare(tmp_path, json.dumps(honest_evaluation(lost=0)), json.dumps(honest_baseline())) == 0


def test_so_does_one_that_is_as_fast_as_the_baseline(tmp_path: Path) -> None:
    slow = next(attack for attack in ATTACKS if attack.name == "slow")
    evaluation, agreed = (json.loads(text) for text in stage(slow))
    evaluation["metrics"]["latency_ms"]["value"] = 12.5
    assert compare(tmp_path, json.dumps(evaluation), json.dumps(agreed)) == 0


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_attack_is_blocked(attack: Attack, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "verdict.json").write_text('{"passed": true}')
    assert compare(tmp_path, *stage(attack)) == attack.code
    out, err = capfd.readouterr()
    assert re.search(attack.message, out + err), out + err
    assert "Traceback" not in err
    kept = tmp_path / "verdict.json"
    assert not kept.exists() or not parse_verdict(kept.read_bytes()).passed


@pytest.mark.parametrize("tolerance", ["nan", "inf", "1e9", "-1", "0.5", "1"])
def test_the_command_line_loosens_nothing(tolerance: str, tmp_path: Path) -> None:
    code = compare(tmp_path, json.dumps(honest_evaluation()), json.dumps(honest_baseline()), "--tolerance", tolerance)
    assert code in {6, 64}


def test_no_environment_variable_loosens_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LYNX_TOLERANCE", "LYNXGATE_TOLERANCE", "LYNX_FORCE", "LYNXGATE_FORCE", "FAIL_ON_REGRESSION"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LYNX_ENV", "dev")
    assert compare(tmp_path, json.dumps(honest_evaluation()), json.dumps(honest_baseline())) == 2


def test_a_forged_verdict_is_found_out(tmp_path: Path) -> None:
    assert compare(tmp_path, json.dumps(honest_evaluation()), json.dumps(honest_baseline())) == 2
    verdict = tmp_path / "verdict.json"
    verdict.write_bytes(verdict.read_bytes().replace(b'"regressed"', b'"held"'))
    assert parse_verdict(verdict.read_bytes()).passed
    paths = ["--candidate", str(tmp_path / "c.json"), "--baseline", str(tmp_path / "b.json")]
    assert lynxgate(["replay", str(verdict), *paths]) == 4


def test_an_eval_set_with_duplicate_ids_is_refused(tmp_path: Path) -> None:
    row = {"id": "q1", "prompt": "p", "expected": "yes", "buckets": ["hard"]}
    (tmp_path / "set.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    stream = open_eval_set(tmp_path / "set.jsonl", NO_TASK_FILE.task)
    with pytest.raises(CannotJudge, match="'q1' is already in"):
        list(stream.batches(1))
