"""Strict JSON: reading it into frozen documents, and the two forms in which it is written.

- `parse_json` refuses input that most JSON readers accept: NaN and infinities, duplicate keys, numbers of more than
  `MAX_NUMBER_DIGITS` digits, lone surrogates, documents that are too large or too deep.
- A number with a fraction or an exponent becomes a `Decimal`, exactly as written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from minieval.contract.exits import CannotJudge

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_NUMBER_DIGITS = 40
MAX_DEPTH = 100

Json = Any  # the result of json.loads: mypy has no narrower recursive type that is of use here


def is_note(key: str) -> bool:
    """Return whether a key is a note for people: ``_comment*``, ``_generated_at`` or ``_generated_by``."""
    return str(key).startswith("_comment") or key in {"_generated_at", "_generated_by"}


class Document(BaseModel):
    """The base of every JSON document: frozen, and without unknown keys except notes for people (`is_note`)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True
    )  # a command uses few of the models

    @model_validator(mode="before")
    @classmethod
    def _drop_notes(cls, value: Json) -> Json:
        if isinstance(value, dict):
            return {key: v for key, v in value.items() if not is_note(key)}
        return value


D = TypeVar("D", bound=Document)


def read_document(path: Path, kind: type[D], *, missing: str = "") -> D:
    """Read and parse one document; ``missing`` is the advice in the message when the file does not exist.

    Raises:
        CannotJudge: when the file is missing, too large, not strict JSON, or not a valid ``kind``.
    """
    return parse_document(read_bytes(path, missing=missing), kind, where=str(path))


def parse_document(data: bytes, kind: type[D], *, where: str) -> D:
    """Parse bytes into a frozen document of ``kind``; ``where`` is what messages call it.

    Raises:
        CannotJudge: naming ``where``, the path inside the document, and the reason.
    """
    tree = parse_json(data, where=where)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise CannotJudge(f"{where}: {_first_reason(error)}") from error


def list_reasons(error: ValidationError) -> list[tuple[str, str]]:
    """Return each problem as the path inside the document (empty for the whole document) and the reason."""
    reasons = []
    for each in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in each["loc"])[:200]
        shown = "".join(character if character.isprintable() else "?" for character in place)
        reasons.append((shown, _PLAIN_WORDS.get(each["type"], each["msg"].removeprefix("Value error, "))))
    return reasons


def parse_json(data: bytes, *, where: str, floats: bool = False) -> Json:
    """Parse strict JSON: fractions become `Decimal`, objects `dict` without duplicate keys.

    With ``floats``, fractions become floats of any size: rows and answers are what a model computes with.

    Raises:
        CannotJudge: naming ``where`` and the reason.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise CannotJudge(
            f"{where}: {len(data)} bytes, and a document has at most {MAX_DOCUMENT_BYTES}; "
            "check that this is the right file"
        )
    if not data.strip():
        raise CannotJudge(f"{where}: the file is empty; create it again with the command that writes it")
    try:
        text = data.decode("utf-8")
        tree = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_float if floats else _fraction,
            parse_int=_integer,
            parse_constant=_constant,
        )
        _check_depth(tree)
        # Python reads half of a surrogate pair without an error; only encoding the tree again finds it.
        if "\\ud" in text or "\\uD" in text:
            json.dumps(tree, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeDecodeError as error:
        raise CannotJudge(
            f"{where}: not UTF-8 text at byte {error.start}; check that this is the right file"
        ) from error
    except UnicodeEncodeError as error:
        raise CannotJudge(f"{where}: a string holds half a character (a lone surrogate)") from error
    except RecursionError as error:
        raise CannotJudge(
            f"{where}: nested more than {MAX_DEPTH} levels deep; check that this is the right file"
        ) from error
    except json.JSONDecodeError as error:
        raise CannotJudge(f"{where}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except _NotStrict as error:
        raise CannotJudge(f"{where}: {error}") from error
    return tree


def canonical_json(value: Json) -> bytes:
    """Return ``value`` as canonical JSON (RFC 8785, JCS): equal values give equal bytes.

    Raises:
        ValueError: the value has no canonical form (NaN, an integer beyond 2^53, a key that is not a string).
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def pretty_json(value: Json) -> bytes:
    """Return ``value`` as documents are written: keys in order, two spaces of indentation, a newline at the end.

    Raises:
        TypeError: the value holds an object that JSON does not have.
    """
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_number) + "\n").encode()


def read_bytes(path: Path, *, missing: str = "") -> bytes:
    """Return the bytes of a document, which are at most `MAX_DOCUMENT_BYTES`.

    Raises:
        CannotJudge: the file does not exist, cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError as error:
        raise CannotJudge(f"{path}: no such file{'; ' + missing if missing else ''}") from error
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise CannotJudge(f"{path}: larger than {MAX_DOCUMENT_BYTES} bytes; check that this is the right file")
    return data


class _NotStrict(ValueError):
    """Valid for Python's reader and not for `parse_json`, which alone raises and catches it."""


def _object(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, value in pairs:
        if key in result:
            raise _NotStrict(f"the key {key[:80]!r} is twice in one object; remove one")
        result[key] = value
    return result


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_DIGITS:
        raise _NotStrict(f"a number of {len(text)} digits; at most {MAX_NUMBER_DIGITS} are read")
    return int(text)


def _fraction(text: str) -> Decimal:
    if len(text) > MAX_NUMBER_DIGITS:
        raise _NotStrict(f"a number of {len(text)} digits; at most {MAX_NUMBER_DIGITS} are read")
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        number = None
    # A zero too: exact arithmetic computes its power of ten, and does not end.
    if number is None or abs(number.adjusted()) > MAX_NUMBER_DIGITS:
        raise _NotStrict(f"the number {text} is out of range: its exponent is beyond {MAX_NUMBER_DIGITS}")
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotStrict(f"the number {text[:80]} is out of range")
    return number


def _constant(text: str) -> Json:
    raise _NotStrict(f"{text} is not a JSON number; leave out a figure that could not be measured")


def _check_depth(tree: Json) -> None:
    # Level by level, not recursively: Python's own recursion limit depends on the caller.
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise RecursionError


def _number(value: object) -> float | int:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    raise TypeError(f"{type(value).__name__} cannot be written to a document")


def _first_reason(error: ValidationError) -> str:
    (place, reason), *others = list_reasons(error)
    more = f" (and {len(others)} more)" if others else ""
    return f"{place or 'the document'}: {reason}{more}"


_PLAIN_WORDS = {  # where pydantic's own message describes Python instead of the document
    "model_type": "should be an object",
    "dict_type": "should be an object",
    "missing": "is missing",
    "extra_forbidden": "unknown key; remove it, or check its spelling",
    "too_short": "is empty; at least one entry is needed",
}
