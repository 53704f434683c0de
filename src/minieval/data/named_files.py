"""Files that the rows name, such as images: where they are, and under which names the model gets them.

- A file lies inside the eval set's folder; a link, or a path that leaves it, is refused. Its hash counts with the set.
- The model gets opaque names, of row number and suffix: ``cat/1.jpg`` would name the answer.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.data.batch import Batch

LONGEST_SUFFIX = 10


def show_files(batch: Batch, folder: Path) -> Batch:
    """Return the batch with opaque names in the place of paths, and the files that they stand for.

    Raises:
        CannotJudge: a path is no file of the set; the message names row and column.
    """
    files: list[tuple[str, Path]] = []
    table = batch.table
    for number, column in enumerate(batch.roles.files):
        shown: list[str | None] = []
        for index, value in enumerate(batch.values(column)):
            if value is None or value == "":
                shown.append(None)
                continue
            path = _find(value, column, folder, batch.where(index))
            name = f"{batch.start + index:08d}{f'-{number}' if number else ''}{_suffix(path)}"
            files.append((name, path))
            shown.append(name)
        place = table.schema.get_field_index(column)
        table = table.set_column(place, column, pa.array(shown, pa.string()))
    return replace(batch, table=table, files=tuple(files)) if batch.roles.files else batch


def _find(value: Json, column: str, folder: Path, where: str) -> Path:
    named = PurePosixPath(value) if isinstance(value, str) else PurePosixPath("/")
    if named.is_absolute() or ".." in named.parts or "\0" in str(value):
        raise CannotJudge(
            f"{where}: the column {column[:80]!r} names {str(value)[:80]!r}, which is outside the eval set"
        )
    path = folder
    for part in named.parts:
        path /= part
        if path.is_symlink():
            raise CannotJudge(f"{where}: {str(path)[:200]!r} is a link; put the file itself into the eval set")
    if not path.is_file():
        raise CannotJudge(f"{where}: the column {column[:80]!r} names {str(value)[:80]!r}, and there is no such file")
    return path


def _suffix(path: Path) -> str:
    """Return the suffix, which tells the model the format; an unusual one could tell it more."""
    suffix = path.suffix.lower()
    return suffix if len(suffix) <= LONGEST_SUFFIX and suffix[1:].isalnum() and suffix.isascii() else ""
