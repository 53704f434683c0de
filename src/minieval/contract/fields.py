"""The types of the fields that documents share: numbers, names, hashes, and tables by name.

- A number is exact: an integer, or a `Decimal` as written; booleans, text and infinities are refused.
- A pattern is matched on the whole text, so that no line break passes at its end.
- The JSON Schema of each type accepts what its validator accepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from minieval.contract.documents import Json, is_note
from minieval.contract.identities import DVC_MD5, RUN_ID, SHA256


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value[:80]!r} is not {what}")
        return value

    return AfterValidator(check)


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _finite(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is not a number (write a figure as 0.93, not as text, true or null)")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("is not finite")
    return number


def _drop_notes(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    for key, entry in value.items():
        if isinstance(entry, dict) and is_note(key):
            raise ValueError(f"{key[:80]!r} is reserved for comments, which are text; give the entry another name")
    return {key: entry for key, entry in value.items() if not is_note(key)}


def _name(value: str) -> str:
    if not value or len(value) > 200 or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError("a name has 1 to 200 characters and no control characters")
    return value


def _file_name(value: str) -> str:
    if "/" in value or "\\" in value or value in {".", ".."}:
        raise ValueError("is the name of a file in the same folder, without a folder")
    return value


Number = Annotated[Decimal, BeforeValidator(_finite), WithJsonSchema({"type": "number"})]
Share = Annotated[Number, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
LARGEST_CANONICAL: Final = 2**53 - 1  # canonical JSON, over which hashes are taken, has no larger integer
HashedCount = Annotated[int, Field(ge=0, le=LARGEST_CANONICAL)]
HashedPositive = Annotated[int, Field(ge=1, le=LARGEST_CANONICAL)]
Samples = Annotated[tuple[Number, ...], Field(strict=False, min_length=1, max_length=10_000)]
Name = Annotated[str, AfterValidator(_name)]
FileName = Annotated[Name, AfterValidator(_file_name)]
Sha256 = Annotated[str, _matching(SHA256, "a SHA-256 (64 hex digits)"), _schema(SHA256)]
RunId = Annotated[str, _matching(RUN_ID, "an MLflow run id (32 hex digits)"), _schema(RUN_ID)]
DvcMd5 = Annotated[
    str,
    _matching(DVC_MD5, "a DVC md5 (32 hex digits, .dir for a folder)"),
    _schema(DVC_MD5),
]
V = TypeVar("V")
# Entries by name, frozen like the document that holds them. Entries that are notes for people are dropped.
Table = Annotated[
    Mapping[Name, V], BeforeValidator(_drop_notes), AfterValidator(MappingProxyType), PlainSerializer(dict)
]
