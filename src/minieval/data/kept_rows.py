"""Rows kept beside an evaluation: id, answer, expected answer and score of each row, written as Parquet.

- A row of the eval set has one line for each trial. Columns: `row` (from 1), `id`, `trial` (from 1), `score` (0 to 1),
  `answer` and `expected` as JSON text, and `inputs` (the features as JSON text) only where they were asked for.
- Buckets are not kept: they follow from the eval set and its task.
- Lines are written as batches come: a part of at most `GROUP_ROWS` lines or `GROUP_BYTES` characters is held.
- The file appears whole or not at all. The evaluation names its SHA-256 (`minieval.contract.report.RowsIdentity`).
- `minieval.data.kept_rows_reader` reads it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from minieval.contract.digests import digest_file
from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.contract.report import RowsIdentity
from minieval.contract.writes import fsync_directory
from minieval.data.batch import Batch

SCHEMA: Final = "minieval.rows/1"
SCHEMA_KEY: Final = b"schema"  # of the metadata of the Parquet schema
INPUTS: Final = "inputs"
COLUMNS: Final = (
    ("row", pa.int64()),
    ("id", pa.string()),
    ("trial", pa.int32()),
    ("score", pa.float64()),
    ("answer", pa.string()),
    ("expected", pa.string()),
)
GROUP_ROWS: Final = 8192
GROUP_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeepRows:
    """Where the rows go; ``with_inputs`` keeps the features too."""

    path: Path
    with_inputs: bool = False


class RowsWriter:
    """Writes the rows of one evaluation; use as a context manager, which removes what `finish` has not completed.

    Raises (from every method):
        CannotJudge: the file cannot be written.
    """

    def __init__(self, kept: KeepRows) -> None:
        self._kept = kept
        columns = [*COLUMNS, *([(INPUTS, pa.string())] if kept.with_inputs else [])]
        self._schema = pa.schema(columns, metadata={SCHEMA_KEY: SCHEMA.encode()})
        self._lines: list[tuple[Json, ...]] = []
        self._held = self._written = 0
        self._batch: Batch | None = None
        target = Path(os.path.realpath(kept.path))
        self._target, self._temporary = target, target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
        with self._explained():
            _refuse_device(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": the name is new, and no link is followed.
            self._file = self._temporary.open("xb")
            self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what `finish` has not put in place."""
        if not self._file.closed:
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def begin(self, batch: Batch) -> None:
        """Take the batch whose answers come next."""
        self._batch = batch

    def keep(self, trial: int, answers: Sequence[Json], scores: npt.NDArray[np.float64]) -> None:
        """Keep the answers of one trial, counted from 1, to the rows of the batch."""
        batch = self._batch
        assert batch is not None, "called after `begin`"  # noqa: S101 - for the type checker
        start = batch.start + 1
        numbers = range(start, start + len(answers))
        ids = map(str, numbers if batch.roles.id is None else batch.values(batch.roles.id))
        columns: list[Sequence[Json] | Iterator[Json]] = [
            numbers,
            ids,
            [trial] * len(answers),
            scores.tolist(),
            map(write_value, answers),
            map(write_value, batch.values(batch.roles.expected)),
        ]
        if self._kept.with_inputs:
            columns.append(map(write_value, batch.list_features()))
        for line in zip(*columns, strict=True):
            self._lines.append(line)
            self._held += sum(len(cell) for cell in line if isinstance(cell, str))
            if len(self._lines) >= GROUP_ROWS or self._held >= GROUP_BYTES:
                self._flush()

    def finish(self) -> RowsIdentity:
        """Complete the file and put it in place; return what the evaluation names."""
        with self._explained():
            self._flush()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            (sha256,) = digest_file(self._temporary, "sha256")
            self._temporary.replace(self._target)
            fsync_directory(self._target.parent)
        return RowsIdentity(path=self._kept.path.name, sha256=sha256, lines=self._written)

    def _flush(self) -> None:
        if not self._lines:
            return
        columns = zip(zip(*self._lines, strict=True), self._schema.types, strict=True)
        cells = [pa.array(column, kind) for column, kind in columns]
        with self._explained():
            self._writer.write_table(pa.Table.from_arrays(cells, schema=self._schema))
        self._written += len(self._lines)
        self._lines, self._held = [], 0

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotJudge(
                f"{self._kept.path}: cannot be written: {error.strerror or error}; choose another --rows"
            ) from error


def write_value(value: Json) -> str:
    """Return a value as JSON text; one that JSON does not have, as NaN, as text."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(str(value), ensure_ascii=False)


def _refuse_device(target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
