"""The buckets of each row: names that it lists, values of columns, bins of numbers, and crosses of columns.

- A name is made once for each distinct value; rows carry its number (code).
- Two values never share a name: a part is escaped, and a long one ends in its digest. A name that two sources make is
  refused, since a row would count in it twice.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.task.answers import Places
from minieval.task.columns import Roles
from minieval.task.document import MAX_BUCKETS, Buckets, Task
from minieval.task.tally import Integers

NULL = "(null)"
EMPTY = "(empty)"
LONGEST_NAME, LONGEST_PART = 200, 80
INT64 = 2**63
DIGEST = 12  # hex digits that end a shortened name

Codes = npt.NDArray[np.int32]
Number = TypeVar("Number", np.int64, np.float64)


class BucketReader:
    """Reads the buckets of batch after batch; ``names`` are the buckets by code, in order of appearance."""

    def __init__(self, task: Task, roles: Roles) -> None:
        self._buckets, self._roles = task.buckets, roles
        self._codes: dict[str, int] = {}
        self._sources: list[str] = []  # of each name, the column or columns that make it
        self.names: list[str] = []

    def read(self, table: pa.Table, where: Places) -> tuple[Integers, Codes]:
        """Return the row (from 0) and the code of each bucket that a row is in; of one code, rows ascend.

        Raises:
            CannotJudge: a row is in no bucket or in one twice, a column has no values that make buckets, or there are
                more than `MAX_BUCKETS`.
        """
        found = [self._read_list(table, column, where) for column in self._buckets.lists]
        every = np.arange(len(table), dtype=np.int64)
        for columns in self._list_derived():
            labels, values = self._label_rows(table, columns, where)
            codes = np.zeros(len(labels), np.int32)
            for place in np.flatnonzero(np.bincount(values)).tolist():  # a bin without a row is no bucket
                codes[place] = self._code(labels[place], columns, _first_row(values, place, where))
            found.append((every, codes[values]))
        of_row, of_bucket = zip(*found, strict=True)
        rows, codes = np.concatenate(of_row), np.concatenate(of_bucket)
        held = np.bincount(rows, minlength=len(table))
        if not held.all():
            named = " or ".join(map(repr, self._buckets.lists))
            raise CannotJudge(f"{where(int(np.argmin(held)))}: the row is in no bucket; name at least one in {named}")
        return rows, codes

    def _list_derived(self) -> list[tuple[str, ...]]:
        """Return the columns, or crossed columns, whose values make one bucket a row."""
        return [(name,) for name in (*self._buckets.columns, *self._buckets.bins)] + list(self._buckets.cross)

    def _read_list(self, table: pa.Table, column: str, where: Places) -> tuple[Integers, Codes]:
        lists = _join_chunks(table.column(column))
        lengths = _integers(pc.list_value_length(lists).fill_null(0))
        rows = np.repeat(np.arange(len(lists), dtype=np.int64), lengths)
        listed = lists.flatten()
        if listed.null_count:
            row = int(rows[np.argmax(_booleans(listed.is_null()))])
            raise CannotJudge(f"{where(row)}: {column[:80]!r} lists a null; name a bucket, or remove it")
        encoded = listed.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        indices = _integers(encoded.indices)
        listed = [self._code(name, (column,), _first_row(indices, at, where, rows)) for at, name in enumerate(names)]
        codes = np.array(listed, np.int32)[indices]
        _refuse_twice(rows, codes, int(lengths.max(initial=0)), column, where)
        return rows, codes

    def _label_rows(self, table: pa.Table, columns: Sequence[str], where: Places) -> tuple[list[str], Integers]:
        """Return the distinct bucket names of one or more crossed columns, and which of them each row has."""
        labels, values = _label(table, columns[0], self._buckets, where)
        for column in columns[1:]:
            more, others = _label(table, column, self._buckets, where)
            distinct, values = np.unique(values * len(more) + others, return_inverse=True)
            labels = [f"{labels[pair // len(more)]}/{more[pair % len(more)]}" for pair in distinct.tolist()]
        return [shorten(label, LONGEST_NAME) for label in labels], values

    def _code(self, name: str, columns: tuple[str, ...], where: Places) -> int:
        source = "/".join(columns)
        code = self._codes.get(name)
        if code is None:
            _check_name(name, columns, where)
            code = self._codes[name] = len(self.names)
            self.names.append(name)
            self._sources.append(source)
            if len(self.names) > MAX_BUCKETS:
                raise CannotJudge(
                    f"{where(0)}: more than {MAX_BUCKETS} buckets; the last is {name[:80]!r}; use bins, or a column "
                    "with fewer values"
                )
        if self._sources[code] != source:
            raise CannotJudge(
                f"{where(0)}: the bucket {name[:80]!r} is made by {self._sources[code]!r} and by {source!r}, and a row "
                "would count twice; rename one"
            )
        return code


def name_value(column: str, value: Json) -> str:
    """Return the bucket of a column's value, as ``region.eu``; different pairs of column and value never share one."""
    return f"{name_column(column)}.{_name_part(value)}"


def name_bins(column: str, edges: Sequence[Decimal]) -> list[str]:
    """Return the buckets of half-open bins: below the first edge, between edges, and from the last edge on."""
    texts, stem = [f"{edge:f}" for edge in edges], name_column(column)
    between = [f"{stem}.{low}-{high}" for low, high in itertools.pairwise(texts)]
    return [f"{stem}.<{texts[0]}", *between, f"{stem}.>={texts[-1]}"]


