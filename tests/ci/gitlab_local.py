"""A GitLab project, and its pipelines as gitlab-ci-local runs them: the shell executor, each job in a copy of its own.

- The project holds `examples/ci/gitlab/.gitlab-ci.yml`, a small eval set with its DVC remote, a baseline and a lock. A
  merge request's branch breaks all that must not be taken from it.
- Installing stands in: ``python3 -m venv`` makes one whose pip takes the tests' own environment for as locked. Git,
  MLflow's server, DVC, bwrap and the registry are real.
- Which jobs ran is read from what they left, never from the exit code alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.act.repository import EVAL_SET, HOSTILE, ROOT, Repository, add_eval_set, write

EXAMPLE = ROOT / "examples/ci/gitlab/.gitlab-ci.yml"
TOOL = ROOT / "tests/npm/node_modules/.bin/gitlab-ci-local"
BROKEN = {name: HOSTILE[name] for name in ("requirements.lock", ".dvc/config", f"{EVAL_SET}.dvc", "eval_baseline.json")}
LOCK = "pydantic==0.0.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
PYTHON3 = """\
#!{python} -I
import os, sys
from pathlib import Path
if sys.argv[1:] != ["-m", "venv", ".venv"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
made = Path(".venv/bin")
made.mkdir(parents=True)
for name in ("lynxgate", "minieval"):
    (made / name).symlink_to(Path({prefix!r}, "bin", name))
(made / "pip").write_text({pip!r})
(made / "pip").chmod(0o755)
"""
PIP = """\
#!/bin/sh
[ "$*" = "install --quiet --require-hashes --requirement requirements.lock" ] || exit 9
grep -q '^pydantic==' requirements.lock || exit 9
"""


@dataclass(frozen=True)
class Pipeline:
    """One pipeline that ran: its exit code, its jobs' logs by name, in order, and where their artefacts are."""

    code: int
    jobs: Mapping[str, str]
    state: Path
    log: str

    def kept(self, job: str) -> dict[str, str]:
        """The artefacts that a job left, by name."""
        folder = self.state / "artifacts" / job
        return {path.name: path.read_text() for path in folder.glob("*") if path.is_file()}


@dataclass(frozen=True)
class Project:
    """A clone of a GitLab project; its worktree is what a pipeline checks out."""

    root: Path
    tools: Path
    settings: Mapping[str, Any]

    @property
    def repository(self) -> Repository:
        """The clone."""
        return Repository(self.root)

    def merge_request(self, description: str, labels: str = "deploy-candidate", target: str = "main") -> dict[str, str]:
        """What GitLab sets in a merge request's pipeline; the branch is checked out."""
        self.repository.git("checkout", "--quiet", "candidate")
        return {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target,
            "CI_MERGE_REQUEST_LABELS": labels,
            "CI_MERGE_REQUEST_DESCRIPTION": description,
        }

    def started(self, run_id: str, semver: str, branch: str = "main") -> dict[str, str]:
        """What GitLab sets in a pipeline that somebody starts on a branch; the branch is checked out."""
        self.repository.git("checkout", "--quiet", branch)
        protected = str(branch == "main").lower()
        given = {"LYNX_RUN_ID": run_id, "LYNX_SEMVER": semver}
        return {"CI_PIPELINE_SOURCE": "web", "CI_COMMIT_REF_PROTECTED": protected, **given}

    def listed(self, variables: Mapping[str, str]) -> list[str]:
        """The jobs that the pipeline would have."""
        done = self._call(variables, "--list-json")
        assert done.returncode == 0, done.stderr
        found = (
            done.stdout[done.stdout.index("\n[") :] if "\n[" in done.stdout else done.stdout
        )  # a warning comes first
        return [job["name"] for job in json.loads(found) if job["when"] != "never"]

    def run(self, variables: Mapping[str, str]) -> Pipeline:
        """Run the pipeline."""
        state = self.root / ".gitlab-ci-local"
        shutil.rmtree(state / "output", ignore_errors=True)
        shutil.rmtree(state / "artifacts", ignore_errors=True)
        done = self._call(variables)
        logs = sorted((state / "output").glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        print(done.stdout + done.stderr)  # pytest shows it when the test fails
        jobs = {path.stem: path.read_text() for path in logs}
        return Pipeline(done.returncode, jobs, state, done.stdout + done.stderr)

    def _call(self, variables: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        assert TOOL.exists(), "npm ci --prefix tests/npm (just test does it)"
        origin = {"CI_REPOSITORY_URL": f"file://{self.root.parent / 'origin'}"}  # GitLab sets it; the tool does not
        (self.root / ".gitlab-ci-local-variables.yml").write_text(json.dumps({**origin, **self.settings}))
        command = [str(TOOL), "--shell-isolation", "--no-artifacts-to-source", "--no-json-schema-validation"]
        command += ["--no-color", *options]
        if "CI_MERGE_REQUEST_LABELS" in variables:
            command += ["--unset-variable", "CI_COMMIT_BRANCH"]
        for key, value in {"GITLAB_CI": "true", **variables}.items():  # the tool says "false"
            command += ["--variable", f"{key}={value}"]
        environment = {"PATH": f"{self.tools}:{os.environ['PATH']}", "HOME": str(self.tools), "LANG": "C.UTF-8"}
        return subprocess.run(
            command, env=environment, cwd=self.root, capture_output=True, text=True, timeout=200, check=False
        )


def make_project(root: Path, settings: Mapping[str, Any]) -> Project:
    """A new one: the project at ``root``/origin, its clone beside it; ``settings`` are the project's CI variables."""
    origin, tools = Repository(root / "origin"), root / "tools"
    origin.root.mkdir(parents=True)
    origin.git("init", "--quiet", "--initial-branch", "main")
    (origin.root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", origin.root / ".dvc/config")
    shutil.copy(EXAMPLE, origin.root)
    add_eval_set(origin.root)
    ignored = {".gitignore": ".venv/\n", f"{Path(EVAL_SET).parent}/.gitignore": f"/{Path(EVAL_SET).name}\n"}
    write(origin.root, {"requirements.lock": LOCK, **ignored})
    origin.git("add", "--all")
    origin.git("commit", "--quiet", "--message", "The base")
    origin.git("checkout", "--quiet", "-b", "candidate")
    write(origin.root, BROKEN)
    origin.git("commit", "--quiet", "--all", "--message", "A candidate")
    origin.git("checkout", "--quiet", "main")
    origin.git("clone", "--quiet", str(origin.root), str(root / "project"))
    tools.mkdir()
    python3 = tools / "python3"
    python3.write_text(PYTHON3.format(python=sys.executable, prefix=sys.prefix, pip=PIP))
    python3.chmod(0o755)
    return Project(root / "project", tools, settings)
