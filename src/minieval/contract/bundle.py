"""A candidate bundle: its manifest, its canonical SHA, and the copy that may be predicted with.

The canonical SHA is that of `minieval.contract.manifest`, with two exceptions for a model directory of MLflow.

- ``MLmodel`` at the root is hashed, and staged, in the canonical form of `minieval.contract.mlmodel`.
- ``registered_model_meta`` at the root, which a download adds, is left out of both.
- No byte that is not hashed reaches a candidate: predict only with what `stage` copied.
- Links, special files and names that are not UTF-8 are refused, never followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minieval.contract import manifest
from minieval.contract.digests import digest_bytes, digest_file
from minieval.contract.exits import CannotJudge
from minieval.contract.manifest import File, Manifest, Progress
from minieval.contract.mlmodel import MLMODEL, canonical_mlmodel

DOWNLOAD_ADDS = "registered_model_meta"


def read_manifest(bundle: Path, *, progress: Progress | None = None) -> Manifest:
    """Hash a bundle directory; ``progress`` is called with the number of bytes of each chunk, from several threads.

    Raises:
        CannotJudge: the directory is missing or empty, or has no readable ``MLmodel``.
        IntegrityFailure: it holds a link, a special file, or a name that is not UTF-8.
    """
    paths = sorted(list_files(bundle))
    if MLMODEL not in paths:
        raise CannotJudge(f"{bundle}: no MLmodel at its root; name an MLflow model directory as downloaded")

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
    """Copy the hashed bytes, and nothing else, to ``destination`` (new); return the manifest of the copy.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`; CannotJudge too when the copy cannot be written.
    """
    try:
        destination.mkdir(parents=True)
        for path in list_files(bundle):
            target = destination / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path == MLMODEL:
                target.write_bytes(canonical_mlmodel(bundle))
            else:
                shutil.copyfile(bundle / path, target, follow_symlinks=False)
    except OSError as error:
        raise CannotJudge(f"{bundle}: cannot be copied to {destination}: {error.strerror}; see TMPDIR") from error
    return read_manifest(destination)


def list_files(bundle: Path) -> Iterator[str]:
    """Yield the POSIX relative path of each file that is hashed, in no order.

    Raises:
        CannotJudge: ``bundle`` is not a readable directory.
        IntegrityFailure: it holds a link, a special file, or a name that is not UTF-8.
    """
    if bundle.is_symlink() or not bundle.is_dir():
        raise CannotJudge(f"{bundle}: no such directory; fetch the candidate first (lynxgate fetch --run-id <id>)")
    return (path for path in manifest.list_files(bundle) if path != DOWNLOAD_ADDS)
