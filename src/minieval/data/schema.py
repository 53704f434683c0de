"""The kinds of an eval set's columns. A column has one kind over the whole set, whatever its batches hold.

- Of a JSONL file the kind follows from every value that occurs (`Seen`), so it depends on no cut and on no order.
- A kind never changes a value: where numbers of two kinds could not share one exactly, the cells stay JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, StrEnum, auto

import pyarrow as pa

from minieval.contract.documents import Json

EXACT = 2**53  # integers up to here are exact as floats
INT64 = 2**63


class Kind(StrEnum):
    """What the cells of a column are. `JSON`: cells of JSON text. `NATIVE`: another type of Arrow's, from Parquet."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    TEXTS = "texts"
    JSON = "json"
    NATIVE = "native"


TYPES = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.JSON: pa.string(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its kind, and the type of its cells in a table."""

    name: str
    kind: Kind
    type: pa.DataType


Schema = tuple[Column, ...]


class Seen(Flag):
    """The kinds of values that occur in a column of JSON."""

    NOTHING = 0
    NULL = auto()
    BOOLEAN = auto()
    INTEGER = auto()  # exact as a float
    LARGE = auto()  # an integer of 64 bits that is not
    FRACTION = auto()
    TEXT = auto()
    TEXTS = auto()
    OTHER = auto()


def see(values: Iterable[Json]) -> Seen:
    """Return which kinds occur among the values."""
    found = Seen.NOTHING
    for value in values:
        found |= _see(value)
    return found


def choose_kind(seen: Seen) -> Kind:
    """Return the narrowest kind that holds every value exactly."""
    some, optional = seen & ~Seen.NULL, bool(seen & Seen.NULL)
    if some == Seen.TEXT:
        return Kind.TEXT
    if some & (Seen.INTEGER | Seen.FRACTION) and not some & ~(Seen.INTEGER | Seen.FRACTION):
        return Kind.NUMBER if optional or some & Seen.FRACTION else Kind.INTEGER
    if optional:
        return Kind.JSON
    if some == Seen.BOOLEAN:
        return Kind.BOOLEAN
    if some in (Seen.LARGE, Seen.LARGE | Seen.INTEGER):
        return Kind.INTEGER
    return Kind.TEXTS if some == Seen.TEXTS else Kind.JSON


def _see(value: Json) -> Seen:
    kind = SIMPLE.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, int):
        if -EXACT <= value <= EXACT:
            return Seen.INTEGER
        return Seen.LARGE if -INT64 <= value < INT64 else Seen.OTHER
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return Seen.TEXTS
    return Seen.OTHER


SIMPLE = {type(None): Seen.NULL, bool: Seen.BOOLEAN, float: Seen.FRACTION, str: Seen.TEXT}
