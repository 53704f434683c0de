"""A poisoned archive at every place where a job unpacks one: none of its code runs, and no file outside changes.

- The archive has files like the gate's own (`src/`, `.ci/stage`, `.venv/bin/lynxgate`, a git hook), absolute paths and
  paths with `..`. It is unpacked as the shipped file says, and then the job's own scripts are run.
- Unpacking is a stand-in, which like the real ones (`actions/download-artifact` 4.3.0 and the runners of the others)
  never leaves its folder; whether they keep to that can be seen only there. What is shown is ours: the folder that is
  named is one in which no code is, and no script brings a file of it to where code is.
- `lynxgate`, `python` and `minieval` are stand-ins that run the code of the checkout, as an editable install does, and
  record whose it was.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ci.archive_places import (
    CIRCLECI,
    GITHUB,
    GITLAB,
    JENKINS,
    PLACES,
    ROOT,
    Place,
    circleci_steps,
    find_all,
    find_circleci,
    find_github,
    find_gitlab,
    find_jenkins,
    github_jobs,
    jenkins_stages,
    load,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("examples")]  # the Jenkinsfile takes seconds to parse: once
CODE = 'import os\nopen(os.environ["RECORD"], "a").write("{whose} code\\n")\n'
PROGRAM = """\
#!{python} -I
import os, runpy, sys
from pathlib import Path
root = Path(sys.argv[0]).absolute().parents[2]
runpy.run_path(str(root / "src/lynxgate/__init__.py"))
if Path(sys.argv[0]).name == "python" and Path("scripts/__init__.py").is_file():  # -m finds the current directory first
    runpy.run_path("scripts/__init__.py")
print("one line")
for option, value in zip(sys.argv, sys.argv[1:]):
    if option in ("--output", "--write", "--dest"):
        Path(value).write_text("made by the job\\n")
