"""The road of a model from its run to production, by the commands, in a folder of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.promotion.authorization import CI_VARIABLES
from minieval.contract.bundle import read_placed
from tests.servers import client_of, log_bundle, once

Minieval = Callable[[Sequence[str]], int]


def open_tracking(shared_root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of a database of MLflow in ``folder``, which becomes the current one of a developer's machine.

    It is a copy of one that is made once, since making one takes seconds.
    """
    root = shared_root / "matrix"
    root.mkdir(parents=True, exist_ok=True)
    made = Path(once(root, "database", lambda: _make_database(root)))
    (folder / "mlflow.db").write_bytes(made.read_bytes())
    for name in (*CI_VARIABLES, "LYNXGATE_REGISTRY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LYNX_ENV", "dev")
    monkeypatch.chdir(folder)
    return f"sqlite:///{folder}/mlflow.db"


def _make_database(root: Path) -> str:
    """Make a database with the experiment that `log_bundle` uses."""
    client = client_of(f"sqlite:///{root}/mlflow.db")
    client.create_experiment("tests", artifact_location=(root / "artifacts").as_uri())
    return str(root / "mlflow.db")


def evaluate_run(bundle: Path, eval_set: Path, task: Path, tracking_uri: str, minieval: Minieval) -> Mapping[str, Any]:
    """Log a bundle as a run, fetch it, and return the evaluation of what was fetched."""
    run_id = log_bundle(tracking_uri, bundle)
    assert run(["fetch", "--run-id", run_id, "--tracking-uri", tracking_uri]) == 0
    given = ["--bundle", "candidate", "--eval-set", eval_set.name, "--task", task.name]
    assert minieval([*given, "--output", "candidate_eval.json"]) == 0
    evaluation: Mapping[str, Any] = json.loads(Path("candidate_eval.json").read_bytes())
    assert evaluation["candidate"]["mlflow_run_id"] == run_id
    return evaluation


def promote_evaluated(tracking_uri: str) -> Path:
    """Compare the evaluation with a baseline of its own, promote the candidate, and return what is served."""
    server = ["--tracking-uri", tracking_uri]
    assert run(["baseline", "init", "--semver", "v0.0.1"]) == 0
    assert run(["baseline", "activate"]) == 0
    assert run(["compare", "--output", "verdict.json"]) == 0
    sha = json.loads(Path("verdict.json").read_bytes())["candidate"]["canonical_sha"]
    assert run(["registry", "init", "--environment", "dev"]) == 0
    assert run(["promote", "--canonical-sha", sha, "--semver", "v0.1.0", *server]) == 0
    # Without the cache: what is served is downloaded anew, and compared with the registry's manifest.
    assert run(["fetch", "--production", "--dest", "production", "--fresh", *server]) == 0
    assert read_placed(Path("production")).canonical_sha == sha
    return Path("production").absolute()
