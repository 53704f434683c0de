"""The file ``MLmodel`` at the root of a bundle: its canonical form, and the run it names.

- The canonical form is our own dump (`minieval.contract.plain_yaml`) of the values that MLflow's loader reads, in their
  order, without `VOLATILE_KEYS`. Those MLflow writes anew at each logging: the same model logged twice has the same
  bytes here.
- MLflow loads values of equal types from it: ``2`` and ``2.0`` have different bytes.
"""

from __future__ import annotations

import re
from pathlib import Path

from minieval.contract.exits import CannotJudge
from minieval.contract.identities import RUN_ID
from minieval.contract.plain_yaml import MAX_BYTES, Yaml, dump_yaml, parse_yaml

MLMODEL = "MLmodel"
VOLATILE_KEYS = frozenset(
    {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "mlflow_version_updated"}
)


def canonical_mlmodel(bundle: Path) -> bytes:
    """Return a bundle's ``MLmodel`` in canonical form; that of the canonical form is itself.

    Raises:
        CannotJudge: it is missing, or not a mapping in plain YAML.
    """
    return dump_yaml({key: value for key, value in _read_mlmodel(bundle).items() if key not in VOLATILE_KEYS})


def read_run_id(bundle: Path) -> str | None:
    """Return the run that ``MLmodel`` names; `None` for a bundle in canonical form, which names none.

    It is only a claim: a promotion compares the bundle with that run's bytes.

    Raises:
        CannotJudge: as `canonical_mlmodel`.
    """
    claimed = _read_mlmodel(bundle).get("run_id")
    return claimed if isinstance(claimed, str) and re.fullmatch(RUN_ID, claimed) else None


def _read_mlmodel(bundle: Path) -> dict[Yaml, Yaml]:
    path = bundle / MLMODEL
    try:
        with path.open("rb") as file:
            tree = parse_yaml(file.read(MAX_BYTES + 1))
        if not isinstance(tree, dict):
            raise ValueError("not a mapping")
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CannotJudge(f"{path}: not an MLmodel file ({reason}); log the model again") from error
    return tree
