"""The file ``MLmodel`` at the root of a bundle: its canonical form, and the run it names.

- ``MLmodel`` is hashed, and staged, as the RFC 8785 form of its YAML without `VOLATILE_KEYS`, which MLflow writes
  anew at each logging: the same model logged twice has the same bytes here.
- The YAML is limited in bytes and in values, since aliases let a short file unfold into a very large tree.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from minieval.contract.documents import Json, canonical_json
from minieval.contract.exits import CannotJudge
from minieval.contract.identities import RUN_ID

MLMODEL = "MLmodel"
MAX_MLMODEL_BYTES = 1024 * 1024
MAX_MLMODEL_VALUES = 100_000
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
        return canonical_json({key: value for key, value in tree.items() if key not in VOLATILE_KEYS})
    except (ValueError, RecursionError) as error:
        raise _no_mlmodel(bundle, error) from error


def read_run_id(bundle: Path) -> str | None:
    """Return the run that ``MLmodel`` names. It is only a claim: a promotion compares the bundle with that run's bytes.

    Raises:
        CannotJudge: as `canonical_mlmodel`.
    """
    claimed = _read_mlmodel(bundle).get("run_id")
    return claimed if isinstance(claimed, str) and re.fullmatch(RUN_ID, claimed) else None


def _read_mlmodel(bundle: Path) -> dict[str, Json]:
    path = bundle / MLMODEL
    try:
        if path.stat().st_size > MAX_MLMODEL_BYTES:
            raise ValueError(f"larger than {MAX_MLMODEL_BYTES} bytes")
        tree = yaml.load(path.read_bytes(), Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, made stricter
        if not isinstance(tree, dict):
            raise ValueError("not a mapping")
        _bound_size(tree)
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise _no_mlmodel(bundle, error) from error
    return tree


def _no_mlmodel(bundle: Path, error: Exception) -> CannotJudge:
    reason = " ".join(str(error).split())[:200]
    return CannotJudge(f"{bundle / MLMODEL}: not an MLmodel file ({reason}); log the model again")


def _bound_size(tree: Json) -> None:
    """Refuse a tree whose aliases make it far larger written out than it is in memory, or endless."""
    pending, seen = [tree], 0
    while pending:
        node = pending.pop()
        children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
        seen += len(children)
        if seen > MAX_MLMODEL_VALUES:
            raise ValueError(f"more than {MAX_MLMODEL_VALUES} values")
        pending += children


class _PlainLoader(yaml.SafeLoader):
    """YAML whose values JSON can hold: no timestamps, no sets, no duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Json, Json]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str) for key in keys):
            raise ValueError("a key is not text")
        if len(keys) != len(set(keys)):
            raise ValueError("a key is twice in one mapping")
        return super().construct_mapping(node, deep=deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
