"""The reusable action and the workflows that `lynxgate init` writes, held to what act does not enforce."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lynxgate.setup.gate_names import CALLER, GATE
from lynxgate.setup.init import EvalSet, Place, plan_scaffold

ROOT = Path(__file__).parent.parent.parent
Json = dict[str, Any]
ACTION: Json = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[Json] = ACTION["runs"]["steps"]
PLACE = Place("ann/inflector", "main", "lynxgate/lynxgate@" + "1" * 40, "0.2.0")
WRITTEN = {each.path: (each.data or b"").decode() for each in plan_scaffold({}, EvalSet("e.jsonl"), PLACE)}
TASKS = ("request", "evaluate", "announce", "promote", "report")


def job(name: str) -> Json:
    found: Json = yaml.safe_load(WRITTEN[CALLER])["jobs"] | yaml.safe_load(WRITTEN[GATE])["jobs"]
    return dict(found[name])


def holders(word: str) -> list[str]:
    """The action's steps that something is given to."""
    return [step["name"] for step in STEPS if word in json.dumps([step.get("env"), step.get("with")])]


def steps_of(task: str) -> list[Json]:
    """The action's steps that a task may run."""
    return [each for each in STEPS if "inputs.task" not in each.get("if", "") or f"'{task}'" in each["if"]]


def test_it_has_the_inputs_and_outputs_of_a_gate() -> None:
    assert {"run-id", "semver", "baseline", "registry", "tracking-uri"} <= ACTION["inputs"].keys()
    assert {"verdict", "canonical-sha", "report"} <= ACTION["outputs"].keys()
    assert ACTION["runs"]["using"] == "composite"
    assert ACTION["inputs"]["isolation"]["default"] == "bwrap"


