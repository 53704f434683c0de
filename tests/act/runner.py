"""Running act on the shipped workflow: third-party actions stand in from `actions/`, everything else is the real one.

- The result says which steps ran in which job and how they ended: act's own exit code is no evidence that any did.
- HOME is an empty directory, and nothing of this process's environment is handed on but PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.act.repository import ROOT, Repository

ACTIONS = Path(__file__).parent / "actions"
WORKFLOWS = ROOT / ".github/workflows"
UV = """\
#!{python} -I
import hashlib, os, re, sys
from pathlib import Path
sys.path.insert(0, {source!r})
arguments = [each for each in sys.argv[1:] if each != "--quiet"]
match arguments:
    case ["venv"]:
        Path(".venv").symlink_to({prefix!r})
    case ["pip", "sync", "--require-hashes", lock]:
        text = Path(lock).read_text()
        assert len(re.findall(r"^[a-z0-9].*==", text, re.M)) <= text.count("--hash=sha256:"), "no hashes"
        seen = Path(__file__).parent / f"as-locked-{{hashlib.sha256(text.encode()).hexdigest()}}"
        if not seen.exists():  # the jobs of a run install into one environment; it is held to a lock once
            from lynxgate.candidate.lock_check import check_lock
            print("as locked:", check_lock(Path(lock)))
            seen.touch()
    case ["pip", "install", "--no-deps", "--no-build-isolation", "--editable", "."]:
        with open(os.environ["GITHUB_ENV"], "a") as file:
            print("PYTHONPATH=" + str(Path("src").resolve()), file=file)
    case _:
        sys.exit(f"uv was called in a way that the tests do not know: {{arguments}}")
"""


@dataclass(frozen=True)
class Step:
    """One step that ran: its job, its name, and ``success``, ``failure`` or ``skipped``."""

    job: str
    name: str
    result: str


@dataclass(frozen=True)
class Ran:
    """One run of the workflow."""

    code: int
    steps: tuple[Step, ...]
    jobs: Mapping[str, str]
    log: str
    seconds: float

    def result(self, job: str, step: str) -> str | None:
        """How a step ended; `None` when it never began."""
        return next((each.result for each in self.steps if (each.job, each.name) == (job, step)), None)

    def ran(self, job: str) -> list[str]:
        """The names of the job's steps that began, in order, without those that were skipped."""
        return [each.name for each in self.steps if each.job == job and each.result != "skipped"]


class Shed:
    """What the stand-in actions share during a test: the repository, artefacts, tools, the S3 keys."""

    def __init__(self, root: Path, repository: Repository) -> None:
        self.root = root
        self.repository = repository
        self.actions = ACTIONS
        self.published: dict[str, Path] = {}  # other repositories' actions, by owner/name@commit
        (root / "tools").mkdir(parents=True)
        (root / "origin").symlink_to(repository.root)
        (root / "tools/python").symlink_to(sys.executable)
        uv = root / "tools/uv"
        uv.write_text(UV.format(python=sys.executable, source=str(ROOT / "src"), prefix=sys.prefix))
        uv.chmod(0o755)

    @property
    def artifacts(self) -> Path:
        """The artefacts, a folder for each name."""
        return self.root / "artifacts"

    def override(self, action: str) -> Path:
        """This test's own copy of a stand-in, to be changed."""
        if self.actions == ACTIONS:
            self.actions = self.root / "actions"
            shutil.copytree(ACTIONS, self.actions)
        return self.actions / action / "action.yml"

    def give_aws(self, environment: Mapping[str, str]) -> None:
        """What the role gives to a job that may assume it."""
        (self.root / "aws.env").write_text("".join(f"{key}={value}\n" for key, value in environment.items()))

    def run(
        self,
        event: Mapping[str, Any],
        *,
        env: Mapping[str, str],
        variables: Mapping[str, str],
        secrets: Mapping[str, str],
        number: int = 1,
        kind: str = "pull_request",
        workflow: str = "deploy-grammar-tutor.yml",
    ) -> Ran:
        """Run the worktree's copy of a workflow on an event of some kind."""
        begun = time.monotonic()
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        shutil.rmtree(self.artifacts, ignore_errors=True)
        (self.root / "event.json").write_text(json.dumps(event))
        command = [str(Path(sys.executable).with_name("act")), kind, "--json"]
        command += ["--eventpath", str(self.root / "event.json"), "--directory", str(self.repository.root)]
        command += ["--workflows", f".github/workflows/{workflow}", "--defaultbranch", "main"]
        command += ["--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server", "--no-skip-checkout"]
        command += ["--action-cache-path", str(self.root / f"work-{number}"), "--action-offline-mode"]
        called = {f"{self.repository.name}@main": self._default_branch(), **self.published}
        for pin, folder in {**stand_ins(self.actions), **called}.items():
            command += ["--local-repository", f"{pin}={folder}"]
        given = {"LYNX_SHED": str(self.root), "GITHUB_SERVER_URL": "https://github.com", **env}
        for option, values in (("--env", given), ("--var", variables), ("--secret", secrets)):
            for key, value in values.items():
                command += [option, f"{key}={value}"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        done = subprocess.run(
            command, env=environment, cwd=self.root, capture_output=True, text=True, timeout=800, check=False
        )
        shutil.rmtree(self.root / f"work-{number}", ignore_errors=True)
        ran = _read(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)
        print(ran.log)  # pytest shows it when the test fails
        return ran

    def _default_branch(self) -> Path:
        """The default branch as it is now: where `promote.yml@main` comes from, whatever the worktree has."""
        found = self.root / "default-branch"
        shutil.rmtree(found, ignore_errors=True)
        origin = f"file://{self.repository.root}"
        self.repository.git("clone", "--quiet", "--depth", "1", "--branch", "main", origin, str(found))
        return found


def stand_ins(actions: Path = ACTIONS) -> dict[str, Path]:
    """Each pin in the shipped workflows, and the folder that stands in for it."""
    found: dict[str, Path] = {}
    for path in WORKFLOWS.glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job.get("steps", ()):
                if match := re.match(r"([\w.-]+/([\w.-]+))[\w./-]*@(\w+)$", step.get("uses", "")):
                    found[f"{match[1]}@{match[3]}"] = actions / match[2]
    return found


def _read(code: int, text: str, seconds: float) -> Ran:
    steps: list[Step] = []
    jobs: dict[str, str] = {}
    said: list[str] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            said.append(line)
            continue
        said.append(f"[{entry.get('jobID', '')}] {entry.get('msg', '').rstrip()}")
        if "stepResult" in entry and entry.get("stage") == "Main" and len(entry["stepID"]) == 1:
            steps.append(Step(entry["jobID"], entry["step"], entry["stepResult"]))
        if "jobResult" in entry:
            jobs[entry["jobID"]] = entry["jobResult"]
    return Ran(code, tuple(steps), jobs, "\n".join(said), seconds)
