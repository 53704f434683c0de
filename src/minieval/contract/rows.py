"""The rows of an eval set: what a candidate may see, apart from what it must not.

A row is one line of JSONL with an ``id``, the ``expected`` answer, other ``accepted`` ones, the ``buckets`` it counts
in and perhaps a ``group``; every other key is a feature.

- `Features` holds the id and the features, `Labels` all the rest; only `Features` are ever given to a predictor.
- Ids are unique over all files, and every row has the features of the first one.
- A key that looks like a misspelt label is refused: as a feature it would be shown to the candidate. Names are not
  enough; `minieval.contract.leaks` compares values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field

from minieval.contract.documents import Document, Json, parse_document
from minieval.contract.exits import CannotJudge
from minieval.contract.fields import Name
from minieval.contract.leaks import AnswerMatches

MAX_ROW_BYTES = 1024 * 1024


NEARLY_LABELS = frozenset({"accept", "answers", "bucket", "groups", "ids", "label", "labels"})


@dataclass(frozen=True, slots=True)
class Features:
    """The part of a row that a predictor receives; ``payload`` is the JSON object of its id and features."""

    id: str
    payload: str


@dataclass(frozen=True, slots=True)
class Labels:
    """The part of a row that a predictor never receives: the right answers, the buckets and the group."""

    right: frozenset[str]
    buckets: tuple[str, ...]
    group: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One example, its features apart from its labels."""

    features: Features
    labels: Labels


def number_groups(rows: Iterable[Row]) -> tuple[int, ...]:
    """Return the number of each row's group, from 0 in order of appearance; a row without a group has its own."""
    known: dict[str | int, int] = {}
    return tuple(
        known.setdefault(index if row.labels.group is None else row.labels.group, len(known))
        for index, row in enumerate(rows)
    )


class _Line(Document):
    """One line as written; the keys in `model_extra` are the features."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(min_length=1, max_length=1000)]
    expected: str
    accepted: Annotated[tuple[str, ...], Field(strict=False)] = ()
    buckets: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    group: Name | None = None


def parse_rows(lines: Iterable[tuple[str, bytes]], matches: AnswerMatches | None = None) -> Iterator[Row]:
    """Parse the lines of an eval set; each comes with the words that name its place in a message.

    ``matches``, if given, counts which features are the answer.

    Raises:
        CannotJudge: when a line is not a row, an id repeats, or a row has other features than the first.
    """
    seen: dict[str, str] = {}
    names: frozenset[str] | None = None
    for where, text in lines:
        line = _parse_line(text, where)
        # The first place comes back: this very string when the id is new.
        if (first := seen.setdefault(line.id, where)) is not where:
            raise CannotJudge(f"{where}: the id {line.id[:80]!r} is already in {first}; give each row an id of its own")
        found = frozenset(line.model_extra or {})
        if names is not None and found != names:
            raise CannotJudge(
                f"{where}: has the features {_list(found)}, and the first row has {_list(names)}; "
                "give all rows the same features"
            )
        names = found
        if matches is not None:
            matches.add({"id": line.id, **(line.model_extra or {})}, line.expected, line.accepted)
        yield _row(line)


def _parse_line(text: bytes, where: str) -> _Line:
    if not text.strip():
        raise CannotJudge(f"{where}: the line is empty; remove it")
    if len(text) > MAX_ROW_BYTES:
        raise CannotJudge(
            f"{where}: {len(text)} bytes, and a row has at most {MAX_ROW_BYTES}; check that this is JSONL"
        )
    line = parse_document(text, _Line, where=where)
    if not line.model_extra:
        raise CannotJudge(f"{where}: no features; add what the model reads, such as `prompt`")
    if len(set(line.buckets)) != len(line.buckets):
        raise CannotJudge(f"{where}: a bucket is twice in `buckets`, and the row would count twice; remove one")
    for key in line.model_extra:
        if (plain := key.strip().casefold()) in NEARLY_LABELS or plain in _Line.model_fields:
            raise CannotJudge(
                f"{where}: the key {key[:80]!r} looks like a label, and the model would see it; rename or remove it"
            )
    return line


def _row(line: _Line) -> Row:
    payload = json.dumps({"id": line.id, **(line.model_extra or {})}, default=_plain)
    return Row(
        features=Features(id=line.id, payload=payload),
        labels=Labels(right=frozenset({line.expected, *line.accepted}), buckets=line.buckets, group=line.group),
    )


def _plain(value: Json) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} in a row")


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "(none)"