def test_inputs_reach_a_shell_only_by_the_environment() -> None:
    texts = [step["run"] for step in STEPS if "run" in step]
    assert len(texts) > 10
    for text in texts:
        assert "${{" not in text
        assert not re.search(r"\beval ", text)
        shellcheck = str(Path(sys.executable).with_name("shellcheck"))
        command = [shellcheck, "--shell", "bash", "--enable", "quote-safe-variables", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_every_shell_stops_at_a_failure() -> None:
    assert {step["shell"] for step in STEPS if "run" in step} == {"bash"}  # which is bash -eo pipefail


def test_credentials_go_to_the_steps_that_need_them() -> None:
    assert holders("tracking-password") == ["Candidate", "Download the candidate again", "Promotion"]
    assert holders("inputs.registry") == ["Check the inputs", "Promotion"]
    assert holders("github.token") == ["Request", "Check the request again", "Announce", "Comment", "Check run"]
    (evaluation,) = [step for step in STEPS if step["name"] == "Evaluation"]
    assert evaluation["env"].keys() == {
        "BATCH_SIZE", "EVAL_SET", "ISOLATION", "LYNXGATE_PYTHON_INDEX", "MEMORY_MB", "MODEL_PYTHON", "ROWS", "RUN_ID",
        "TASK_FILE", "TIMEOUT",
    }  # fmt: skip


def test_candidate_code_runs_only_in_evaluate() -> None:
    (runs,) = [step for step in STEPS if "minieval" in step.get("run", "")]
    assert [task for task in TASKS if runs in steps_of(task)] == ["evaluate"]
    (promotes,) = [step for step in STEPS if "lynxgate promote" in step.get("run", "")]
    assert [task for task in TASKS if promotes in steps_of(task)] == ["promote"]
    assert "--fresh" in "".join(step.get("run", "") for step in steps_of("promote"))
    assert "cache" not in json.dumps(ACTION)


def test_artifacts_are_unpacked_outside_the_checkout() -> None:
    """Where an adopter's checkout may be installed as it lies, a file in it is code."""
    downloads = [step["with"]["path"] for step in STEPS if "actions/download-artifact@" in step.get("uses", "")]
    temp = "${{ runner.temp }}/lynxgate"
    assert downloads == [f"{temp}/evaluation"] * 3 + [f"{temp}/promotion"]
    emptied = STEPS[0]
    assert 'rm -rf "$RUNNER_TEMP/lynxgate"' in emptied["run"]
    for task in ("announce", "promote", "report"):
        text = "".join(step.get("run", "") for step in steps_of(task))
        for option in re.findall(r"--(?:evaluation|verdict|receipt|said) +(\S+)", text):
            assert re.fullmatch(r'"\$(RUNNER_TEMP/lynxgate/evaluation|result)/[\w/.]+"', option), option


def test_actions_are_pinned_as_documented() -> None:
    lines = [line.strip() for line in (ROOT / "action.yml").read_text().splitlines() if "uses:" in line]
    lines += [
        line.strip()
        for text in WRITTEN.values()
        for line in text.splitlines()
        if re.search("uses: (actions|aws-)", line)
    ]
    assert len(lines) > 7
    for line in lines:
        pinned = re.fullmatch(r"uses: [\w./-]+@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line)
        assert pinned, line
        assert f"| {pinned[2]} | `{pinned[1]}` |" in (ROOT / "docs/github.md").read_text()


def test_the_written_workflows_give_the_least_permissions() -> None:
    assert all(yaml.safe_load(WRITTEN[name])["permissions"] == {} for name in (CALLER, GATE))
    assert {name: job(name)["permissions"] for name in TASKS} == {
        # The baseline of the default branch names the task file, which a request must not change.
        "request": {"contents": "read", "pull-requests": "write"},
        "evaluate": {"contents": "read"},
        "announce": {"pull-requests": "write"},
        "promote": {"contents": "read", "pull-requests": "read", "id-token": "write"},
        "report": {"contents": "read", "pull-requests": "write", "checks": "write"},
    }


def test_the_written_workflows_split_trust_as_ours_do() -> None:
    evaluate, promote = json.dumps(job("evaluate")), job("promote")
    for word in ("registry", "environment", "aws", "token"):
        assert word not in evaluate.lower().replace("github.event", ""), word
    assert promote["environment"] == "production"
    assert promote["concurrency"] == {"group": "lynxgate-promotion-production", "cancel-in-progress": False}
    assert promote["if"] == "${{ !cancelled() && needs.evaluate.outputs.verdict == 'passed' }}"
    assert promote["needs"] == ["evaluate", "announce"]
    assert job("announce")["needs"] == "evaluate"
    assert job("announce")["if"] == "needs.evaluate.outputs.verdict == 'passed'"
    given = promote["steps"][-1]["with"]
    for name in ("head-sha", "canonical-sha", "evaluation-sha256"):
        assert given[name], "asked for again, or held to what evaluate said"
    assert [name for name in TASKS if "environment" in job(name)] == ["promote"]
    assert [job(name)["steps"][-1]["with"].get("task", "evaluate") for name in TASKS] == list(TASKS)


def test_the_written_gate_is_called_from_the_default_branch() -> None:
    assert job("gate")["uses"] == "ann/inflector/.github/workflows/lynxgate-gate.yml@main"
    assert list(yaml.safe_load(WRITTEN[GATE])[True]) == ["workflow_call"]
    checkouts = [step for name in TASKS for step in job(name)["steps"] if "checkout@" in step["uses"]]
    assert [step["with"] for step in checkouts] == [
        {"ref": "${{ github.event.repository.default_branch }}", "persist-credentials": False}
    ] * 4
    into_default = "github.event.pull_request.base.ref == github.event.repository.default_branch"
    assert job("evaluate")["if"] == into_default
    assert job("request")["if"] == f"github.event.label.name == 'deploy-candidate' && {into_default}"


@pytest.mark.parametrize("name", [CALLER, GATE])
def test_the_written_workflows_insert_nothing_into_a_shell(name: str) -> None:
    assert "run:" not in WRITTEN[name]
    assert "pull_request_target" not in WRITTEN[name]
    for each in yaml.safe_load(WRITTEN[name])["jobs"].values():
        assert "uses" in each or 0 < each["timeout-minutes"] <= 60


def test_the_documented_settings_are_those_that_they_need() -> None:
    page = (ROOT / "docs/adopt.md").read_text()
    names = set(re.findall(r"\b(?:secrets|vars)\.(\w+)", WRITTEN[CALLER] + WRITTEN[GATE]))
    assert len(names) > 4
    for name in names:
        assert f"`{name}`" in page
    for name in ("inputs", "outputs"):
        for each in ACTION[name]:
            assert f"`{each}`" in page, each


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"rule": "point"}, ""),
        ({"rule": "point", "keep_rows": False}, ""),
        ({"rule": "point", "keep_rows": "true"}, ""),
        ({"rule": "point", "keep_rows": True}, "candidate_rows.parquet"),
        (["keep_rows"], ""),
    ],
)
def test_rows_are_artifacts_only_where_the_policy_allows_it(tmp_path: Path, policy: Any, kept: str) -> None:
    """Answers can be confidential, and an artifact is read by everyone who may read the repository."""
    stage = tmp_path / ".ci/stage"
    stage.parent.mkdir()
    stage.write_text("#!/bin/sh\n")
    stage.chmod(0o755)
    baseline = tmp_path / "eval_baseline.json"
    baseline.write_text(json.dumps({"eval_set": "eval.jsonl", "policy": policy}))
    (data,) = [step for step in STEPS if step["name"] == "Eval set"]
    outputs = tmp_path / "outputs"
    variables = {"BASELINE": str(baseline), "GITHUB_ACTION_PATH": str(tmp_path), "GITHUB_OUTPUT": str(outputs)}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(["bash", "-euo", "pipefail", "-c", data["run"]], check=True, env={"PATH": path} | variables)
    assert f"rows={kept}\n" in outputs.read_text()
    (evaluation,) = [step for step in STEPS if step["name"] == "Evaluation"]
    assert evaluation["env"]["ROWS"] == "${{ steps.data.outputs.rows }}"
    assert '${ROWS:+--rows "$ROWS"}' in evaluation["run"]
    assert "candidate_rows.parquet" in STEPS[0]["run"], "one of the checkout would be uploaded"
