"""The eval set on disk: its files, their hashes, and the rows that are read from them.

An eval set is one JSONL file, or a folder whose ``*.jsonl`` files are read in path order.

- What is hashed is what is parsed: each file is read once.
- The identity has DVC's md5, which the ``.dvc`` file holds, and a SHA-256 of ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from minieval.contract.digests import digest_bytes, digest_file
from minieval.contract.exits import CannotJudge
from minieval.contract.leaks import AnswerMatches
from minieval.contract.manifest import File, Manifest, list_files
from minieval.contract.report import EvalSetIdentity
from minieval.contract.rows import Row, number_groups, parse_rows

SUFFIX = ".jsonl"
_DVC_CHUNK, _DVC_BLOCK = 2**20, 512
_TEXT_BYTES = bytes(range(32, 127)) + b"\n\r\t\f\b"


@dataclass(frozen=True, slots=True)
class EvalSet:
    """An eval set in memory: its identity, and its rows in order; there is at least one."""

    identity: EvalSetIdentity
    rows: tuple[Row, ...]


def load_eval_set(path: Path, matches: AnswerMatches | None = None) -> EvalSet:
    """Read, hash and check an eval set; ``matches``, if given, counts which features are the answer.

    Raises:
        CannotJudge: the eval set is missing or empty, or a row is invalid; the message names file and line.
        IntegrityFailure: the folder holds a link or a special file.
    """
    contents = _read_files(path)
    rows = tuple(parse_rows(_lines(path, contents), matches))
    if not rows:
        raise CannotJudge(f"{path}: no rows; add at least one")
    identity = _identify(path, {name: _digest(data) for name, data in contents.items()})
    groups = len(set(number_groups(rows)))
    found = {"rows": len(rows), "groups": groups if groups < len(rows) else None}
    return EvalSet(identity=identity.model_copy(update=found), rows=rows)


def identify(path: Path) -> EvalSetIdentity:
    """Hash an eval set without parsing it, by DVC's md5 and by SHA-256; ``rows`` and ``groups`` stay empty.

    Raises:
        CannotJudge: it is missing or cannot be read.
        IntegrityFailure: the folder holds a link or a special file.
    """
    return _identify(path, {})


def dvc2_md5(path: Path) -> str:
    """Return the md5 that DVC 2 gave a file or a folder: of text with LF for CRLF, of other bytes as they are.

    Raises:
        CannotJudge: it is missing or cannot be read.
        IntegrityFailure: the folder holds a link or a special file.
    """
    try:
        digests = {name: _dvc2_md5_of_file(file) for name, file in _files(path).items()}
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


@dataclass(frozen=True, slots=True)
class _Digest:
    size: int
    md5: str
    sha256: str


def _files(path: Path) -> dict[str, Path]:
    """Return the files of an eval set by relative path, in path order; a file is its own only entry."""
    if path.is_dir():
        return {name: path / name for name in sorted(list_files(path))}
    if not path.is_file():
        raise CannotJudge(f"{path}: no such eval set; fetch it first (dvc pull {path}.dvc)")
    return {path.name: path}


def _read_files(path: Path) -> dict[str, bytes]:
    files = _files(path)
    wanted = {name: file for name, file in files.items() if name.endswith(SUFFIX) or not path.is_dir()}
    if not wanted:
        raise CannotJudge(f"{path}: no {SUFFIX} file in it; check that this is the right folder")
    try:
        return {name: file.read_bytes() for name, file in wanted.items()}
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be read: {error.strerror}") from error


def _digest(data: bytes) -> _Digest:
    return _Digest(size=len(data), md5=hashlib.md5(data, usedforsecurity=False).hexdigest(), sha256=digest_bytes(data))


def _digest_on_disk(file: Path) -> _Digest:
    size = 0

    def count(read: int) -> None:
        nonlocal size
        size += read

    md5, sha256 = digest_file(file, "md5", "sha256", progress=count)
    return _Digest(size=size, md5=md5, sha256=sha256)


def _identify(path: Path, known: dict[str, _Digest]) -> EvalSetIdentity:
    """Return the identity from the digests that are ``known``, and from the disk for all other files."""
    try:
        digests = {name: known.get(name) or _digest_on_disk(file) for name, file in _files(path).items()}
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


def _lines(path: Path, contents: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in contents.items():
        file = path / name if path.is_dir() else path
        for number, text in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), start=1):
            yield f"{file}, line {number}", text
