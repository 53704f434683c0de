"""A candidate bundle: its manifest, its canonical SHA, and the copy that may be predicted with.

The canonical SHA is that of `minieval.contract.manifest`, with two exceptions for a model directory of MLflow.

- ``MLmodel`` at the root is hashed, and staged, as the RFC 8785 form of its YAML without `VOLATILE_KEYS`, which
  MLflow writes anew at each logging: the same model logged twice has the same SHA.
- ``registered_model_meta`` at the root, which a download adds, is left out of both.
- No byte that is not hashed reaches a candidate: predict only with what `stage` copied.
- Links, special files and names that are no text are refused, never followed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from minieval.contract import manifest
from minieval.contract.documents import Json, canonical_json, digest_bytes, digest_file
from minieval.contract.exits import CannotJudge
from minieval.contract.manifest import File, Manifest, Progress, describe_difference

MLMODEL = "MLmodel"
DOWNLOAD_ADDS = "registered_model_meta"
MAX_MLMODEL_BYTES = 1024 * 1024
MAX_MLMODEL_VALUES = 100_000
VOLATILE_KEYS = frozenset(
    {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "mlflow_version_updated"}
)

__all__ = [
    "File",
    "Manifest",
    "Progress",
    "canonical_mlmodel",
    "describe_difference",
    "list_files",
    "read_manifest",
    "stage",
]


def read_manifest(bundle: Path, *, progress: Progress | None = None) -> Manifest:
    """Hash a bundle directory; ``progress`` is called with numbers of bytes read, from several threads.

    Raises:
        CannotJudge: when the directory is missing, empty, or holds no readable ``MLmodel``.
        IntegrityFailure: when it holds a link, a special file, or a name that is no UTF-8 text.
    """
    paths = sorted(list_files(bundle))
    if MLMODEL not in paths:
        raise CannotJudge(f"{bundle}: no MLmodel at its root; a bundle is an MLflow model directory as downloaded")

    def describe(path: str) -> File:
        if path == MLMODEL:
            data = canonical_mlmodel(bundle)
            return File(path=path, size=len(data), sha256=digest_bytes(data))
        file = bundle / path
        (sha256,) = digest_file(file, "sha256", progress=progress)
        return File(path=path, size=file.stat().st_size, sha256=sha256)

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return Manifest(files=tuple(pool.map(describe, paths)))


def stage(bundle: Path, destination: Path) -> Manifest:
    """Copy what is hashed, and nothing else, to ``destination`` (new), and return the manifest of the copy.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`.
    """
    destination.mkdir(parents=True)
    for path in list_files(bundle):
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == MLMODEL:
            target.write_bytes(canonical_mlmodel(bundle))
        else:
            shutil.copyfile(bundle / path, target, follow_symlinks=False)
    return read_manifest(destination)


def canonical_mlmodel(bundle: Path) -> bytes:
    """The RFC 8785 form of a bundle's ``MLmodel`` without `VOLATILE_KEYS`; JSON is YAML, so MLflow reads it.

    Raises:
        CannotJudge: when it is not a YAML mapping that JSON can hold.
    """
    tree = _read_mlmodel(bundle)
    try:
        return canonical_json({key: value for key, value in tree.items() if key not in VOLATILE_KEYS})
    except (ValueError, RecursionError) as error:
        raise _no_mlmodel(bundle, error) from error


def read_run_id(bundle: Path) -> str | None:
    """The run that ``MLmodel`` says logged this bundle; a claim, which a promotion holds against that run's bytes.

    Raises:
        CannotJudge: as `canonical_mlmodel`.
    """
    claimed = _read_mlmodel(bundle).get("run_id")
    return claimed if isinstance(claimed, str) and re.fullmatch("[0-9a-f]{32}", claimed) else None


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


def list_files(bundle: Path) -> Iterator[str]:
    """POSIX relative paths of the files that are hashed, in no order.

    Raises:
        CannotJudge: when ``bundle`` is no readable directory.
        IntegrityFailure: on a link, a special file, or a name that is no UTF-8 text.
    """
    if bundle.is_symlink() or not bundle.is_dir():
        raise CannotJudge(f"{bundle}: no such directory; fetch the candidate first (lynxgate fetch --run-id <id>)")
    return (path for path in manifest.list_files(bundle) if path != DOWNLOAD_ADDS)


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
            raise ValueError("a key is no text")
        if len(keys) != len(set(keys)):
            raise ValueError("a key stands twice in one mapping")
        return super().construct_mapping(node, deep=deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
