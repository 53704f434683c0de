"""The artifacts of a decision: the folder, its manifest, and the policy in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.effective_policy import describe_policy, digest_policy
from lynxgate.decision.verdict import parse_verdict
from lynxgate.errors import IntegrityFailure
from lynxgate.reports.artifacts import DecisionContext, collect_artifacts
from minieval.contract.digests import digest_bytes
from tests.samples import AFTER, baseline, evaluation, parse_agreed

FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}
POLICY = {"overall_tolerance_pp": 1.0, "buckets": {"tense.*": {"tier": "critical", "min": 0.5}}}
ASKED = DecisionContext("e" * 32, "v0.3.1", "f" * 40, exit_code=2)


def documents(**changes: Any) -> tuple[bytes, bytes, bytes]:
    agreed = json.dumps(baseline(**changes)).encode()
    measured = json.dumps(evaluation(FALLEN)).encode()
    return agreed, measured, decide_bytes(measured, agreed)[0].to_json()


def read_manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["manifest.json"])
    return found


@pytest.mark.slow
def test_a_refusal_has_all_documents_it_was_made_from() -> None:
    agreed, measured, verdict = documents()
    files = collect_artifacts(ASKED, baseline=agreed, evaluation=measured, verdict=verdict)
    assert (files["eval_baseline.json"], files["candidate_eval.json"], files["verdict.json"]) == (
        agreed,
        measured,
        verdict,
    )
    assert b"| `tense.past_participle` | 679 | 93.08 % | 82.18 % |" in files["verdict.md"]
    manifest = read_manifest(files)
    assert manifest["asked"] == {"mlflow_run_id": "e" * 32, "semver": "v0.3.1", "head_sha": "f" * 40}
    assert (manifest["exit_code"], manifest["canonical_sha"]) == (2, parse_verdict(verdict).candidate.canonical_sha)
    assert manifest["summary"].startswith("failed: tense.past_participle regressed")
    assert {each["path"]: each["sha256"] for each in manifest["files"]} == {
        name: digest_bytes(data) for name, data in files.items() if name != "manifest.json"
    }
    assert json.loads(files["environment.json"])["packages"]["pydantic"]
    assert files == collect_artifacts(ASKED, baseline=agreed, evaluation=measured, verdict=verdict)


@pytest.mark.slow
def test_a_gate_that_ended_early_has_the_documents_there_are() -> None:
    agreed, _, _ = documents()
    files = collect_artifacts(ASKED, baseline=agreed, evaluation=None, verdict=None)
    assert sorted(files) == ["environment.json", "eval_baseline.json", "manifest.json", "policy.json"]
    assert read_manifest(files)["summary"] is None


@pytest.mark.parametrize("which", ["baseline", "evaluation", "none"])
@pytest.mark.slow
def test_a_verdict_of_other_documents_is_refused(which: str) -> None:
    agreed, measured, verdict = documents()
    other = {"baseline": (agreed + b" ", measured), "evaluation": (agreed, measured + b" "), "none": (agreed, None)}
    with pytest.raises(IntegrityFailure, match=f"another {'evaluation' if which == 'none' else which}"):
        collect_artifacts(ASKED, baseline=other[which][0], evaluation=other[which][1], verdict=verdict)


@pytest.mark.parametrize("reached", ["the verdict", "the evaluation"])
@pytest.mark.slow
def test_documents_of_another_run_are_refused(reached: str) -> None:
    agreed, measured, verdict = documents()
    with pytest.raises(IntegrityFailure, match=f"the run {'e' * 32}, but the request is for the run {'f' * 32}"):
        collect_artifacts(
            replace(ASKED, run_id="f" * 32),
            baseline=agreed,
            evaluation=measured,
            verdict=verdict if reached == "the verdict" else None,
        )


@pytest.mark.slow
def test_an_evaluation_that_cannot_be_read_is_archived_as_it_is() -> None:
    agreed, _, _ = documents()
    files = collect_artifacts(ASKED, baseline=agreed, evaluation=b"{", verdict=None)
    assert files["candidate_eval.json"] == b"{"


def test_the_policy_in_force_has_every_default_and_the_terms_of_each_bucket() -> None:
    agreed = parse_agreed(baseline(policy=POLICY))
    shown = describe_policy(agreed)
    assert shown["policy"]["confidence"] == "0.95"
    assert shown["terms"]["tense.third_person"] == {"tier": "critical", "tolerance_pp": "2.0", "min": "0.5"}
    assert shown["terms"]["spelling.doubling"] == {"tier": "standard", "tolerance_pp": "2.0"}
    assert shown["all_rows"] == {"tier": "standard", "tolerance_pp": "1.0"}
    assert shown["sha256"] == digest_policy(agreed.policy)


@pytest.mark.slow
def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    agreed, measured, verdict = documents()
    for name, data in (("eval_baseline.json", agreed), ("candidate_eval.json", measured), ("verdict.json", verdict)):
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert run(["policy", "show"]) == 0
    assert json.loads(capfd.readouterr().out) == describe_policy(parse_agreed(baseline()))
    asked = ["--run-id", "e" * 32, "--semver", "", "--exit-code", "2"]
    assert run(["ci", "keep", "--dest", "decision", *asked]) == 0
    kept = {path.name: path.read_bytes() for path in Path("decision").iterdir()}
    assert kept == collect_artifacts(
        DecisionContext("e" * 32, None, None, 2), baseline=agreed, evaluation=measured, verdict=verdict
    )
    capfd.readouterr()
    assert run(["ci", "keep", "--dest", "decision"]) == 64
    assert "not an empty directory" in capfd.readouterr().err
    for wrong, code in (("f" * 32, 4), ("$(id)", 64)):
        assert run(["ci", "archive", "--dest", "other", "--run-id", wrong]) == code
        assert not Path("other").exists()
    capfd.readouterr()
    assert run(["policy", "show", "--baseline", "nowhere.json"]) == 3
    assert "nowhere.json" in capfd.readouterr().err
