"""The files of an eval set, and their digests: DVC's md5 and a SHA-256, of the very bytes that are parsed."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from minieval.contract.evalset import FileDigests, find_files
from minieval.contract.exits import CannotJudge, IntegrityFailure

SUFFIXES = (".jsonl", ".csv", ".parquet")
CHUNK = 1024 * 1024


@dataclass(slots=True)
class Reads:
    """What was read: how often each file was, and the most rows and bytes that were held at once."""

    passes: Counter[str] = field(default_factory=Counter)
    most_rows: int = 0
    most_bytes: int = 0

    def hold(self, rows: int, size: int) -> None:
        """Note what is held now."""
        self.most_rows, self.most_bytes = max(self.most_rows, rows), max(self.most_bytes, size)


def list_data_files(path: Path) -> tuple[str, dict[str, Path]]:
    """Return the suffix of an eval set's data files, and these by relative path, in path order.

    Raises:
        CannotJudge: there is none, or files of two formats.
        IntegrityFailure: the folder holds a link or a special file.
    """
    files = find_files(path)
    if not path.is_dir():
        if path.suffix not in SUFFIXES:
            raise CannotJudge(f"{path}: an eval set is a file in {_list(SUFFIXES)}, or a folder of them")
        return path.suffix, files
    found = {name: file for name, file in files.items() if file.suffix in SUFFIXES}
    suffixes = sorted({file.suffix for file in found.values()})
    if not suffixes:
        raise CannotJudge(f"{path}: no file in {_list(SUFFIXES)} in it; check that this is the right folder")
    if len(suffixes) > 1:
        raise CannotJudge(f"{path}: files in {_list(suffixes)}; keep the rows in one format")
    return suffixes[0], found


class HashingFile:
    """A file that is hashed while it is read, once from its start to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._md5, self._sha256, self._size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0

    def read(self, size: int) -> bytes:
        """Read and hash up to ``size`` bytes."""
        data = self._file.read(size)
        self._md5.update(data)
        self._sha256.update(data)
        self._size += len(data)
        return data

    @property
    def digests(self) -> FileDigests:
        """Return the digests of all that was read."""
        return FileDigests(size=self._size, md5=self._md5.hexdigest(), sha256=self._sha256.hexdigest())


@contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a data file.

    Raises:
        CannotJudge: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be read: {error.strerror or error}") from error


@contextmanager
def hashed_before(path: Path) -> Iterator[tuple[BinaryIO, FileDigests]]:
    """Open a file that is read in several places, hashed first; a change meanwhile is refused at the end.

    Raises:
        CannotJudge: it cannot be read.
        IntegrityFailure: it changed between hash and last read.
    """
    with open_data(path) as file:
        before = _stamp(file)
        hashing = HashingFile(file)
        while hashing.read(CHUNK):
            pass
        file.seek(0)
        yield file, hashing.digests
        if _stamp(file) != before:
            raise IntegrityFailure(f"{path}: the file changed while it was read; evaluate again")


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _list(suffixes: tuple[str, ...] | list[str]) -> str:
    return ", ".join(suffixes[:-1]) + (" or " if len(suffixes) > 1 else "") + suffixes[-1]
