"""The events of a registry: what happened, in order, each line bound to the line before it by its SHA-256.

- An event is announced in the record that it belongs to before it is written. Every process that finishes the work
  writes the same bytes under the same number, so an event is in the index once, however often it is tried.
- A line is canonical JSON; `previous` is the SHA-256 of the line before it. The first names that of `registry.json`
  (64 zeros in `lynxgate.event/1`), so that a chain belongs to one registry.
- A signature is part of the event and covers everything else in it. Since `previous` is covered, a signed event
  confirms the whole history before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lynxgate.errors import UsageFailure
from lynxgate.identity import SemverText, is_sha
from lynxgate.ports import Signer
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json
from minieval.contract.fields import HashedPositive, Name, RunId, Sha256

GENESIS = "0" * 64


@dataclass(frozen=True)
class Head:
    """The end of an index: the number of the last event and the SHA-256 of its line."""

    number: int
    sha: str

    def __str__(self) -> str:
        return f"{self.number}:{self.sha}"


def parse_head(text: str) -> Head:
    """Parse ``<number>:<sha>`` as the commands print it.

    Raises:
        UsageFailure: it is not of that form.
    """
    number, _, sha = text.partition(":")
    if not (re.fullmatch(r"[1-9][0-9]{0,17}", number) and is_sha(sha)):
        raise UsageFailure(
            f"{text[:80]!r} is not a head; it is printed by `registry verify --json`, as 5:<64 hex digits>"
        )
    return Head(int(number), sha)


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


class EventSignature(Document):
    """The Ed25519 signature of an event, 128 hex digits, and the id of the key."""

    key_id: Sha256
    value: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Event(Document):
    """One line of the index; ``at`` is the store's time, ISO 8601 in UTC. Fields that do not apply are left out.

    Version 1, which is only read, has no signature.
    """

    schema_: Annotated[Literal["lynxgate.event/1", "lynxgate.event/2"], Field(alias="schema")] = "lynxgate.event/2"
    number: HashedPositive
    previous: Sha256
    at: Name
    kind: Annotated[Kind, Field(strict=False)]
    canonical_sha: Sha256
    semver: SemverText | None = None
    mlflow_run_id: RunId | None = None
    evidence: Sha256 | None = None
    production_before: SemverText | None = None
    reason: Name | None = None
    signature: EventSignature | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Event:
        if self.of_version_1 and self.signature is not None:
            raise ValueError("an event of version 1 has no `signature`")
        for name in sorted(_NEEDED[self.kind]):
            if getattr(self, name) is None:
                raise ValueError(f"an event of kind {self.kind} needs `{name}`")
        return self

    def to_tree(self) -> dict[str, Any]:
        """Return this event as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def of_version_1(self) -> bool:
        """Whether it was written before events could be signed."""
        return self.schema_ == "lynxgate.event/1"

    def line(self) -> bytes:
        """Return the bytes of this event in the index, without the newline."""
        return canonical_json(self.to_tree())

    @property
    def head(self) -> Head:
        """The head of an index that ends with this event."""
        return Head(self.number, digest_bytes(self.line()))

    def signed_bytes(self) -> bytes:
        """Return what a signature of this event covers: everything in it except the signature."""
        return canonical_json({key: value for key, value in self.to_tree().items() if key != "signature"})

    def sign(self, signer: Signer) -> Event:
        """Return this event with the signature of ``signer``; signing again gives the same bytes."""
        signature = EventSignature(key_id=signer.key_id, value=signer.sign_event(self.signed_bytes()))
        return self.model_copy(update={"signature": signature})


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
