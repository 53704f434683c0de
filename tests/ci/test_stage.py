"""`.ci/stage`: it stores output and exit code, and the runner executes nothing in the output."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

STAGE = Path(__file__).parent.parent.parent / ".ci/stage"


def stage(root: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([STAGE, *command], cwd=root, env=environment, capture_output=True, text=True, check=False)


def read_ended(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root / "ended").iterdir()}


@pytest.mark.parametrize("code", [0, 2, 5, 64])
def test_the_exit_code_is_that_of_the_command(tmp_path: Path, code: int) -> None:
    done = stage(tmp_path, "bash", "-c", f"echo data; echo words >&2; exit {code}")
    assert done.returncode == code
    assert read_ended(tmp_path) == {"code": f"{code}\n", "printed": "data\n", "said": "words\n"}
    assert "data\n" in done.stdout
    assert done.stderr == "words\n"


def test_the_runner_executes_nothing_that_a_stage_prints(tmp_path: Path) -> None:
    """The runner takes no command between `::stop-commands::TOKEN` and `::TOKEN::`, and the token is not guessable."""
    done = stage(tmp_path, "echo", "::set-output name=canonical_sha::evil")
    first, middle, last = done.stdout.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert (middle, last) == ("::set-output name=canonical_sha::evil", f"::{token}::")
    other = stage(tmp_path, "true").stdout.splitlines()[0]
    assert len(token) == 36
    assert other != first


def test_a_failure_outside_the_stages_is_recorded(tmp_path: Path) -> None:
    stage(tmp_path, "true")
    assert stage(tmp_path, JOB_STATUS="failure").returncode == 0
    assert read_ended(tmp_path)["code"] == "5\n"
    assert "outside the gate's stages" in read_ended(tmp_path)["said"]


@pytest.mark.parametrize(("code", "status"), [(0, "success"), (2, "failure")])
def test_the_code_of_a_stage_stays_that_of_the_job(tmp_path: Path, code: int, status: str) -> None:
    stage(tmp_path, "bash", "-c", f"exit {code}")
    stage(tmp_path, JOB_STATUS=status)
    assert read_ended(tmp_path)["code"] == f"{code}\n"


def test_a_job_that_fails_before_its_first_stage_has_a_code(tmp_path: Path) -> None:
    stage(tmp_path, JOB_STATUS="failure")
    assert read_ended(tmp_path)["code"] == "5\n"