"""
PYTHON3 = """\
#!/bin/sh
[ "$*" = "-m venv .venv" ] || exit 9
mkdir -p .venv/bin
for name in lynxgate minieval python; do cp "$PROGRAM" ".venv/bin/$name"; done
printf '#!/bin/sh\\n' > .venv/bin/pip
chmod +x .venv/bin/*
"""
POISON = CODE.format(whose="poisoned")
SHELL_POISON = '#!/bin/sh\necho "poisoned code" >> "$RECORD"\n'
EVALUATION = '{"of": "the candidate, poisoned"}\n'
VALUES = {
    "RUN_ID": "ab" * 16, "LYNX_RUN_ID": "ab" * 16, "SEMVER": "v0.3.1", "LYNX_SEMVER": "v0.3.1", "HEAD_SHA": "a1" * 20,
    "BASE": "main", "CI_DEFAULT_BRANCH": "main", "BASE_SHA": "b1" * 20, "CANONICAL_SHA": "c" * 64,
    "VERDICT_SHA256": hashlib.sha256(b"poisoned\n").hexdigest(),
    "EVALUATION_SHA256": hashlib.sha256(EVALUATION.encode()).hexdigest(), "EVAL_SET": "data/eval/set.jsonl",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "JOB_STATUS": "success", "COUNT": "success", "PROMOTION": "success",
    "EVALUATION": "success", "EXIT_CODE": "0", "BASELINE": "eval_baseline.json", "LABEL": "deploy-candidate",
    "LYNXGATE_REGISTRY": "registry", "TASK": "promote", "TRACKING_URI": "http://127.0.0.1:9", "REGISTRY": "registry",
    "AGREED": "yes", "GITHUB_TOKEN": "token",
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A runner: the repository, its checkout, the folder for temporary files, and the record of whose code ran."""

    root: Path

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def temp(self) -> Path:
        return self.root / "temp"

    def record(self) -> set[str]:
        path = self.root / "record"
        return set(path.read_text().splitlines()) if path.exists() else set()

    def run(self, script: str) -> None:
        """Run a script as the systems do, in the checkout."""
        environment = {
            **VALUES, "HOME": str(self.root), "RECORD": str(self.root / "record"),
            "PROGRAM": str(self.root / "program"),
            "PATH": f"{self.checkout / '.venv/bin'}:{self.root / 'tools'}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temp), "WORKSPACE_TMP": str(self.temp), "TMPDIR": str(self.temp),
            "CI_PROJECT_DIR": str(self.checkout), "CI_REPOSITORY_URL": str(self.root / "origin"),
            "GITHUB_ACTION_PATH": str(self.checkout), "GITHUB_OUTPUT": str(self.root / "output"),
            "GITHUB_STEP_SUMMARY": str(self.root / "summary"), "GIT_CONFIG_GLOBAL": "/dev/null",
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=self.checkout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def unpack(self, folder: Path) -> None:
        """Unpack the poisoned archive into a folder; a path that leads out of it ends inside, as the real ones do."""
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(poisoned(self.root))) as archive:
            archive.extractall(folder)
        for each in folder.rglob("*"):  # some keep the bits, so a planted program could be started
            if each.is_file():
                each.chmod(0o755)

    def files(self, *apart: Path) -> dict[str, str]:
        """Every file of the machine by its hash, but those below some folders."""
        found = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
            if not any(path.is_relative_to(each) for each in apart)
        }


def poisoned(root: Path) -> bytes:
    """The archive: the files that a job expects, with poisoned data, and files that no job expects."""
    code = ("src/lynxgate/__init__.py", "scripts/__init__.py", "lynxgate.py", "sitecustomize.py")
    programs: tuple[str, ...] = (".ci/stage", ".ci/install", ".venv/bin/lynxgate", ".venv/bin/python", ".venv/bin/pip")
    programs += (".git/hooks/post-checkout", ".git/hooks/reference-transaction", "python3", "bash")
    data = {
        "candidate_eval.json": EVALUATION, "verdict.json": "poisoned\n", "candidate.sha": "c" * 64, "code": "0\n",
        "said": "poisoned\n", "printed": "poisoned\n", "eval_baseline.json": "poisoned\n",
        "requirements.lock": "poisoned\n",
    }  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in code:
            archive.writestr(name, POISON)
        for name in programs:
            archive.writestr(name, SHELL_POISON)
        for name, text in data.items():
            for folder in ("", "ended/", "report/"):
                archive.writestr(folder + name, text)
        for folder in ("../", "../../", "../../../", f"{root}/checkout/", f"{root}/tools/", "../../../checkout/"):
            for name in (*code, "eval_baseline.json"):
                archive.writestr(folder + name, POISON)
    return buffer.getvalue()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A repository with code of its own, checked out and installed, and git's and Python's programs."""
    made = Machine(tmp_path)
    origin = tmp_path / "origin"
    for name in ("src/lynxgate/__init__.py", "scripts/__init__.py"):
        (origin / name).parent.mkdir(parents=True)
        (origin / name).write_text(CODE.format(whose="our"))
    shutil.copytree(ROOT / ".ci", origin / ".ci")
    (origin / "eval_baseline.json").write_text('{"eval_set": "data/eval/set.jsonl"}\n')
    (origin / "requirements.lock").write_text("ours\n")
    (origin / ".gitignore").write_text(".venv/\n")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "x"]):
        subprocess.run([*git, *arguments], cwd=origin, check=True)
    subprocess.run([*git, "clone", "--quiet", str(origin), str(made.checkout)], check=True)
    for folder in ("tools", "temp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "program").write_text(PROGRAM.format(python=sys.executable))
    (tmp_path / "tools/python3").write_text(PYTHON3)
    (tmp_path / "tools/python3").chmod(0o755)
    return made


def install(machine: Machine) -> None:
    machine.run("python3 -m venv .venv")


def hold(machine: Machine, before: dict[str, str], agreed: Path) -> None:
    """What was there is as it was, what is new holds nothing of the archive, and only our code ran."""
    assert machine.record() == {"our code"}
    after = machine.files(agreed)
    assert {name: digest for name, digest in after.items() if name in before} == before
    for name in after.keys() - before.keys():
        assert "poisoned" not in (machine.root / name).read_text(errors="replace"), name
    assert machine.files() != after, "the archive was unpacked"


def scripts_after(steps: list[dict[str, object]], step: str) -> list[str]:
    names = [each.get("name") for each in steps]
    return [str(each["run"]) for each in steps[names.index(step) + 1 :] if "run" in each]


@pytest.mark.parametrize(
    "place",
    [each for each in PLACES if each.file.endswith(".yml") and not each.file.startswith((".g", "config"))],
    ids=str,
)
def test_on_github(machine: Machine, place: Place) -> None:
    install(machine)
    (path,) = [path for path in GITHUB if path.name == place.file]
    (machine.checkout / "base").mkdir()
    (machine.checkout / "base/eval_baseline.json").write_text("ours\n")
    steps = github_jobs(load(path))[place.job]
    (download,) = [each for each in steps if each.get("name") == place.step]
    folder = Path(download["with"]["path"].replace("${{ runner.temp }}", str(machine.temp)))
    assert folder == Path(PLACES[place].replace("$T", str(machine.temp)))
    before = machine.files()
    # What the earlier steps would have brought, so that the scripts run to their end.
    for other in (each for each in PLACES if (each.file, each.job) == (place.file, place.job)):
        kept = Path(PLACES[other].replace("$T", str(machine.temp)))
        for name in (
            "candidate_eval.json",
            "verdict.json",
            "ended/code",
            "ended/said",
            "ended/printed",
            "code",
            "said",
        ):
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            (kept / name).write_text(EVALUATION if name == "candidate_eval.json" else "0\n")
    machine.unpack(folder)
    for script in scripts_after(steps, place.step):
        machine.run(script)
    hold(machine, before, machine.temp / "lynxgate")


@pytest.mark.parametrize("place", [each for each in PLACES if each.file == GITLAB.name], ids=str)
def test_on_gitlab(machine: Machine, place: Place) -> None:
    """The agreed folder is the project's, with the checkout in it: so none of its code may run at all."""
    document = load(GITLAB)
    job = document[place.job]
    before = machine.files(machine.checkout)
    machine.unpack(machine.checkout)
    assert PLACES[place] == "$P"
    lines = [*document[job["extends"]]["before_script"], *job["script"]]
    machine.run("\n".join(lines))
    hold(machine, before, machine.checkout)
    assert list(machine.temp.iterdir()) == [], "the clone was removed"


@pytest.mark.parametrize("place", [each for each in PLACES if each.file == CIRCLECI.name], ids=str)
def test_on_circleci(machine: Machine, place: Place) -> None:
    document = load(CIRCLECI)
    steps = circleci_steps(document, place.job)
    (attached,) = [each[place.step]["at"] for each in steps if place.step in each]
    agreed = machine.temp / Path(attached).name
    assert agreed == Path(PLACES[place].replace("$T", str(machine.temp)))
    assert Path(attached).is_absolute() and not Path(attached).is_relative_to("/home")
    before = machine.files()
    for step in steps:
        if place.step in step:
            before = machine.files()
            machine.unpack(agreed)
        elif "run" in step:
            machine.run(step["run"]["command"].replace(attached, str(agreed)))
    hold(machine, before, agreed)


@pytest.mark.parametrize("place", [each for each in PLACES if each.file == JENKINS.name], ids=str)
def test_on_jenkins(machine: Machine, place: Place) -> None:
    stage = jenkins_stages(JENKINS.read_text())[place.job]
    around = next(each for each in stage.walk() if any(inner.name == place.step for inner in each.body))
    assert around.words == ("dir", "env", "WORKSPACE_TMP", "/evaluation")
    agreed = Path(PLACES[place].replace("$T", str(machine.temp)))
    assert agreed == machine.temp / "evaluation"
    before = machine.files()
    machine.unpack(agreed)
    for each in stage.walk():
        if each.name == "sh":
            machine.run(each.words[-1])
    hold(machine, before, agreed)


def test_the_table_has_every_place() -> None:
    assert sorted(find_all()) == sorted(PLACES)


def test_a_script_that_takes_code_from_an_archive_is_noticed(machine: Machine) -> None:
    """The test itself: a job as it was, which unpacked over its checkout."""
    install(machine)
    before = machine.files()
    machine.unpack(machine.checkout)
    machine.run("lynxgate ci comment")
    with pytest.raises(AssertionError):
        hold(machine, before, machine.temp / "lynxgate")


SMALL_JENKINSFILE = "pipeline {\n agent none\n stages {\n stage('x') {\n steps {\n sh 'true'\n }\n }\n }\n}\n"
NEW_STEPS = (
    {"name": "x", "uses": "actions/cache@0", "with": {"path": "candidate"}},
    {"name": "x", "uses": "actions/cache/restore@0"},
    {"name": "x", "uses": "actions/download-artifact@0"},
    {"name": "x", "uses": "dawidd6/action-download-artifact@0"},
    {"name": "x", "uses": "actions/setup-python@0", "with": {"cache": "pip"}},
    {"name": "x", "run": "tar -xf candidate.tar"},
    {"name": "x", "run": "gh run download 1"},
    {"name": "x", "run": "curl --fail -o a.zip https://example.org/a.zip"},
    {"name": "x", "run": "python -c 'import zipfile; zipfile.ZipFile(\"a\").extractall()'"},
)


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_a_new_place_on_github_is_found(path: Path) -> None:
    document = load(path)
    job = next(job for job, steps in github_jobs(document).items() if steps)
    steps = document["runs"]["steps"] if "runs" in document else document["jobs"][job]["steps"]
    for step in NEW_STEPS:
        steps.append(step)
        assert Place(path.name, job, "x") in find_github(path.name, document), step
        steps.pop()
    assert Place(path.name, job, "x") not in find_github(path.name, document)


def test_a_new_place_elsewhere_is_found() -> None:
    gitlab = load(GITLAB)
    for change in ({"cache": {"paths": ["x"]}}, {"script": ["tar -xf x"]}, {"needs": ["request", {"job": "y"}]}):
        changed = copy.deepcopy(gitlab)
        changed["evaluate"] |= change
        assert set(find_gitlab(changed)) - PLACES.keys()
    changed = copy.deepcopy(gitlab)
    changed["later"] = {"stage": "promote", "script": ["true"]}
    assert Place(GITLAB.name, "later", "needs evaluate") in set(find_gitlab(changed))
    circleci = load(CIRCLECI)
    steps: tuple[dict[str, Any], ...] = (
        {"restore_cache": {}},
        {"attach_workspace": {"at": "."}},
        {"run": {"name": "x", "command": "unzip x"}},
    )
    for step in steps:
        changed = copy.deepcopy(circleci)
        changed["jobs"]["evaluate"]["steps"].append(step)
        assert set(find_circleci(changed)) - PLACES.keys()
    for line in ("unstash 'other'", "copyArtifacts projectName: 'x'", "sh 'tar -xf x'"):
        (place,) = find_jenkins(SMALL_JENKINSFILE.replace("sh 'true'", line))
        assert place not in PLACES
    assert list(find_jenkins(SMALL_JENKINSFILE)) == []