def name_column(column: str) -> str:
    """Return a column's name without dots or slashes, which divide the parts of a bucket's name."""
    return shorten(_escape(column).replace(".", "%2E"), LONGEST_PART)


def shorten(name: str, longest: int) -> str:
    """Return a name of at most ``longest`` characters: a longer one ends in the digest of all of it."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    return f"{name[: longest - DIGEST - 1]}~{digest}"


def _name_part(value: Json) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = _escape(value)
        # Text that looks like one of our own words is told apart from it.
        return shorten(text.replace("(", "%28", 1) if text.startswith("(") else text, LONGEST_PART) or EMPTY
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return shorten(value.hex(), LONGEST_PART) or EMPTY
    return shorten(_escape(str(value)), LONGEST_PART)


def _escape(text: str) -> str:
    """Return the text with percent codes for ``%``, ``/``, ``~`` and all that is not printable."""
    return "".join(
        each if each.isprintable() and each not in "%/~" else "".join(f"%{byte:02X}" for byte in each.encode())
        for each in text
    )


def _label(table: pa.Table, column: str, buckets: Buckets, where: Places) -> tuple[list[str], Integers]:
    """Return the distinct labels of one column, and which of them each row has."""
    values = _join_chunks(table.column(column))
    if column in buckets.bins:
        return _label_bins(values, column, buckets.bins[column], where)
    if pa.types.is_nested(values.type):
        raise CannotJudge(f"{where(0)}: the column {column[:80]!r} holds lists or objects, which make no buckets")
    encoded = _as_written(values).dictionary_encode(null_encoding="encode")
    return [name_value(column, value) for value in _list_distinct(encoded.dictionary)], _integers(encoded.indices)


def _as_written(values: pa.Array) -> pa.Array:
    """Return floats of fewer than 64 bits as their shortest decimals: 0.7 of 32 bits is 0.7, not 0.69999999."""
    if pa.types.is_float16(values.type) or pa.types.is_float32(values.type):
        return values.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    return values


def _list_distinct(values: pa.Array) -> list[Json]:
    """Return values as they are named. Moments are in UTC and in Arrow's words: Python has not all of them."""
    kind = values.type
    if pa.types.is_duration(kind):
        return [None if each is None else f"{each} {kind.unit}" for each in values.cast(pa.int64()).to_pylist()]
    if not pa.types.is_temporal(kind):
        return list(values.to_pylist())
    zone = "Z" if pa.types.is_timestamp(kind) and kind.tz is not None else ""
    plain = values.cast(pa.timestamp(kind.unit)) if zone else values
    return [None if text is None else re.sub(r"\.0+$", "", text) + zone for text in plain.cast(pa.string()).to_pylist()]


def _first_row(values: Integers, at: int, where: Places, rows: Integers | None = None) -> Places:
    """Return what names the first row with the value number ``at``; ``rows`` has the row of each value."""

    def name(_: int) -> str:
        place = int(np.argmax(values == at))
        return where(place if rows is None else int(rows[place]))

    return name


def _label_bins(values: pa.Array, column: str, edges: Sequence[Decimal], where: Places) -> tuple[list[str], Integers]:
    values = _as_written(values)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise CannotJudge(
            f"{where(0)}: the column {column[:80]!r} has bins and is {values.type}; set its type to a number in [types]"
        )
    whole = pa.types.is_integer(values.type) and all(
        edge == edge.to_integral_value() and abs(edge) < INT64 for edge in edges
    )
    if whole:
        numbers: npt.NDArray[np.int64 | np.float64] = _integers(values.fill_null(0))
        limits: npt.NDArray[np.int64 | np.float64] = np.array([int(edge) for edge in edges])
    else:
        numbers = _numbers(values.cast(pa.float64(), safe=False).fill_null(0.0), np.float64)
        limits = np.array([float(edge) for edge in edges])
    places = np.searchsorted(limits, numbers, side="right").astype(np.int64)
    absent = _booleans(values.is_null(nan_is_null=True))
    places[absent] = len(edges) + 1
    return [*name_bins(column, edges), f"{name_column(column)}.{NULL}"], places


def _refuse_twice(rows: Integers, codes: Codes, longest: int, column: str, where: Places) -> None:
    """Refuse a row that lists a bucket twice: it would count twice. Entries of a row lie side by side."""
    for shift in range(1, longest):
        twice = (codes[shift:] == codes[:-shift]) & (rows[shift:] == rows[:-shift])
        if twice.any():
            raise CannotJudge(
                f"{where(int(rows[np.argmax(twice)]))}: a bucket is twice in {column!r}, and the row would count "
                "twice; remove one"
            )


def _check_name(name: str, columns: Sequence[str], where: Places) -> None:
    if not name or len(name) > LONGEST_NAME or any(ord(each) < 32 or ord(each) == 127 for each in name):
        raise CannotJudge(
            f"{where(0)}: {columns[0][:80]!r} has the bucket {name[:80]!r}; a name has 1 to {LONGEST_NAME} characters "
            "and no control characters"
        )


def _join_chunks(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def _integers(array: pa.Array) -> Integers:
    return _numbers(array.cast(pa.int64()), np.int64)


def _numbers(array: pa.Array, kind: type[Number]) -> npt.NDArray[Number]:
    """Return the values of an array without nulls. `to_numpy` would load pandas."""
    data = array.buffers()[1]
    return np.frombuffer(data, kind)[array.offset : array.offset + len(array)] if len(array) else np.zeros(0, kind)


def _booleans(array: pa.Array) -> npt.NDArray[np.bool_]:
    return _integers(array.cast(pa.int8())).astype(np.bool_)
