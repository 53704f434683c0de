"""The identity of an eval set on disk: which bytes it is.

An eval set is one file of rows, or a folder of such files, in path order, and of files that its rows name.

- The identity has DVC's md5, which the ``.dvc`` file holds, and a SHA-256 of ours.
- No row is parsed here; `minieval.data` does that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from minieval.contract.digests import digest_file
from minieval.contract.exits import CannotJudge
from minieval.contract.manifest import File, Manifest, list_files
from minieval.contract.report import EvalSetIdentity

_DVC_CHUNK, _DVC_BLOCK = 2**20, 512
_TEXT_BYTES = bytes(range(32, 127)) + b"\n\r\t\f\b"


@dataclass(frozen=True, slots=True)
class FileDigests:
    """The size of a file in bytes, and its digests."""

    size: int
    md5: str
    sha256: str


def find_files(path: Path) -> dict[str, Path]:
    """Return the files of an eval set by relative path, in path order; a file is its own only entry.

    Raises:
        CannotJudge: there is no such file or folder.
        IntegrityFailure: the folder holds a link or a special file.
    """
    if path.is_dir():
        return {name: path / name for name in sorted(list_files(path))}
    if not path.is_file():
        raise CannotJudge(f"{path}: no such eval set; fetch it first (dvc pull {path}.dvc)")
    return {path.name: path}


def identify(path: Path, known: Mapping[str, FileDigests] | None = None) -> EvalSetIdentity:
    """Return the hashes of an eval set; ``rows`` and ``groups`` stay empty.

    ``known`` has the digests of files that were already read, by relative path; all others are read now.

    Raises:
        CannotJudge: it is missing, empty, or cannot be read.
        IntegrityFailure: the folder holds a link or a special file.
    """
    known = known or {}
    try:
        digests = {name: known.get(name) or _digest_on_disk(file) for name, file in find_files(path).items()}
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be read: {error.strerror}") from error
    if not path.is_dir():
        (only,) = digests.values()
        return _named(path, dvc_md5=only.md5, sha256=only.sha256)
    if not digests:
        raise CannotJudge(f"{path}: an empty folder; fetch the eval set first (dvc pull {path}.dvc)")
    manifest = Manifest(files=tuple(File(path=n, size=d.size, sha256=d.sha256) for n, d in digests.items()))
    return _named(
        path,
        dvc_md5=dvc_folder_md5({name: digest.md5 for name, digest in digests.items()}),
        sha256=manifest.canonical_sha,
    )


def dvc2_md5(path: Path) -> str:
    """Return the md5 that DVC 2 gave a file or a folder: of text with LF for CRLF, of other bytes as they are.

    Raises:
        CannotJudge: it is missing or cannot be read.
        IntegrityFailure: the folder holds a link or a special file.
    """
    try:
        digests = {name: _dvc2_md5_of_file(file) for name, file in find_files(path).items()}
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be read: {error.strerror}") from error
    return dvc_folder_md5(digests) if path.is_dir() else digests[path.name]


def dvc_folder_md5(digests: Mapping[str, str]) -> str:
    """Return DVC's hash of a folder from the md5 of each file by relative path.

    It is the md5 of a JSON list of md5 and relpath, sorted by relpath, with ``.dir``.
    """
    entries = [{"md5": md5, "relpath": name} for name, md5 in sorted(digests.items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _digest_on_disk(file: Path) -> FileDigests:
    size = 0

    def count(read: int) -> None:
        nonlocal size
        size += read

    md5, sha256 = digest_file(file, "md5", "sha256", progress=count)
    return FileDigests(size=size, md5=md5, sha256=sha256)


def _dvc2_md5_of_file(file: Path) -> str:
    # In DVC's own chunks, each of which is text or not by its start: what DVC takes for text is what counts.
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_DVC_CHUNK):
            digest.update(chunk.replace(b"\r\n", b"\n") if _looks_like_text(chunk[:_DVC_BLOCK]) else chunk)
    return digest.hexdigest()


def _looks_like_text(block: bytes) -> bool:
    other = block.translate(None, _TEXT_BYTES)
    return b"\0" not in block and len(other) / len(block) <= 0.30


def _named(path: Path, *, dvc_md5: str, sha256: str) -> EvalSetIdentity:
    """Return the identity with its path, or without it where a document cannot hold that path."""
    try:
        return EvalSetIdentity(path=path.as_posix(), dvc_md5=dvc_md5, sha256=sha256)
    except ValidationError:
        return EvalSetIdentity(dvc_md5=dvc_md5, sha256=sha256)
