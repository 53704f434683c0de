"""MLflow's registered models: the version of a candidate, its tags, and its alias.

Part of the MLflow adapter.

- A version is a candidate's by its run and by its source together: one run may have several models, and all of them may
  be registered under one name.
- Each step looks before it creates, so that a repetition changes nothing. A version that a lost reply created twice is
  harmless, since the first one of a candidate is always used.
- An alias has no compare-and-swap in MLflow: the last writer wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from lynxgate.adapters.mlflow_places import Place
from lynxgate.errors import StoreFailure, UsageFailure

_REFERENCE = re.compile(
    "models:/(?P<name>[A-Za-z0-9][A-Za-z0-9 ._-]{0,99})"
    "(?:/(?P<version>[1-9][0-9]{0,8})|@(?P<alias>[A-Za-z0-9_-]{1,100}))"
)


def parse_reference(text: str) -> tuple[str, str | None, str | None]:
    """Return name, version and alias of ``models:/name/7`` or ``models:/name@alias``; the other one is `None`.

    Raises:
        UsageFailure: ``text`` has neither form.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise UsageFailure(f"{text[:80]!r} is not a registered model; use models:/name/7 or models:/name@alias")
    return found["name"], found["version"], found["alias"]


def find_version(client: MlflowClient, model: str, version: str | None, alias: str | None) -> ModelVersion:
    """Return a version by its number, or else by its alias; raises as the client."""
    if alias is None:
        return client.get_model_version(model, version)
    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":  # of an alias that does not exist
            raise MlflowException(str(error), error_code=RESOURCE_DOES_NOT_EXIST) from error
        raise


def set_alias(
    client: MlflowClient, model: str, run_id: str, place: Place, *, tags: Mapping[str, str], alias: str
) -> None:
    """Register the model at ``place`` as a version of ``model`` where it is none, tag it, and put ``alias`` on it.

    Raises:
        StoreFailure: the server registered another source.
    """
    version = _find_version(client, model, run_id, place) or _create_version(client, model, run_id, place)
    for key, value in tags.items():
        client.set_model_version_tag(model, version, key, value)
    aliased = read_alias(client, model, alias)
    if aliased is None or str(aliased.version) != version:
        client.set_registered_model_alias(model, alias, version)


def read_alias(client: MlflowClient, model: str, alias: str) -> ModelVersion | None:
    """Return the version that has ``alias``; `None` when no version has it."""
    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _find_version(client: MlflowClient, model: str, run_id: str, place: Place) -> str | None:
    found = client.search_model_versions(f"name='{model}' and run_id='{run_id}'")
    return min((str(each.version) for each in found if place.is_source(str(each.source))), key=int, default=None)


def _create_version(client: MlflowClient, model: str, run_id: str, place: Place) -> str:
    if not _is_registered(client, model):  # an account that may add versions may lack the right to create models
        try:
            client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    # For a logged model the server accepts the source only together with the model's id.
    model_id = place.source.removeprefix("models:/") if place.source.startswith("models:/") else None
    made = client.create_model_version(model, place.source, run_id=run_id, await_creation_for=0, model_id=model_id)
    if not place.is_source(str(made.source)):
        raise StoreFailure(
            f"MLflow registered version {made.version} of {model} from {str(made.source)[:200]!r}, not from "
            f"{place.source}; find out why, then run it again"
        )
    return str(made.version)


def _is_registered(client: MlflowClient, model: str) -> bool:
    try:
        client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True
