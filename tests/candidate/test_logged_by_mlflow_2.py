"""Models that MLflow 2.22 logged: both loggings have one canonical SHA; the present MLflow loads what is placed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from minieval.contract.bundle import read_manifest, read_placed, settle

FIXTURES = Path(__file__).parent.parent / "fixtures" / "mlflow_2_22"
SHAS = {
    "loader": "ebfb661b763d6267171a5ec524aa616add838b146812195e432ae668065b8633",
    "code": "20673e76c74345181da374627f57d94668dbd6cfbe234fa269b6e6049d652c7c",
}


@pytest.mark.parametrize("name", ["loader", "code"])
def test_two_loggings_have_the_same_sha(name: str) -> None:
    first, second = (read_manifest(FIXTURES / name / nth) for nth in ("first", "second"))
    assert (FIXTURES / name / "first" / "MLmodel").read_bytes() != (FIXTURES / name / "second" / "MLmodel").read_bytes()
    assert first == second
    assert first.canonical_sha == SHAS[name]


@pytest.mark.parametrize("name", ["loader", "code"])
@pytest.mark.filterwarnings("ignore")  # MLflow warns of a model of another version
@pytest.mark.slow
def test_the_present_mlflow_predicts_with_what_is_placed(name: str, tmp_path: Path) -> None:
    import mlflow
    import pandas

    bundle = tmp_path / "bundle"
    shutil.copytree(FIXTURES / name / "first", bundle)
    assert settle(bundle) == read_placed(bundle)
    assert not any(key in (bundle / "MLmodel").read_text() for key in ("run_id", "model_uuid", "utc_time_created"))
    assert mlflow.pyfunc.load_model(str(bundle)).predict(pandas.DataFrame({"prompt": ["walk"]})) == ["WALK"]
