"""The eval set: which bytes it is, and its rows, with what a candidate may see apart from what it must not.

JSONL, a file or a folder whose ``*.jsonl`` files are read in path order. A row has an ``id``, the ``expected``
answer, other ``accepted`` ones, the ``buckets`` it counts in and perhaps a ``group``; every other key is a feature.

- `Features` holds the id and the features, `Labels` all the rest; only `Features` are ever given to a predictor.
- Ids are unique over the whole set, and every row has the features of the first one.
- What is hashed is what is parsed: each file is read once.
- A key that looks like a misspelt label is refused: as a feature it would be shown to the candidate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from minieval.contract.documents import Document, Json, digest_bytes, digest_file, parse_document
from minieval.contract.exits import CannotJudge
from minieval.contract.manifest import File, Manifest, list_files
from minieval.contract.report import EvalSetIdentity, Name

SUFFIX = ".jsonl"
MAX_ROW_BYTES = 1024 * 1024
NEARLY_LABELS = frozenset({"accept", "answers", "bucket", "groups", "ids", "label", "labels"})


@dataclass(frozen=True, slots=True)
class Features:
    """What a predictor is given of one row: ``payload`` is the JSON object of its id and features."""

    id: str
    payload: str


@dataclass(frozen=True, slots=True)
class Labels:
    """What a predictor is never given: the answers that count as right, and where the row counts."""

    right: frozenset[str]
    buckets: tuple[str, ...]
    group: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One example, its two halves held apart."""

    features: Features
    labels: Labels


@dataclass(frozen=True, slots=True)
class EvalSet:
    """An eval set that has been read: its identity and its rows in order, at least one."""

    identity: EvalSetIdentity
    rows: tuple[Row, ...]


def load_eval_set(path: Path) -> EvalSet:
    """Read, hash and check an eval set.

    Raises:
        CannotJudge: naming file and line, when it is missing, empty, or a row is not as it should be.
        IntegrityFailure: when a folder holds a link or a special file.
    """
    contents = _read_files(path)
    rows = tuple(_parse_rows(path, contents))
    if not rows:
        raise CannotJudge(f"{path}: no rows; an eval set without rows measures nothing")
    identity = _identify(path, {name: _digest(data) for name, data in contents.items()})
    groups = len(set(number_groups(rows)))
    found = {"rows": len(rows), "groups": groups if groups < len(rows) else None}
    return EvalSet(identity=identity.model_copy(update=found), rows=rows)


def number_groups(rows: Iterable[Row]) -> tuple[int, ...]:
    """The group of each row as a number, from 0 in the order in which they appear; without one a row is its own."""
    known: dict[str | int, int] = {}
    return tuple(
        known.setdefault(index if row.labels.group is None else row.labels.group, len(known))
        for index, row in enumerate(rows)
    )


def identify(path: Path) -> EvalSetIdentity:
    """Hash an eval set without parsing it: DVC's md5 and our sha256; ``rows`` and ``groups`` are left open.

    Raises:
        CannotJudge: when it is missing or cannot be read.
        IntegrityFailure: when a folder holds a link or a special file.
    """
    return _identify(path, {})


@dataclass(frozen=True, slots=True)
class _Digest:
    size: int
    md5: str
    sha256: str


class _Line(Document):
    """One line as it is written; what is in `model_extra` are the features."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(min_length=1, max_length=1000)]
    expected: str
    accepted: Annotated[tuple[str, ...], Field(strict=False)] = ()
    buckets: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    group: Name | None = None


def _files(path: Path) -> dict[str, Path]:
    """The files of an eval set by relative path, in path order; of a single file, that file."""
    if path.is_dir():
        return {name: path / name for name in sorted(list_files(path))}
    if not path.is_file():
        raise CannotJudge(f"{path}: no such eval set; fetch it first (dvc pull {path}.dvc)")
    return {path.name: path}


def _read_files(path: Path) -> dict[str, bytes]:
    files = _files(path)
    wanted = {name: file for name, file in files.items() if name.endswith(SUFFIX) or not path.is_dir()}
    if not wanted:
        raise CannotJudge(f"{path}: no {SUFFIX} file in it; is this the right folder?")
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
    """Identity from the digests ``known`` already, and from the disk for all other files."""
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
    return _named(path, dvc_md5=_dvc_folder_md5(digests), sha256=manifest.canonical_sha)


def _dvc_folder_md5(digests: dict[str, _Digest]) -> str:
    """DVC's hash of a folder: the md5 of a JSON list of md5 and relpath, sorted by relpath, and ``.dir``."""
    entries = [{"md5": digest.md5, "relpath": name} for name, digest in sorted(digests.items())]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _named(path: Path, *, dvc_md5: str, sha256: str) -> EvalSetIdentity:
    """The identity with its path as given; a path that a document cannot hold is left out of it."""
    try:
        return EvalSetIdentity(path=path.as_posix(), dvc_md5=dvc_md5, sha256=sha256)
    except ValidationError:
        return EvalSetIdentity(dvc_md5=dvc_md5, sha256=sha256)


def _parse_rows(path: Path, contents: dict[str, bytes]) -> Iterator[Row]:
    seen: dict[str, str] = {}
    names: frozenset[str] | None = None
    for where, text in _lines(path, contents):
        line = _parse_line(text, where)
        if (first := seen.setdefault(line.id, where)) is not where:
            raise CannotJudge(f"{where}: the id {line.id[:80]!r} stands already in {first}; ids are unique")
        found = frozenset(line.model_extra or {})
        if names is not None and found != names:
            raise CannotJudge(
                f"{where}: has the features {_list(found)} where the first row has {_list(names)}; make them agree"
            )
        names = found
        yield _row(line)


def _lines(path: Path, contents: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in contents.items():
        file = path / name if path.is_dir() else path
        for number, text in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), start=1):
            yield f"{file}, line {number}", text


def _parse_line(text: bytes, where: str) -> _Line:
    if not text.strip():
        raise CannotJudge(f"{where}: an empty line; remove it")
    if len(text) > MAX_ROW_BYTES:
        raise CannotJudge(f"{where}: {len(text)} bytes, and a row has at most {MAX_ROW_BYTES}; is this JSONL?")
    line = parse_document(text, _Line, where=where)
    if not line.model_extra:
        raise CannotJudge(f"{where}: no features beside the labels; a row needs what the model reads, such as `prompt`")
    if len(set(line.buckets)) != len(line.buckets):
        raise CannotJudge(f"{where}: a bucket stands twice in `buckets`; the row would count twice")
    for key in line.model_extra:
        if (plain := key.strip().casefold()) in NEARLY_LABELS or plain in _Line.model_fields:
            raise CannotJudge(f"{where}: the key {key[:80]!r} looks like a label, and would be shown to the model")
    return line


def _row(line: _Line) -> Row:
    payload = json.dumps({"id": line.id, **(line.model_extra or {})}, default=_plain)
    return Row(
        features=Features(id=line.id, payload=payload),
        labels=Labels(right=frozenset({line.expected, *line.accepted}), buckets=line.buckets, group=line.group),
    )


def _plain(value: Json) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} in a row")


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "(none)"
