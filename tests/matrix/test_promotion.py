"""Every model of the matrix, from its run to production: fetched, evaluated, compared, promoted, served, asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lynxgate.cli.app import run
from lynxgate.promotion.authorization import CI_VARIABLES
from minieval.command import run as run_minieval
from minieval.contract.bundle import read_placed
from tests.matrix.cases import Case, check
from tests.matrix.eval_sets import write_eval_set
from tests.matrix.names import FLAVORS, KINDS, PROMOTED, heavy_but
from tests.servers import client_of, log_bundle, once

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def tracking_uri(shared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of MLflow for this test: a copy of one that is made once, since making one takes seconds."""
    root = shared_root / "matrix"
    root.mkdir(parents=True, exist_ok=True)
    made = Path(once(root, "database", lambda: _make_database(root)))
    (tmp_path / "mlflow.db").write_bytes(made.read_bytes())
    for name in (*CI_VARIABLES, "LYNXGATE_REGISTRY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LYNX_ENV", "dev")
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/mlflow.db"


def _make_database(root: Path) -> str:
    """A database with the experiment that `log_bundle` uses; no connection to it stays open."""
    client = client_of(f"sqlite:///{root}/mlflow.db")
    client.create_experiment("tests", artifact_location=(root / "artifacts").as_uri())
    return str(root / "mlflow.db")


@pytest.mark.parametrize("name", heavy_but(FLAVORS, PROMOTED))
def test_a_flavor_goes_from_its_run_to_production(name: str, tracking_uri: str, tmp_path: Path) -> None:
    from tests.matrix import flavors

    promote_and_ask(flavors.FLAVORS[name](tmp_path / "saved"), tmp_path, tracking_uri)


@pytest.mark.parametrize("name", heavy_but(KINDS, PROMOTED))
def test_a_kind_of_model_goes_from_its_run_to_production(name: str, tracking_uri: str, tmp_path: Path) -> None:
    from tests.matrix import kinds

    promote_and_ask(kinds.KINDS[name](tmp_path / "saved"), tmp_path, tracking_uri)


def promote_and_ask(case: Case, folder: Path, tracking_uri: str) -> None:
    """Take the model at ``folder/saved`` to production by the commands, and ask what is served; all but a label is right."""
    rows = case.features.num_rows
    run_id = log_bundle(tracking_uri, folder / "saved")
    server = ["--tracking-uri", tracking_uri]
    eval_set, task = write_eval_set(case, folder)
    assert run(["fetch", "--run-id", run_id, *server]) == 0
    evaluate = ["--bundle", "candidate", "--eval-set", eval_set.name, "--task", task.name]
    assert run_minieval([*evaluate, "--output", "candidate_eval.json"]) == 0
    evaluation = json.loads((folder / "candidate_eval.json").read_bytes())
    assert evaluation["candidate"]["mlflow_run_id"] == run_id
    assert (evaluation["aggregate"]["n"], evaluation["aggregate"]["correct"]) == (rows, rows - 1)
    assert evaluation["buckets"]["part.even"]["correct"] == evaluation["buckets"]["part.even"]["n"] - 1
    assert run(["baseline", "init", "--semver", "v0.0.1"]) == 0
    assert run(["baseline", "activate"]) == 0
    assert run(["compare", "--output", "verdict.json"]) == 0
    sha = json.loads((folder / "verdict.json").read_bytes())["candidate"]["canonical_sha"]
    assert run(["registry", "init", "--environment", "dev"]) == 0
    assert run(["promote", "--canonical-sha", sha, "--semver", "v0.1.0", *server]) == 0
    # Without the cache: what is served is downloaded anew, and compared with the registry's manifest.
    assert run(["fetch", "--production", "--dest", "production", "--fresh", *server]) == 0
    assert read_placed(folder / "production").canonical_sha == sha
    check(case, folder / "production")
