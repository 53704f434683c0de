"""The rebaseline workflow, run by act on real parts, up to the calls that GitHub received."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.act.conftest import PASSWORD, TOKEN
from tests.act.repository import NAME, ROOT, Repository, copy_repository
from tests.act.runner import WORKFLOWS, Ran, Shed
from tests.github_standin import BOT, GithubStandIn, Token
from tests.servers import MlflowServer

APP = "lynxgate-app[bot]"
EVALUATE = ["Check out the branch to measure at", "Python", "bwrap", "1 install from the lock"]
EVALUATE += ["Find the run to measure", "2 eval set", "3 candidate", "4 evaluation", "Upload the evaluation"]
PROPOSE = ["Check out the default branch", "Python", "Install from the lock", "Check out the baseline of the branch"]
PROPOSE += ["Download the evaluation", "Verify the hash of the evaluation", "Propose"]


@dataclass
class Scene:
    """The repository on main, and everything around it."""

    repository: Repository
    shed: Shed
    github: GithubStandIn
    server: MlflowServer
    runs: dict[str, str]

    def dispatch(self, number: int = 1, variables: dict[str, str] | None = None, **inputs: str) -> Ran:
        """A maintainer starts the workflow on main."""
        event = {
            "inputs": {name.replace("_", "-"): value for name, value in inputs.items()},
            "ref": "refs/heads/main",
            "repository": {"full_name": NAME, "default_branch": "main"},
        }
        ran = self.shed.run(
            event,
            env={"GITHUB_API_URL": self.github.url},
            variables={"MLFLOW_TRACKING_URI": self.server.url, **(variables or {})},
            secrets={"GITHUB_TOKEN": TOKEN, "MLFLOW_TRACKING_PASSWORD": PASSWORD, "LYNXGATE_APP_KEY": "app-key-SECRET"},
            number=number,
            kind="workflow_dispatch",
            workflow="perf-rebaseline.yml",
        )
        assert "SECRET" not in ran.log
        return ran

    def proposed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The one pull request, and the baseline on its branch."""
        (pull,) = self.github.pulls.values()
        return pull, json.loads(self.github.files[pull["head"]["ref"], "eval_baseline.json"])


@pytest.fixture
def scene(tmp_path: Path, shared_root: Path, act_runs: dict[str, str], mlflow_server: MlflowServer) -> Iterator[Scene]:
    """A repository whose baseline is worse than the good model; whatever happens, main stays as it is."""
    repository = copy_repository(shared_root, tmp_path / "repository")
    repository.git("checkout", "--quiet", "main")
    base = repository.base
    old = (repository.root / "eval_baseline.json").read_bytes()
    with GithubStandIn(NAME) as github:
        github.tokens[TOKEN] = Token(BOT, {"contents": "write", "pull-requests": "write"})
        github.tokens["ghs_of_the_app"] = Token(APP, {"contents": "write", "pull-requests": "write"})
        github.add_branch("main", base, **{"eval_baseline.json": old})
        yield Scene(repository, Shed(tmp_path / "shed", repository), github, mlflow_server, act_runs)
        assert github.violations == []
        assert (github.branches["main"], github.files["main", "eval_baseline.json"]) == (base, old)
    assert repository.base == base


