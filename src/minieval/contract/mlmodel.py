"""The file ``MLmodel`` at the root of a bundle: its canonical form, and the run it names.

- ``MLmodel`` is hashed, and staged, as the RFC 8785 form of its YAML without `VOLATILE_KEYS`, which MLflow writes
  anew at each logging: the same model logged twice has the same bytes here.
- It is read by `minieval.contract.plain_yaml`, which bounds it.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from minieval.contract.documents import Json, canonical_json
from minieval.contract.exits import CannotJudge
from minieval.contract.identities import RUN_ID
from minieval.contract.plain_yaml import MAX_BYTES, parse_yaml

MLMODEL = "MLmodel"
VOLATILE_KEYS = frozenset(
    {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "mlflow_version_updated"}
)


def canonical_mlmodel(bundle: Path) -> bytes:
    """Return a bundle's ``MLmodel`` in RFC 8785 form, without `VOLATILE_KEYS`; MLflow reads it, since JSON is YAML.

    Raises:
        CannotJudge: it is not a YAML mapping that JSON can hold.
    """
    tree = _read_mlmodel(bundle)
    try:
        return canonical_json(
            {key: _with_times_as_text(value) for key, value in tree.items() if key not in VOLATILE_KEYS}
        )
    except (ValueError, RecursionError) as error:
        raise _no_mlmodel(bundle, error) from error


def read_run_id(bundle: Path) -> str | None:
    """Return the run that ``MLmodel`` names. It is only a claim: a promotion compares the bundle with that run's bytes.

    Raises:
        CannotJudge: as `canonical_mlmodel`.
    """
    claimed = _read_mlmodel(bundle).get("run_id")
    return claimed if isinstance(claimed, str) and re.fullmatch(RUN_ID, claimed) else None


def _read_mlmodel(bundle: Path) -> dict[Json, Json]:
    try:
        with (bundle / MLMODEL).open("rb") as file:
            tree = parse_yaml(file.read(MAX_BYTES + 1))
        if not isinstance(tree, dict):
            raise ValueError("not a mapping")
    except (ValueError, OSError) as error:
        raise _no_mlmodel(bundle, error) from error
    return tree


def _with_times_as_text(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _with_times_as_text(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_times_as_text(entry) for entry in value]
    return str(value) if isinstance(value, datetime.date) else value


def _no_mlmodel(bundle: Path, error: Exception) -> CannotJudge:
    reason = " ".join(str(error).split())[:200]
    return CannotJudge(f"{bundle / MLMODEL}: not an MLmodel file ({reason}); log the model again")
