"""Files that the rows name, such as images: where they are, and under which names the model gets them.

- A row names a file of the eval set's folder by its path; a link, a path that leaves the folder, and the files of rows,
  which hold the answers, are refused.
- The model gets opaque names, of row number and suffix: ``cat/1.jpg`` would name the answer. A set has few suffixes:
  one of its own for each row could name the answer too.
- The hash of a file counts with the set; a file that changes between its use and the end is noticed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.data.batch import Batch

LONGEST_SUFFIX = 10
MOST_SUFFIXES = 8  # of a set, in lower case: jpg, jpeg, png, gif, bmp, webp, tif and tiff

Stamp = tuple[int, int, int, int]  # inode, size, and the times of the last changes of content and of the entry


class NamedFiles:
    """The files of a set that rows may name: all but those ``rows`` are read from."""

    def __init__(self, files: Mapping[str, Path], rows: Mapping[str, Path]) -> None:
        self._files, self._rows = files, rows
        self._shown: dict[str, Stamp] = {}
        self._suffixes: set[str] = set()

    def show(self, batch: Batch) -> Batch:
        """Return the batch with opaque names in the place of paths, and the files that they stand for.

        Raises:
            CannotJudge: a path is no file of the set, or the files have too many suffixes; the message names row and
                column.
        """
        files: list[tuple[str, Path]] = []
        table = batch.table
        for number, column in enumerate(batch.roles.files):
            shown: list[str | None] = []
            for index, value in enumerate(batch.values(column)):
                if value is None or value == "":
                    shown.append(None)
                    continue
                path = self._find(value, column, batch.where(index))
                suffix = self._note_suffix(path, column, batch.where(index))
                name = f"{batch.start + index + 1:08d}{f'-{number}' if number else ''}{suffix}"
                files.append((name, path))
                shown.append(name)
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, pa.array(shown, pa.string()))
        return replace(batch, table=table, files=tuple(files)) if batch.roles.files else batch

    def check_unchanged(self) -> None:
        """Check that each file that was shown is still the same.

        Raises:
            IntegrityFailure: one changed.
        """
        for name, before in self._shown.items():
            if _stamp(self._files[name]) != before:
                raise IntegrityFailure(f"{self._files[name]}: the file changed while it was used; evaluate again")

    def _find(self, value: Json, column: str, where: str) -> Path:
        if not isinstance(value, str):
            raise CannotJudge(f"{where}: the column {column[:80]!r} names files, and holds {str(value)[:80]!r}")
        named = PurePosixPath(value)
        if named.is_absolute() or ".." in named.parts:
            raise CannotJudge(
                f"{where}: the column {column[:80]!r} names {value[:80]!r}, which is outside the eval set"
            )
        name = named.as_posix()
        if name in self._rows:
            raise CannotJudge(
                f"{where}: the column {column[:80]!r} names {value[:80]!r}, which holds the answers; the model may not "
                "have it"
            )
        stamp = _stamp(self._files[name]) if name in self._files else None
        if stamp is None:
            raise CannotJudge(
                f"{where}: the column {column[:80]!r} names {value[:80]!r}, and the eval set has no such file"
            )
        self._shown[name] = stamp
        return self._files[name]

    def _note_suffix(self, path: Path, column: str, where: str) -> str:
        """Return the suffix that is shown of a file."""
        suffix = _suffix(path)
        self._suffixes.add(suffix)
        if len(self._suffixes) > MOST_SUFFIXES:
            raise CannotJudge(
                f"{where}: the column {column[:80]!r} names files of more than {MOST_SUFFIXES} suffixes (here "
                f"{suffix[:LONGEST_SUFFIX]!r}), which the model gets; rename them, since a suffix could name the answer"
            )
        return suffix


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with a file; `None` where there is no plain file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _suffix(path: Path) -> str:
    """Return the suffix, which tells the model the format; an unusual one could tell it more."""
    suffix = path.suffix.lower()
    return suffix if len(suffix) <= LONGEST_SUFFIX and suffix[1:].isalnum() and suffix.isascii() else ""
