"""The whole of what we ask of MLflow, on a real server of 2.22 with models that its own client logged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.verify import audit
from lynxgate.candidate.cache import Cache
from lynxgate.candidate.fetch import Fetched, fetch
from lynxgate.errors import CannotJudge
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from minieval.evaluation import Isolation, evaluate
from tests.promotion.workshop import DEV, Workshop, open_context, write_baseline, write_evaluation
from tests.servers import MODEL_CODE, free_port, wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.parts]

PYTHON = Path(__file__).parents[2] / ".venv-mlflow-2" / "bin" / "python"
MODEL = "tutor"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server; its environment must be there, so that this test cannot be left out in silence."""
    if not PYTHON.exists():
        pytest.fail("there is no environment of MLflow 2.22; make it with: just mlflow-2", pytrace=False)
    root, port = tmp_path_factory.mktemp("mlflow-2"), free_port()
    command = [str(PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{root}/server.db",
        "--artifacts-destination",
        str(root / "artifacts"),
    ]
    address = f"http://127.0.0.1:{port}"
    with (root / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=root, env=_environment())
    try:
        wait_until(lambda: _answers(address) or server.poll() is not None)
        assert server.poll() is None, (root / "server.log").read_text()[-3000:]
        yield address
    finally:
        server.terminate()
        server.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{PYTHON.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def log(url: str, folder: Path, suffix: str) -> str:
    """The run of a model that MLflow 2.22 logged."""
    folder.mkdir()
    (folder / "shouting.py").write_text(MODEL_CODE)
    (folder / "model.json").write_text(json.dumps({"suffix": suffix}))
    command = [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("log_model.py")), url, str(folder)]
    done = subprocess.run(command, env=_environment(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = re.search(r"^2\.22\.0 ([0-9a-f]{32})$", done.stdout, re.MULTILINE)  # MLflow prints links too
    assert printed is not None, done.stdout
    return printed[1]


def test_from_a_run_to_production_and_back(url: str, workshop: Workshop, tmp_path: Path) -> None:
    create_registry(workshop.store, Environment.DEV)
    tracking = MlflowTracking(url)
    runs = {name: log(url, tmp_path / name, suffix) for name, suffix in (("a", "!"), ("b", "?"))}
    for semver, (name, run_id) in zip(("v0.1.0", "v0.2.0"), runs.items(), strict=True):
        bundle = tmp_path / f"bundle-{name}"
        fetched = fetch(tracking, run_id, bundle, Cache(tmp_path / "cache"))
        assert tracking.find_model(run_id).source == f"runs:/{run_id}/model"
        _check_that_it_predicts(bundle, tmp_path / f"rows-{name}.jsonl", "!" if name == "a" else "?")
        context = open_context(workshop.store, tracking, tag_seconds=30)
        promote(_request(fetched, run_id, semver, bundle), context, tracking, DEV)
        alias = tracking.read_alias(MODEL)
        assert alias is not None and alias.run_id == run_id and alias.holds_candidate
        assert alias.tags == {tag_key(semver): fetched.canonical_sha}
        assert tracking.read_facts(run_id).training_data_sha256 == "d" * 64
    resolved = tracking.resolve(f"models:/{MODEL}@production")
    assert (resolved.run_id, resolved.logged_model) == (runs["b"], "model")
    assert tracking.resolve(f"models:/{MODEL}/{resolved.version}") == resolved
    with pytest.raises(CannotJudge, match=f"has no models:/{MODEL}@absent"):
        tracking.resolve(f"models:/{MODEL}@absent")
    assert {tag.run_id for tag in tracking.find_tags("lynxgate.")} == set(runs.values())
    assert audit(workshop.store, tracking).findings == ()
    roll_back("v0.1.0", open_context(workshop.store, tracking, tag_seconds=30), DEV)
    alias = tracking.read_alias(MODEL)
    assert alias is not None and alias.run_id == runs["a"]
    assert audit(workshop.store, tracking).findings == ()
    with pytest.raises(CannotJudge, match="has no run"):
        tracking.find_model("0" * 32)


def _check_that_it_predicts(bundle: Path, rows: Path, suffix: str) -> None:
    row = {"id": "1", "prompt": "walk", "expected": f"WALK{suffix}", "buckets": ["all"]}
    rows.write_text(json.dumps(row) + "\n")
    evaluation = evaluate(bundle, rows, isolation=Isolation.PROCESS)
    assert evaluation.aggregate is not None and evaluation.aggregate.correct == 1


def _request(fetched: Fetched, run_id: str, semver: str, bundle: Path) -> Request:
    policy = f'"registered_model": "models:/{MODEL}", "rule"'.encode()
    evaluation = write_evaluation(fetched.canonical_sha, run_id)
    baseline = write_baseline().replace(b'"rule"', policy)
    return Request(fetched.canonical_sha, semver, evaluation, baseline, bundle)
