"""A model that MLflow logs twice has one canonical SHA, whichever way it is logged; on a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from minieval.contract.bundle import read_manifest, read_placed, settle
from minieval.contract.manifest import describe_difference
from tests.minieval.candidates import UPPER

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and SQLAlchemy warn of what they do themselves

FROM_CODE = """\
import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [str(text).upper() for text in model_input["prompt"]]


mlflow.models.set_model(Model())
"""


@dataclass(frozen=True)
class Desk:
    """A tracking database on disk, and a folder with what is logged."""

    root: Path
    uri: str

    def log(self, options: Mapping[str, Any]) -> str:
        """Log a model in a run of its own; return the run's id."""
        import mlflow

        with mlflow.start_run() as run:
            mlflow.pyfunc.log_model(name="model", pip_requirements=["mlflow"], **options)
        return str(run.info.run_id)

    def download(self, run_id: str) -> Path:
        """The run's model as MLflow delivers it."""
        bundle = self.root / "downloads" / run_id
        MlflowTracking(self.uri).download(run_id, bundle)
        return bundle


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One SQLite database for the module: its migrations take seconds."""
    import mlflow

    root = tmp_path_factory.mktemp("desk")
    (root / "code" / "inflect").mkdir(parents=True)
    (root / "code" / "inflect" / "__init__.py").write_text("SUFFIX = '!'\n")
    (root / "candidate.py").write_text(UPPER)
    (root / "from_code.py").write_text(FROM_CODE)
    (root / "weights.json").write_text('{"suffix": "!"}\n')
    uri, before = f"sqlite:///{root}/mlflow.db", mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("twice", artifact_location=str(root / "artifacts"))
    mlflow.set_experiment("twice")
    try:
        yield Desk(root, uri)
    finally:
        mlflow.set_tracking_uri(before)


def describe(way: str, root: Path) -> dict[str, Any]:
    """What `log_model` is called with."""
    import mlflow
    import pandas

    class Upper(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads hints
            del context, params
            return [str(text).upper() for text in model_input["prompt"]]

    loader = {"loader_module": "candidate", "data_path": str(root / "weights.json")}
    file = {"python_model": str(root / "from_code.py")}
    ways: dict[str, dict[str, Any]] = {
        "class": {"python_model": Upper()},
        "file": file,
        "loader and code paths": {**loader, "code_paths": [str(root / "candidate.py"), str(root / "code" / "inflect")]},
        "artifacts": {**file, "artifacts": {"weights": str(root / "weights.json")}},
        "input example": {**file, "input_example": pandas.DataFrame({"prompt": ["a"]})},
        "metadata": {**file, "metadata": {"scale": 2.0, "tiny": 1e-07, "big": 2**60, "nested": {"list": [1, None]}}},
        "registered": {**file, "registered_model_name": "tutor"},
    }
    return ways[way]


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["class", "file", "loader and code paths", "artifacts", "input example", "metadata", "registered"]
)
def test_it_has_the_same_sha_both_times(desk: Desk, way: str) -> None:
    options = describe(way, desk.root)  # once: cloudpickle gives a class that is defined again another random id
    first, second = (read_manifest(desk.download(desk.log(options))) for _ in range(2))
    assert describe_difference(first, second) == ""


@pytest.mark.slow
def test_registered_or_not_and_downloaded_in_either_way(desk: Desk, tmp_path: Path) -> None:
    """A download of a registered version adds a file and keys, which exist in no bundle."""
    import mlflow

    plain = desk.download(desk.log(describe("file", desk.root)))
    registered = desk.log({**describe("file", desk.root), "registered_model_name": "either"})
    by_version = Path(mlflow.artifacts.download_artifacts("models:/either/1", dst_path=str(tmp_path / "version")))
    assert (by_version / "registered_model_meta").exists()
    shas = {read_manifest(bundle).canonical_sha for bundle in (plain, desk.download(registered), by_version)}
    assert len(shas) == 1
    assert settle(by_version) == read_placed(by_version)
    assert {read_placed(by_version).canonical_sha} == shas


@pytest.mark.slow
def test_mlflow_loads_what_is_placed(desk: Desk) -> None:
    import mlflow
    import pandas

    bundle = desk.download(desk.log(describe("metadata", desk.root)))
    logged = mlflow.models.Model.load(str(bundle)).metadata
    settle(bundle)
    placed = mlflow.pyfunc.load_model(str(bundle))
    assert repr(placed.metadata.metadata) == repr(logged)
    assert placed.predict(pandas.DataFrame({"prompt": ["walk"]})) == ["WALK"]
