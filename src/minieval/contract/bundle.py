"""A candidate bundle: which bytes exist in it, their manifest and canonical SHA, and where these bytes are put.

`list_contents` alone decides which bytes exist. A model directory of MLflow is taken as it is, with two exceptions:

- ``MLmodel`` at the root has the bytes of its canonical form (`minieval.contract.mlmodel`).
- ``registered_model_meta`` at the root, which a download adds, does not exist.

These very bytes are hashed (`read_manifest`), evaluated (`stage`), and placed and served (`settle`). In a folder that
`settle` made nothing else exists, which `read_placed` checks: it makes no exception.

- Links, special files and names that are not UTF-8 are refused, never followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minieval.contract import manifest
from minieval.contract.digests import digest_bytes, digest_file
from minieval.contract.exits import CannotJudge
from minieval.contract.manifest import File, Manifest, Progress
from minieval.contract.mlmodel import MLMODEL, canonical_mlmodel
from minieval.contract.writes import write_atomically

DOWNLOAD_ADDS = "registered_model_meta"

Content = tuple[str, bytes | None]  # a path, and its bytes where they are not those of the file


def read_manifest(bundle: Path, *, progress: Progress | None = None) -> Manifest:
    """Hash a model directory, as MLflow gave it or as it was placed.

    ``progress`` is called with the number of bytes of each chunk, from several threads.

    Raises:
        CannotJudge: the directory is missing or empty, or has no readable ``MLmodel``.
        IntegrityFailure: it holds a link, a special file, or a name that is not UTF-8.
    """
    return _describe(bundle, list_contents(bundle), progress)


def read_placed(bundle: Path) -> Manifest:
    """Hash every byte of a bundle that was placed; one that differs from what was hashed gives another SHA.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`.
    """
    return _describe(bundle, [(path, None) for path in _list_files(bundle)], None)


def stage(bundle: Path, destination: Path) -> Manifest:
    """Copy the bytes that exist, and nothing else, to ``destination`` (new); return the manifest of the copy.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`; CannotJudge too when the copy cannot be written.
    """
    try:
        destination.mkdir(parents=True)
        for path, data in list_contents(bundle):
            target = destination / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                shutil.copyfile(bundle / path, target, follow_symlinks=False)
            else:
                target.write_bytes(data)
    except OSError as error:
        raise CannotJudge(f"{bundle}: cannot be copied to {destination}: {error.strerror}; see TMPDIR") from error
    return read_placed(destination)


def settle(bundle: Path) -> Manifest:
    """Change a model directory, in place, to the bytes that exist and nothing else; return its manifest.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`; then nothing was changed.
        OSError: the directory cannot be written.
    """
    contents = dict(list_contents(bundle))
    for path in list(_list_files(bundle)):
        if path not in contents:
            (bundle / path).unlink()
    for path, data in contents.items():
        if data is not None:
            write_atomically(bundle / path, data)
    return read_placed(bundle)


def list_contents(bundle: Path) -> list[Content]:
    """Return what exists in a model directory: the POSIX relative path of each file, and its bytes if they are changed.

    Raises:
        CannotJudge, IntegrityFailure: as `read_manifest`.
    """
    paths = [path for path in _list_files(bundle) if path != DOWNLOAD_ADDS]
    if MLMODEL not in paths:
        raise CannotJudge(f"{bundle}: no MLmodel at its root; name an MLflow model directory as downloaded")
    return [(path, canonical_mlmodel(bundle) if path == MLMODEL else None) for path in paths]


def _describe(bundle: Path, contents: Iterable[Content], progress: Progress | None) -> Manifest:
    def describe(content: Content) -> File:
        path, data = content
        if data is not None:
            return File(path=path, size=len(data), sha256=digest_bytes(data))
        (sha256,) = digest_file(bundle / path, "sha256", progress=progress)
        return File(path=path, size=(bundle / path).stat().st_size, sha256=sha256)

    ordered = sorted(contents, key=lambda content: content[0])
    if not ordered:
        raise CannotJudge(f"{bundle}: it has no files; fetch the candidate again (lynxgate fetch --run-id <id>)")
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return Manifest(files=tuple(pool.map(describe, ordered)))


def _list_files(bundle: Path) -> Iterator[str]:
    if bundle.is_symlink() or not bundle.is_dir():
        raise CannotJudge(f"{bundle}: no such directory; fetch the candidate first (lynxgate fetch --run-id <id>)")
    return manifest.list_files(bundle)
