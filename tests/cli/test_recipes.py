"""`just compare-baseline` and `just register-model` end with our sentence and our exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CI = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "JENKINS_URL", "LYNX_ENV")


@pytest.mark.parametrize(
    ("recipe", "code", "sentence"),
    [
        (["compare-baseline", "no_such_evaluation.json"], 3, "lynxgate: no_such_evaluation.json: "),
        (["register-model", "e" * 32, "v0.1.0"], 6, "lynxgate: "),
        (["register-model", "e" * 32, "0.1.0"], 64, "lynxgate: '0.1.0' "),
    ],
    ids=["no evaluation", "not authorised", "not a version"],
)
@pytest.mark.slow
def test_a_recipe_ends_as_its_command_does(recipe: list[str], code: int, sentence: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in CI}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    done = subprocess.run(
        [BIN / "just", *recipe], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    lines = done.stderr.splitlines()
    # Nothing of just itself, such as "error: Recipe `compare-baseline` failed on line 47 with exit code 3".
    assert len(lines) == 1
    assert lines[0].startswith(sentence)