@pytest.mark.slow
@pytest.mark.heavy
def test_it_proposes_what_it_measured_and_then_says_that_nothing_moved(scene: Scene) -> None:
    accepted = "tense.past_participle"
    ran = scene.dispatch(run_id=scene.runs["degraded"], semver="v0.3.2", accept_regression=accepted)
    assert (ran.code, {each.result for each in ran.steps} - {"skipped"}) == (0, {"success"})
    assert ran.ran("evaluate") == EVALUATE
    assert ran.ran("propose") == [*PROPOSE, "Upload the changes"]
    pull, new = scene.proposed()
    old = json.loads(scene.github.files["main", "eval_baseline.json"])
    assert re.fullmatch(r"rebaseline: \d bucket.* of the baseline, 1 of them down", pull["title"])
    assert (pull["base"]["ref"], pull["user"]["login"]) == ("main", BOT)
    assert "- [ ] " in pull["body"]
    assert f"Accepted regressions: `{accepted}: -" in pull["body"]
    assert new["source"]["_comment_accepted_regressions"].startswith(f"{accepted}: -")
    assert (new["status"], new["policy"]) == (old["status"], old["policy"])
    assert new["source"]["mlflow_run_id"] == scene.runs["degraded"]
    assert new["buckets"] != old["buckets"]
    kept = scene.shed.artifacts
    assert (kept / "evaluation/requirements-gate.lock").is_file()
    assert sorted(path.name for path in (kept / "rebaseline").iterdir()) == ["after.json", "before.json", "moves.md"]

    # It is merged; the run that the baseline names now is measured when none is given.
    after = (kept / "rebaseline/after.json").read_text()
    before = scene.repository.base
    scene.repository.commit_on_main({"eval_baseline.json": after})
    scene.repository.git("checkout", "--quiet", "main")
    writes = len(scene.github.calls("POST")) + len(scene.github.calls("PUT"))
    again = scene.dispatch(number=2)
    scene.repository.git("reset", "--quiet", "--hard", before)
    assert (again.code, again.ran("propose")) == (0, PROPOSE)
    assert "no change: main already has these numbers" in again.log
    assert len(scene.github.calls("POST")) + len(scene.github.calls("PUT")) == writes


@pytest.mark.slow
@pytest.mark.heavy
def test_an_apps_token_opens_it_so_that_checks_run(scene: Scene) -> None:
    ran = scene.dispatch(run_id=scene.runs["good"], variables={"LYNXGATE_APP_ID": "4711"})
    assert ran.code == 0
    assert ran.result("propose", "Get the App's token") == "success"
    assert scene.proposed()[0]["user"]["login"] == APP
    assert {call.login for call in scene.github.journal} == {APP}


@pytest.mark.slow
def test_an_input_is_never_a_command(scene: Scene) -> None:
    ran = scene.dispatch(run_id="$(touch owned); `touch owned`")
    assert ran.code != 0
    assert ran.result("evaluate", "Find the run to measure") == "failure"
    assert "there is no run to measure" in ran.log
    assert ran.ran("propose") == []
    assert not list(scene.shed.root.rglob("owned"))
    assert scene.github.journal == []


def steps_of(file: str, job: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"][job]["steps"]
    return {step["name"]: step for step in found}


def test_it_measures_as_the_gate_does() -> None:
    mine, gate = (yaml.safe_load((WORKFLOWS / name).read_text()) for name in ("perf-rebaseline.yml", "promote.yml"))
    assert mine["jobs"]["evaluate"]["runs-on"] == gate["jobs"]["evaluate"]["runs-on"]
    assert mine["jobs"]["evaluate"]["env"]["EVAL_SET"] == gate["jobs"]["evaluate"]["env"]["EVAL_SET"]
    ours, theirs = steps_of("perf-rebaseline.yml", "evaluate"), steps_of("promote.yml", "evaluate")
    for name in ("Python", "bwrap", "1 install from the lock"):
        assert ours[name] | {"id": None} == theirs[name] | {"id": None}
    mine, gate = (measurement(steps["4 evaluation"]["run"]) for steps in (ours, theirs))
    assert mine == [word for word in gate if word not in KEEPING_ROWS]


KEEPING_ROWS = ("${rows:+--rows", '"$rows"}')  # nothing of a rebaseline is kept but its figures


def measurement(script: str) -> list[str]:
    """The words of the command that runs minieval, up to the end of its line."""
    (line,) = [line for line in script.replace("\\\n", " ").splitlines() if "-m minieval" in line]
    return line.split()


def test_what_act_does_not_enforce() -> None:
    text = (ROOT / ".github/workflows/perf-rebaseline.yml").read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow[True]) == ["workflow_dispatch"]  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert workflow["jobs"]["evaluate"]["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["propose"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    # The job that runs candidate code reaches no environment; the one with the App's key has one with reviewers.
    assert {name: job.get("environment") for name, job in workflow["jobs"].items()} == {
        "evaluate": None,
        "propose": "rebaseline",
    }
    for job in workflow["jobs"].values():
        assert not any("${{" in step.get("run", "") for step in job["steps"])
    assert not re.search(r"git push|baseline (activate|arm)|--force|gh ", text)
