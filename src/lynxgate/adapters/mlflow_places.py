"""Where the models of an MLflow run are, and which of them is the candidate.

Part of the MLflow adapter. A run of MLflow 3 has logged models; one of MLflow 2 has folders of artifacts that are
models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlflow.exceptions
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, RunInfo
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from lynxgate.adapters.mlflow_errors import NoSuch, Translator
from lynxgate.errors import CannotJudge


@dataclass(frozen=True)
class Place:
    """Where a run's model is: its URI for MLflow, the artifact repository, and the folder in it ("" for its root)."""

    source: str
    repository: str
    folder: str

    def is_source(self, source: str) -> bool:
        """Return whether a version with this source holds the model: MLflow records its URI or its location."""
        location = "/".join(part for part in (self.repository.rstrip("/"), self.folder) if part)
        return source.rstrip("/") in (self.source, location)


class RunModels:
    """The models of the runs of a server; ``model_name`` is what a candidate is called that is not named."""

    def __init__(self, client: MlflowClient, errors: Translator, model_name: str) -> None:
        self._client, self._errors, self._model_name = client, errors, model_name

    def locate(self, run_id: str, name: str | None = None) -> Place:
        """Where the candidate is: the model ``name`` of the run; without, its one model or the one called ``model``."""
        info = self._read_run(run_id)
        return self._logged_model(run_id, info.experiment_id, name) or self._older_layout(
            run_id, info.artifact_uri, name
        )

    def _read_run(self, run_id: str) -> RunInfo:
        """Return what the server has about a finished run."""
        try:
            with self._errors.translate(f"read run {run_id}"):
                info = self._client.get_run(run_id).info
        except NoSuch as error:
            raise CannotJudge(
                f"{self._errors.location} has no run {run_id}; check the id and the tracking URI"
            ) from error
        if info.lifecycle_stage != "active":
            raise CannotJudge(f"run {run_id} was deleted; restore it, or name another run")
        if info.status != "FINISHED":
            raise CannotJudge(f"run {run_id} is {info.status}, not FINISHED; a candidate comes from a finished run")
        return info

    def _logged_model(self, run_id: str, experiment_id: str, name: str | None) -> Place | None:
        models = self._search_logged_models(run_id, experiment_id)
        if not models:
            return None
        chosen = self._choose([str(model.name) for model in models], run_id, name)
        found = [model for model in models if model.name in chosen]
        if len(found) > 1:
            ids = ", ".join(sorted(model.model_id for model in found)[:5])
            raise CannotJudge(
                f"run {run_id} has {len(found)} models ({ids}) and it is not clear which is the candidate; "
                f"log exactly one as {name or self._model_name!r}, or name one with --model-name"
            )
        (model,) = found
        if str(model.status) not in {"READY", "LoggedModelStatus.READY"}:
            raise CannotJudge(f"the model of run {run_id} was never completed (status {model.status}); log it again")
        return place_of(model)

    def _choose(self, names: Sequence[str], run_id: str, name: str | None) -> Sequence[str]:
        """Return those of the names of a run's models that a candidate ``name`` may have.

        Raises:
            CannotJudge: ``name`` is not among them.
        """
        if name is None:
            return [self._model_name] if self._model_name in names else names
        if name in names:
            return [name]
        if list(names) == [self._model_name]:
            return names
        listed = ", ".join(repr(each[:80]) for each in sorted(names)[:5]) or "no model at all"
        raise CannotJudge(f"run {run_id} has no model {name!r} (it has {listed}); log it with log_model(name={name!r})")

    def _search_logged_models(self, run_id: str, experiment_id: str) -> list[LoggedModel]:
        """Return the logged models of a run, whose server has just given us the run; a server of MLflow 2 has none."""
        models: list[LoggedModel] = []
        with self._errors.translate(f"list the models of run {run_id}"):
            token: str | None = None
            while True:
                try:
                    page = self._client.search_logged_models(
                        [experiment_id], filter_string=f"source_run_id = '{run_id}'", page_token=token
                    )
                except mlflow.exceptions.MlflowException as error:
                    if error.error_code == "ENDPOINT_NOT_FOUND":
                        return []
                    raise
                models += [model for model in page if model.source_run_id == run_id]
                if not (token := page.token):
                    return models

    def _list_folders(self, run_id: str, artifact_uri: str, preferred: str | None = None) -> list[str]:
        """Return the folders of a run's artifacts that are models; only ``preferred`` where that is a folder."""
        with self._errors.translate(f"list the artifacts of run {run_id}"):
            repository = get_artifact_repository(artifact_uri, tracking_uri=self._errors.uri)
            folders = [str(entry.path) for entry in repository.list_artifacts() if entry.is_dir]
            return [
                folder
                for folder in ([preferred] if preferred is not None and preferred in folders else folders)
                if any(str(entry.path) == f"{folder}/MLmodel" for entry in repository.list_artifacts(folder))
            ]

    def _older_layout(self, run_id: str, artifact_uri: str, name: str | None) -> Place:
        models = self._list_folders(run_id, artifact_uri, name or self._model_name)
        if name is not None:
            models = list(self._choose(models, run_id, name))
        if not models:
            raise CannotJudge(f"run {run_id} has no model; log one in it with log_model(name={self._model_name!r})")
        if len(models) > 1:
            raise CannotJudge(
                f"run {run_id} has {len(models)} models ({', '.join(sorted(models)[:5])}) and nothing says which is "
                f"the candidate; log exactly one as {self._model_name!r}, or name one with --model-name"
            )
        return Place(f"runs:/{run_id}/{models[0]}", artifact_uri, models[0])

    def list_places(self, run_id: str) -> list[tuple[str, Place]]:
        """Return name and place of each model of a run."""
        info = self._read_run(run_id)
        logged = self._search_logged_models(run_id, info.experiment_id)
        if logged:
            return [(str(each.name), place_of(each)) for each in logged]
        folders = self._list_folders(run_id, info.artifact_uri)
        return [(folder, Place(f"runs:/{run_id}/{folder}", info.artifact_uri, folder)) for folder in folders]


def place_of(model: LoggedModel) -> Place:
    return Place(f"models:/{model.model_id}", model.artifact_location, "")
