"""What a reader found in a foreign file, and the functions that all readers share.

- One entry that cannot be kept does not lose the others: it is left out and named (`Found.left_out`), where its own
  tool does not mark the measurement as failed.
- An amount (a time, a size, a rate, a percentage) is not negative; `check_amounts` tells it by its unit or its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import ConfigDict

from lynxgate.errors import CannotJudge
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, Json, canonical_json
from minieval.contract.report import Measured, Metric

MOST_CHARACTERS = 200
_TIMES = frozenset({"s", "ms", "us", "ns", "sec", "seconds"})
_SIZES = frozenset({"b", "byte", "bytes", "kb", "mb", "gb", "kib", "mib", "gib"})
_UNITS = _TIMES | _SIZES | {"%", "percent", "1/s", "hz", "rps", "qps"}
_AMBIGUOUS = frozenset({"b"})  # `variant_b` is not a number of bytes
_AMOUNTS = frozenset({"latency", "duration", "throughput", "memory"})
_CHANGES = frozenset({"change", "delta", "diff", "difference"})  # of an amount, and they may be negative
_WORD = re.compile(r"[^0-9a-z%]+")


@dataclass(frozen=True)
class Found:
    """Buckets and metrics by name, a digest of the machine if the file names one, and names of values left out."""

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    buckets: Mapping[str, Measured] = field(default_factory=dict)
    fingerprint: str | None = None
    left_out: tuple[str, ...] = ()


class Foreign(Document):
    """Base of a part of a foreign document: it may have keys that no reader needs."""

    model_config = ConfigDict(extra="ignore")


def is_figure(value: Json) -> bool:
    """Whether a JSON value is a number; true and false are not."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def problem_of_name(name: str) -> str | None:
    """Return why a figure cannot have this name in a document, with the start of it; `None` where it can."""
    # The limits of `minieval.contract.fields.Name`, so that one long name does not refuse the whole file. A name with
    # control characters is hostile and not only long: it does refuse the file, where the evaluation is built.
    if not name:
        return "an entry with an empty name"
    if len(name) > MOST_CHARACTERS:
        return f"{name[:60]!r}... (a name of {len(name)} characters, and at most {MOST_CHARACTERS} are kept)"
    return None


def check_amounts(found: Found, *, where: str) -> None:
    """Check that no amount is negative.

    Raises:
        CannotJudge: one is; the message names the figure and, of samples, which.
    """
    for name, metric in found.metrics.items():
        if not _is_amount(name, metric.unit):
            continue
        if metric.value < 0:
            raise CannotJudge(f"{where}: {name!r} is {metric.value}, and such an amount is not negative; measure again")
        for number, sample in enumerate(metric.samples or ()):
            if sample < 0:
                raise CannotJudge(
                    f"{where}: sample {number} of {name!r} is {sample}, and such an amount is not negative; "
                    "measure again"
                )


def _is_amount(name: str, unit: str | None) -> bool:
    words = [word for word in _WORD.split(name.casefold()) if word]
    if not words or _CHANGES & set(words):
        return False
    return (unit or "").casefold() in _UNITS or words[-1] in _UNITS - _AMBIGUOUS or bool(_AMOUNTS & set(words))


def flatten(tree: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every value of nested objects with its keys joined by dots; a name may come twice."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def put_once(table: dict[str, Metric], name: str, metric: Metric, where: str) -> None:
    """Add a metric to a table.

    Raises:
        CannotJudge: the table has a metric of that name.
    """
    if name in table:
        raise CannotJudge(f"{where}: two figures would have the name {name!r}; rename one in the source")
    table[name] = metric


def digest_machine(facts: Mapping[str, Json]) -> str | None:
    """Return a fingerprint of the known facts about a machine; `None` when there are none."""
    # Values are compared as text: a count may be a number in one version of a tool and text in the next.
    known = {key: str(value) for key, value in facts.items() if value not in (None, "")}
    return digest_bytes(canonical_json(known)) if known else None
