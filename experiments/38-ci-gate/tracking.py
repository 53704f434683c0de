"""Where the experiment's runs go, and the one way a tutor is logged. The only module here that imports MLflow.

- A model is logged as files and a loader module: no pickle, and requirements are named rather than guessed.
- The same files logged twice differ only in what `minieval.contract.bundle` leaves out of the canonical SHA.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

EXPERIMENT = "38-ci-gate"
DEFAULT_URI = "sqlite:///.lynxgate/mlflow.db"
ARTIFACTS = Path(".lynxgate", "mlartifacts")
MODEL = "model"
HERE = Path(__file__).resolve().parent
REQUIREMENTS = ["numpy>=2", "pandas>=2"]
NOISY_LOGGERS = ("alembic", "mlflow.store.db.utils")  # a new database reports each of its migrations


def default_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or a database beside the checkout."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def open_experiment(uri: str) -> None:
    """Point MLflow at ``uri`` and at this experiment, which is made when missing."""
    for noisy in NOISY_LOGGERS:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # A server's client would print addresses on stdout, beside the run's id.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if not sys.stderr.isatty():
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a log has no use for it
    mlflow.set_tracking_uri(uri)
    location = None
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
        location = ARTIFACTS.absolute().as_uri()
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=location)
    mlflow.set_experiment(EXPERIMENT)


def log_run(
    name: str,
    data: Path,
    *,
    loader: str,
    packages: Sequence[str],
    params: Mapping[str, object],
    metrics: Mapping[str, float],
) -> str:
    """Log the files in ``data`` as a pyfunc model in a run of its own; the run's id."""
    with mlflow.start_run(run_name=name) as run, tempfile.TemporaryDirectory() as scratch:
        mlflow.log_params(dict(params))
        mlflow.log_metrics(dict(metrics))
        mlflow.pyfunc.log_model(
            name=MODEL,
            loader_module=loader,
            data_path=str(data),
            code_paths=[str(_copy_source(package, Path(scratch))) for package in packages],
            pip_requirements=REQUIREMENTS,
        )
        return str(run.info.run_id)


def download_data(run_id: str, destination: Path) -> Path:
    """The directory of a logged tutor's files, downloaded below ``destination``.

    Raises:
        SystemExit: when there is no such run, or it logged no model.
    """
    try:
        model = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=MODEL, dst_path=str(destination))
    except MlflowException as error:
        raise SystemExit(f"no model of run {run_id} at {mlflow.get_tracking_uri()}: {error.message}") from error
    return next(path for path in (Path(model) / "data").iterdir() if path.is_dir())


def _copy_source(package: str, scratch: Path) -> Path:
    """The source of a package alone: compiled files carry times and would change the model's SHA."""
    return Path(shutil.copytree(HERE / package, scratch / package, ignore=shutil.ignore_patterns("__pycache__")))
