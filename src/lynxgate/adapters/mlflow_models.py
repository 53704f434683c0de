"""MLflow's registered models: the version of a run, its tags, and the alias ``production``. Part of the MLflow adapter.

- Each step looks before it creates, so that a repetition changes nothing. A version that a lost reply created twice is
  harmless, since the first one of a run is always used.
- An alias has no compare-and-swap in MLflow: the last writer wins.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

ALIAS = "production"


def set_alias(client: MlflowClient, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> None:
    """Register ``source`` as a version of ``model`` where the run has none, tag it, and put the alias on it."""
    version = _find_version(client, model, run_id) or _create_version(client, model, run_id, source)
    for key, value in tags.items():
        client.set_model_version_tag(model, version, key, value)
    if _aliased_version(client, model) != version:
        client.set_registered_model_alias(model, ALIAS, version)


def read_alias(client: MlflowClient, model: str) -> str | None:
    """Return the run of the version that has the alias; `None` when no version has it."""
    version = _aliased_version(client, model)
    return None if version is None else str(client.get_model_version(model, version).run_id)


def _aliased_version(client: MlflowClient, model: str) -> str | None:
    try:
        return str(client.get_model_version_by_alias(model, ALIAS).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _find_version(client: MlflowClient, model: str, run_id: str) -> str | None:
    found = client.search_model_versions(f"name='{model}' and run_id='{run_id}'")
    return min((str(each.version) for each in found), key=int, default=None)


def _create_version(client: MlflowClient, model: str, run_id: str, source: str) -> str:
    if not _is_registered(client, model):  # an account that may add versions may lack the right to create models
        try:
            client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    # For a logged model the server accepts the source only together with the model's id.
    model_id = source.removeprefix("models:/") if source.startswith("models:/") else None
    made = client.create_model_version(model, source, run_id=run_id, await_creation_for=0, model_id=model_id)
    return str(made.version)


def _is_registered(client: MlflowClient, model: str) -> bool:
    try:
        client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True
