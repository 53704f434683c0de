"""What a reader found in a foreign file, and the functions that all readers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import ConfigDict

from lynxgate.errors import CannotJudge
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, Json, canonical_json
from minieval.contract.report import Measured, Metric


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
