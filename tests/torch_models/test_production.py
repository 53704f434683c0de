"""A network of torch and a pipeline of transformers, from their runs to production, in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.matrix.road import evaluate_run, open_tracking, promote_evaluated

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

BIN = Path(__file__).parents[2] / ".venv-torch" / "bin"
ROWS = 30


@pytest.mark.parametrize(("name", "suffix"), [("torch", "csv"), ("transformers", "jsonl")])
def test_a_model_goes_from_its_run_to_production(
    name: str, suffix: str, shared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (BIN / "minieval").exists():
        pytest.fail("there is no environment of torch and transformers; make it with: just torch", pytrace=False)
    tracking_uri = open_tracking(shared_root, tmp_path, monkeypatch)
    call("python", str(Path(__file__).with_name("train.py")), name, str(tmp_path))
    eval_set, task = tmp_path / f"rows.{suffix}", tmp_path / "rows.toml"
    evaluation = evaluate_run(tmp_path / "saved", eval_set, task, tracking_uri, minieval)
    # One label is wrong: the evaluation finds that row, and no other.
    assert (evaluation["aggregate"]["n"], evaluation["aggregate"]["correct"]) == (ROWS, ROWS - 1)
    assert evaluation["buckets"]["part.0"]["correct"] == ROWS // 2 - 1
    served = promote_evaluated(tracking_uri)
    answers = json.loads(call("python", str(Path(__file__).with_name("serve.py")), str(served), str(eval_set)))
    expected = json.loads((tmp_path / "answers.json").read_bytes())
    assert len(set(expected)) > 1, "a model that always answers the same shows nothing"
    assert answers == expected


def minieval(arguments: Sequence[str]) -> int:
    """Run minieval with the Python that has torch; the gate needs none."""
    call("minieval", *arguments)
    return 0


def call(program: str, *arguments: str) -> str:
    """Run a program of the environment, offline; return the last line that it prints."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [str(BIN / program), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return (done.stdout.splitlines() or [""])[-1]
