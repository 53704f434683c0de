"""Read the rows that were kept beside an evaluation (`minieval.data.kept_rows`), which are hostile until checked.

- The digest is checked first: nothing is read out of a file that is not the one that the evaluation names.
- What its footer declares (lines, columns, sizes) is bounded before any of it is read.
- Text is held for the lines that are asked for, and for no others.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.report import RowsIdentity
from minieval.data.files import hashed_before
from minieval.data.kept_rows import COLUMNS, INPUTS, SCHEMA, SCHEMA_KEY
from minieval.task.marking import join_trials

MAX_LINES: Final = 50_000_000
MAX_FOOTER: Final = 64 * 1024 * 1024
MAX_LIST: Final = 1_000_000  # entries of a list in the footer
MAX_GROUP: Final = 512 * 1024 * 1024  # declared bytes of a row group, not compressed
MAX_TEXT: Final = 4 * 1024 * 1024  # bytes of one answer, expected answer or input
LINES_AT_ONCE: Final = 4096
TEXTS: Final = ("id", "answer", "expected", INPUTS)
MAGIC: Final = b"PAR1"
NOT_PARQUET: Final = "cannot be read as Parquet; evaluate again with --rows"

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One answer to one row: ``answer``, ``expected`` and ``inputs`` are JSON text; ``score`` is from 0 to 1."""

    row: int
    id: str
    trial: int
    score: float
    answer: str
    expected: str
    inputs: str | None


@contextlib.contextmanager
def open_kept_rows(path: Path, identity: RowsIdentity | None, *, where: str) -> Iterator[KeptRows]:
    """Open the rows of an evaluation, which is called ``where`` and names them by ``identity``.

    Raises:
        CannotJudge: the evaluation names no rows, or their file is missing, is no Parquet, or declares too much.
        IntegrityFailure: the file is not the one that the evaluation names, or it changed while it was read.
    """
    if identity is None:
        raise CannotJudge(f"{where}: names no rows; evaluate again with --rows")
    if not path.is_file():
        raise CannotJudge(f"{path}: no such file; it has the rows that {where} names, so put it back or name another")
    with hashed_before(path) as (file, digests):
        if digests.sha256 != identity.sha256:
            raise IntegrityFailure(
                f"{path}: SHA-256 {digests.sha256}, and {where} names rows with {identity.sha256}; use the file that "
                "was written with it"
            )
        opened = open_bounded(file, path)
        _check_schema(opened.schema_arrow, path)
        if opened.metadata.num_rows != identity.lines:
            raise IntegrityFailure(f"{path}: has {opened.metadata.num_rows} lines, and {where} names {identity.lines}")
        yield KeptRows(opened, path)


