"""A chunk of rows as its format's reader hands it out, and what such a reader is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from minieval.contract.evalset import FileDigests
from minieval.data.schema import Schema
from minieval.task.columns import Roles


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows of a file begin: ``first`` is the number of the first one, from 1. ``unit``: a line or a row."""

    path: Path
    first: int
    unit: str = "row"

    def name(self, index: int) -> str:
        """Return the place of a row, counted from 0 from here."""
        return f"{self.path}, {self.unit} {self.first + index}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one file, and where they begin in it."""

    table: pa.Table
    place: Place

    def cut(self, rows: int) -> tuple[Chunk, Chunk]:
        """Return the first ``rows`` rows and the others."""
        later = replace(self.place, first=self.place.first + rows)
        return Chunk(self.table.slice(0, rows), self.place), Chunk(self.table.slice(rows), later)


class Reader(Protocol):
    """Reads the files of an eval set, in order, under one schema."""

    files: Mapping[str, Path]  # by relative path
    roles: Roles
    schema: Schema
    digests: dict[str, FileDigests]  # by relative path, of each file that was read to its end

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, in order.

        Raises:
            CannotJudge: a row is invalid; the message names its place.
            IntegrityFailure: a file changed while it was read.
            WiderSchema: after the last chunk that the schema holds, if any does not.
        """


class WiderSchema(Exception):
    """A chunk has values that the schema cannot hold; ``reader`` is one whose schema holds the whole set."""

    def __init__(self, reader: Reader) -> None:
        super().__init__("the first chunk does not show the kinds of all columns")
        self.reader = reader
