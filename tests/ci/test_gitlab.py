"""The GitLab example, run by gitlab-ci-local on real parts: which jobs ran, what they kept, and the registry."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.wiring import open_store
from tests.act.repository import candidate_bundles
from tests.ci.gitlab_local import EXAMPLE, Project, make_project
from tests.servers import MlflowServer, client_of, log_bundle

pytestmark = [pytest.mark.parts, pytest.mark.slow]  # npm

SEMVER = "v0.3.1"
REPORT = {"verdict.json", "table.md", "candidate_eval.json", "candidate.sha"}


@dataclass(frozen=True)
class Scene:
    """A project with a production registry in a directory, and a good and a degraded run on the server."""

    project: Project
    registry: Path
    runs: dict[str, str]
    server: MlflowServer

    def line(self, run: str) -> str:
        """What a description asks with."""
        return f"mlflow_run_id={self.runs[run]} semver={SEMVER}"

    def registry_bytes(self) -> dict[str, str]:
        """Every file of the registry, by its hash."""
        files = [path for path in self.registry.rglob("*") if path.is_file()]
        return {str(p.relative_to(self.registry)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def scene(tmp_path: Path, shared_root: Path, mlflow_server: MlflowServer) -> Scene:
    """Only the environment production has the registry's address, as in the example's setup."""
    registry = tmp_path / "registry"
    create_registry(open_store(str(registry)), Environment.PRODUCTION)
    bundles = candidate_bundles(shared_root, mlflow_server)
    runs = {name: log_bundle(mlflow_server.url, folder) for name, folder in bundles.items()}
    settings = {
        "MLFLOW_TRACKING_URI": mlflow_server.url,
        "LYNXGATE_REGISTRY": {"type": "variable", "values": {"production": str(registry)}},
    }
    return Scene(make_project(tmp_path / "gitlab", settings), registry, runs, mlflow_server)


@pytest.fixture
def offline(tmp_path: Path) -> Project:
    """A project without a server."""
    return make_project(tmp_path / "gitlab", {})


@pytest.mark.heavy
def test_clean_is_promoted_on_the_default_branch(scene: Scene) -> None:
    """Production changes, and MLflow says so; the report is kept."""
    ran = scene.project.run(scene.project.started(scene.runs["good"], SEMVER))
    assert (ran.code, list(ran.jobs)) == (0, ["request", "evaluate", "promote"])
    assert set(ran.kept("evaluate")) == REPORT
    assert "| `tense.past_participle` | 30 | 100.00 % | 100.00 % |" in ran.kept("evaluate")["table.md"]
    sha = ran.kept("evaluate")["candidate.sha"].strip()
    assert ran.kept("promote")["receipt"].startswith(f"promoted {SEMVER} {sha}")
    assert sha in (scene.registry / "tags.json").read_text()
    tags = client_of(scene.server.url).get_run(scene.runs["good"]).data.tags
    assert tags[f"lynxgate.semver.{SEMVER}"] == sha
    assert not (ran.state / "cache").exists()


def test_a_regressed_merge_request_fails_and_changes_nothing(scene: Scene) -> None:
    """The bucket that fell is in the kept report. Nothing of the branch was used: it would have failed otherwise."""
    before = scene.registry_bytes()
    text = f"The new tutor.\r\n\r\n{scene.line('degraded')}\r\n\r\n$(touch owned) `touch owned`; touch owned"
    ran = scene.project.run(scene.project.merge_request(text, labels="bug,deploy-candidate"))
    assert (ran.code, list(ran.jobs)) == (1, ["request", "evaluate"])
    assert "FAIL 2" in ran.log
    assert set(ran.kept("evaluate")) == REPORT
    verdict = json.loads(ran.kept("evaluate")["verdict.json"])
    assert [row["bucket"] for row in verdict["rows"] if row["outcome"] == "regressed"] == ["tense.past_participle"]
    assert "| `tense.past_participle` | 30 | 100.00 % | 80.00 % |" in ran.kept("evaluate")["table.md"]
    assert scene.registry_bytes() == before
    assert (
        client_of(scene.server.url).get_run(scene.runs["degraded"]).data.tags.keys() & {f"lynxgate.semver.{SEMVER}"}
        == set()
    )
    assert not list(scene.project.root.rglob("owned"))


REQUEST = f"mlflow_run_id={'ab' * 16} semver={SEMVER}"
MORE = f"{REQUEST}\n{REQUEST.replace('v0', 'v1')}"


def ask(folder: Path, **variables: str) -> tuple[int, str]:
    """Exit code and stderr of the job `request`, as GitLab's runner runs it: bash, ending at the first failure."""
    (script,) = yaml.safe_load(EXAMPLE.read_text())["request"]["script"]
    environment = {"PATH": os.environ["PATH"], **variables}
    command = ["bash", "-eo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("", "refused: write one line"),
        (f"please: {REQUEST}", "refused: write one line"),
        (f"{REQUEST}; touch owned", "refused: write one line"),
        (REQUEST.replace("v0.3.1", "v0.3"), "refused: write one line"),
        (MORE, "refused: there is more than one request"),
    ],
)
def test_a_description_without_a_request_is_refused(tmp_path: Path, description: str, reason: str) -> None:
    code, error = ask(tmp_path, CI_MERGE_REQUEST_DESCRIPTION=description)
    assert (code, reason in error) == (6, True)
    assert not (tmp_path / "request.env").exists()


def test_a_request_is_passed_on(tmp_path: Path) -> None:
    assert ask(tmp_path, CI_MERGE_REQUEST_DESCRIPTION=f"The tutor.\r\n\r\n{REQUEST}\r\n") == (0, "")
    assert (tmp_path / "request.env").read_text() == f"RUN_ID={'ab' * 16}\nSEMVER={SEMVER}\n"


@pytest.mark.parametrize("value", ["$(touch owned)", "'; touch owned; '", "`touch owned`", "a" * 31, "--help", "-f x"])
def test_a_hostile_variable_is_refused_and_never_run(tmp_path: Path, value: str) -> None:
    assert ask(tmp_path, LYNX_RUN_ID=value, LYNX_SEMVER=SEMVER)[0] == 6
    assert ask(tmp_path, LYNX_RUN_ID="ab" * 16, LYNX_SEMVER=value)[0] == 6
    assert {path.name for path in tmp_path.iterdir()} == {"requests"}


def test_each_pipeline_has_its_jobs(offline: Project) -> None:
    """Nothing runs without a request, and only the default branch, protected, has the promoting job."""
    merge_request = offline.merge_request(REQUEST)
    assert offline.listed(merge_request) == ["request", "evaluate"]
    assert offline.listed(merge_request | {"LYNX_RUN_ID": "ab" * 16}) == ["request", "evaluate"]
    assert offline.listed(merge_request | {"CI_MERGE_REQUEST_LABELS": "not-deploy-candidate"}) == []
    assert offline.listed(merge_request | {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "lax"}) == []
    assert offline.listed(offline.started("ab" * 16, SEMVER, branch="candidate")) == []
    started = offline.started("ab" * 16, SEMVER)
    assert offline.listed(started) == ["request", "evaluate", "promote"]
    assert offline.listed(started | {"CI_COMMIT_REF_PROTECTED": "false"}) == []
    assert offline.listed({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "true"}) == []