def open_bounded(file: BinaryIO, path: Path) -> parquet.ParquetFile:
    """Open a Parquet file of rows, whose footer declares no more than the limits of this module.

    Raises:
        CannotJudge: it is no Parquet, or declares more.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    footer = struct.unpack("<I", tail[:4])[0] if len(tail) == 8 and tail[4:] == MAGIC else None
    file.seek(0)
    if footer is None:
        raise CannotJudge(f"{path}: {NOT_PARQUET}")
    _refuse_more(footer, MAX_FOOTER, "bytes of footer", path)
    with as_parquet(path):
        limits = {"thrift_string_size_limit": MAX_FOOTER, "thrift_container_size_limit": MAX_LIST}
        names = parquet.ParquetFile(file, **limits).schema_arrow.names
        # Read as dictionaries, so that a long text that each line repeats is held once.
        opened = parquet.ParquetFile(file, read_dictionary=[name for name in TEXTS if name in names], **limits)
        found = opened.metadata
        groups = [found.row_group(index) for index in range(found.num_row_groups)]
        _refuse_more(found.num_rows, MAX_LINES, "lines", path)
        for group in groups:
            _refuse_more(group.num_rows, MAX_LINES, "lines in a row group", path)
            # Of the group as a whole: to ask for a column of damaged metadata ends the process, in pyarrow 25.
            _refuse_more(group.total_byte_size, MAX_GROUP, "bytes in a row group", path)
        if min((group.num_rows for group in groups), default=0) < 0 or found.num_rows != sum(
            group.num_rows for group in groups
        ):
            raise CannotJudge(f"{path}: {NOT_PARQUET}")
        return opened


class KeptRows:
    """The rows of one evaluation, opened and checked.

    Raises (from every method):
        CannotJudge: the file is damaged, or holds a line that the evaluation cannot have.
    """

    def __init__(self, opened: parquet.ParquetFile, path: Path) -> None:
        self._opened, self._path = opened, path

    def read_scores(self, rows: int, trials: int) -> Scores:
        """Return the score of each row (first axis) in each trial; every one of them is there once."""
        if self._opened.metadata.num_rows != rows * trials:
            raise CannotJudge(
                f"{self._path}: has {self._opened.metadata.num_rows} lines, and the evaluation has {rows} rows with "
                f"{trials} answers each"
            )
        scores = np.full((rows, trials), np.nan)
        for batch in self._batches("row", "trial", "score"):
            row, trial, score = (np.asarray(batch.column(name)) for name in ("row", "trial", "score"))
            if row.min() < 1 or row.max() > rows or trial.min() < 1 or trial.max() > trials:
                raise CannotJudge(f"{self._path}: has a line of a row or a trial that the evaluation does not have")
            if not ((score >= 0) & (score <= 1)).all():
                raise CannotJudge(f"{self._path}: has a score that is no number from 0 to 1")
            scores[row - 1, trial - 1] = score
        if np.isnan(scores).any():
            raise CannotJudge(f"{self._path}: has a row twice, and another not at all")
        return scores

    def read_marks(self, rows: int, trials: int, *, graded: bool) -> tuple[int, ...]:
        """Return the mark of each row, as an evaluation has it: right answers, or the mean score in ten-thousandths."""
        scores = self.read_scores(rows, trials)
        if not graded and not ((scores == 0) | (scores == 1)).all():
            raise CannotJudge(f"{self._path}: has a score between 0 and 1, and the evaluation counts right answers")
        return tuple(join_trials(list(scores.T), graded=graded).tolist())

    def read_lines(self, rows: frozenset[int]) -> Mapping[int, tuple[Line, ...]]:
        """Return the lines of these rows (numbered from 1), by row, in the order of their trials."""
        found: dict[int, list[Line]] = {number: [] for number in rows}
        wanted = pa.array(sorted(rows), pa.int64())
        names = self._opened.schema_arrow.names
        for batch in self._batches(*names):
            chosen = batch.filter(pc.is_in(batch.column("row"), value_set=wanted))
            if not len(chosen):
                continue
            refuse_long(chosen, self._path)
            for cells in chosen.to_pylist():
                found[cells["row"]].append(Line(**{INPUTS: None, **cells}))
        return {number: tuple(sorted(lines, key=lambda line: line.trial)) for number, lines in found.items()}

    def _batches(self, *names: str) -> Iterator[pa.RecordBatch]:
        with as_parquet(self._path):
            for batch in self._opened.iter_batches(batch_size=LINES_AT_ONCE, columns=list(names)):
                batch.validate(full=True)  # text that is not UTF-8, which Arrow does not look for
                if any(column.null_count for column in batch.columns):
                    raise CannotJudge(f"{self._path}: has a line with an empty cell")
                if len(batch):
                    yield batch


def refuse_long(batch: pa.RecordBatch, path: Path) -> None:
    """Refuse a batch of rows with a text of more than `MAX_TEXT` bytes.

    Raises:
        CannotJudge: the message names the column.
    """
    for name in TEXTS:
        if name not in batch.schema.names or not _is_text(batch.schema.field(name).type):
            continue
        texts = batch.column(name)
        texts = texts.dictionary if isinstance(texts, pa.DictionaryArray) else texts
        longest = pc.max(pc.binary_length(texts)).as_py() or 0
        if longest > MAX_TEXT:
            raise CannotJudge(f"{path}: {name} has {longest} bytes in one line; at most {MAX_TEXT} are read")


def _is_text(kind: pa.DataType) -> bool:
    found = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def _check_schema(found: pa.Schema, path: Path) -> None:
    names = [name for name, _ in COLUMNS]
    expected = dict(COLUMNS) | ({INPUTS: pa.string()} if INPUTS in found.names else {})
    if (found.metadata or {}).get(SCHEMA_KEY) != SCHEMA.encode() or found.names != [
        *names,
        *list(expected)[len(names) :],
    ]:
        raise CannotJudge(f"{path}: not rows of {SCHEMA}; evaluate again with --rows")
    for field in found:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if kind != expected[field.name]:
            raise CannotJudge(f"{path}: the column {field.name!r} is {kind}, and rows have {expected[field.name]}")


def _refuse_more(found: int, most: int, what: str, path: Path) -> None:
    if found > most:
        raise CannotJudge(f"{path}: declares {found} {what}; at most {most} are read")


@contextlib.contextmanager
def as_parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, MemoryError, UnicodeError, KeyError) as error:
        raise CannotJudge(f"{path}: {NOT_PARQUET}") from error
