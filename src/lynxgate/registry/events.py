"""The events of a registry: what happened, in order, each line bound to the line before it by its SHA-256.

- An event is announced in the record that it belongs to before it is written. Every process that finishes the work
  writes the same bytes under the same number, so an event is in the index once, however often it is tried.
- A line is canonical JSON; `previous` is the SHA-256 of the line before it (64 zeros for the first).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lynxgate.identity import SemverText
from minieval.contract.documents import Document, canonical_json
from minieval.contract.fields import Name, Positive, RunId, Sha256

GENESIS = "0" * 64


class Kind(StrEnum):
    """What happened."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    TOMBSTONED = "tombstoned"


_NEEDED = {
    Kind.PROMOTED: {"semver", "mlflow_run_id", "evidence"},
    Kind.ROLLED_BACK: {"semver", "production_before"},
    Kind.TOMBSTONED: {"reason"},
}


class Event(Document):
    """One line of the index; ``at`` is the store's time, ISO 8601 in UTC. Fields that do not apply are left out."""

    schema_: Annotated[Literal["lynxgate.event/1"], Field(alias="schema")] = "lynxgate.event/1"
    number: Positive
    previous: Sha256
    at: Name
    kind: Annotated[Kind, Field(strict=False)]
    canonical_sha: Sha256
    semver: SemverText | None = None
    mlflow_run_id: RunId | None = None
    evidence: Sha256 | None = None
    production_before: SemverText | None = None
    reason: Name | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Event:
        for name in sorted(_NEEDED[self.kind]):
            if getattr(self, name) is None:
                raise ValueError(f"an event of kind {self.kind} needs `{name}`")
        return self

    def to_tree(self) -> dict[str, Any]:
        """Return this event as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def line(self) -> bytes:
        """Return the bytes of this event in the index, without the newline."""
        return canonical_json(self.to_tree())


@dataclass(frozen=True)
class Promotion:
    """The event of a promotion, and the three fields that such an event always has."""

    event: Event
    semver: str
    run_id: str
    evidence: str


def as_promotion(event: Event) -> Promotion | None:
    """Return the promotion that an event records; `None` for an event of another kind."""
    if event.kind is not Kind.PROMOTED or not (event.semver and event.mlflow_run_id and event.evidence):
        return None
    return Promotion(event, event.semver, event.mlflow_run_id, event.evidence)
