"""The page of variables and secrets names every variable that our code names."""

from __future__ import annotations

import re
from pathlib import Path

from lynxgate.candidate.evaluator import KEPT_VARIABLES, MODEL_VARIABLES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "secrets.md").read_text() + (ROOT / "docs" / "ci.md").read_text()
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
NAMED = set(re.findall(r'"((?:LYNX_ENV|LYNXGATE_[A-Z_]+|GITHUB_[A-Z_]+|MLFLOW_TRACKING_[A-Z]+))"', SOURCE))


def test_every_variable_of_ours_is_on_the_page() -> None:
    assert {"LYNX_ENV", "LYNXGATE_REGISTRY", "MLFLOW_TRACKING_URI", "GITHUB_TOKEN"} <= NAMED
    assert {name for name in NAMED if f"`{name}`" not in PAGE} == set()


def test_what_reaches_the_evaluator_is_on_the_page_and_is_no_secret() -> None:
    sentence = next(part for part in PAGE.split("\n- ") if part.startswith("**In the evaluation.**"))
    assert set(re.findall(r"`([A-Z_]{2,})`", sentence)) == {*KEPT_VARIABLES, *MODEL_VARIABLES}
    secrets = PAGE.partition("## Secrets")[2].partition("## Where")[0]
    assert not set(re.findall(r"`([A-Z_0-9]+)`", secrets)) & {*KEPT_VARIABLES, *MODEL_VARIABLES}


def test_no_command_takes_a_secret_as_an_option() -> None:
    assert not re.findall(r'"--[a-z-]*(?:password|token|secret|access-key)[a-z-]*"', SOURCE)
