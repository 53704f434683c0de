"""The transaction record of a semver: claim, lock and journal in one document, `journal/<semver>.json`.

- It is created once and changed only by compare-and-swap; it binds its semver to one SHA for ever, also when the
  promotion was rolled back.
- Owner and deadline make it a lock: while it is `pending` and its deadline is ahead (by the store's clock), nobody
  else touches it; past that, anybody may take it over.
- The commit point of a promotion is the swap that puts `event` into a pending record: before it a promotion may
  only be undone by whoever holds the record, after it only be finished.
- An owner that loses a swap stops.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from lynxgate.errors import Conflict, StoreFailure
from lynxgate.identity import SemverText
from lynxgate.ports import Store
from lynxgate.registry.events import Event
from lynxgate.registry.layout import journal_key, put
from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import Name, Positive, RunId, Sha256


class State(StrEnum):
    """How far a transaction got."""

    PENDING = "pending"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    IN_DOUBT = "in-doubt"


class Rollback(Document):
    """Production on its way back to a version; ``event`` is announced once `tags.json` says so."""

    production_before: SemverText
    event: Event | None = None


class Record(Document):
    """`lynxgate.transaction/1`. ``event`` is what the index holds, or will, once the promotion is committed.

    ``rollback`` is there while production is being moved back to this version.
    """

    schema_: Annotated[Literal["lynxgate.transaction/1"], Field(alias="schema")] = "lynxgate.transaction/1"
    semver: SemverText
    canonical_sha: Sha256
    mlflow_run_id: RunId
    evidence: Sha256
    production_before: SemverText | None = None
    state: Annotated[State, Field(strict=False)]
    attempt: Positive = 1
    owner: Name
    deadline: Name
    event: Event | None = None
    note: str | None = None
    registered_model: Name | None = None
    rollback: Rollback | None = None

    @property
    def committed(self) -> bool:
        """Whether this promotion has taken effect for readers."""
        return self.state is State.PROMOTED or (self.state is State.PENDING and self.event is not None)

    def with_changes(self, **changes: Any) -> Record:
        """This record with some fields changed."""
        return Record.model_validate({**self.model_dump(by_alias=True), **changes})

    @property
    def unfinished(self) -> bool:
        """Whether something was begun on it that is not ended."""
        return self.state is State.PENDING or self.rollback is not None

    def is_alive(self, now: datetime) -> bool:
        """Whether its owner may still be at work."""
        return self.unfinished and now < datetime.fromisoformat(self.deadline)

    def to_bytes(self) -> bytes:
        """The bytes of this record in the registry."""
        return pretty_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))


@dataclass(frozen=True)
class VersionedRecord:
    """A record together with the version it has in the store."""

    record: Record
    version: str


@dataclass(frozen=True)
class Journal:
    """The records of one registry, as one owner sees and changes them; ``lease`` is how long a claim is ours."""

    store: Store
    owner: str
    lease: timedelta

    def read(self, semver: str) -> VersionedRecord | None:
        """The record of a semver, or `None` when nobody ever claimed it."""
        key = journal_key(semver)
        stored = self.store.read(key)
        if stored is None:
            return None
        return VersionedRecord(
            parse_document(stored.data, Record, where=f"{self.store.location}/{key}"), stored.version
        )

    def claim(self, record: Record) -> VersionedRecord:
        """Create the record of a semver, pending and ours.

        Raises:
            Conflict: somebody claimed the semver meanwhile.
        """
        return self._write(record.with_changes(state=State.PENDING, **self._ours()), expected=None)

    def take_over(self, versioned: VersionedRecord, **changes: Any) -> VersionedRecord:
        """Make a record ours that nobody holds any more.

        Raises:
            Conflict: somebody else was faster.
        """
        return self._write(versioned.record.with_changes(**changes, **self._ours()), versioned.version)

    def advance(self, versioned: VersionedRecord, **changes: Any) -> VersionedRecord:
        """Change our own record, and hold it for another lease.

        Raises:
            Conflict: it is ours no more; stop.
        """
        return self._write(versioned.record.with_changes(**{**self._ours(), **changes}), versioned.version)

    def release(self, versioned: VersionedRecord) -> None:
        """End our lease on a record that we leave unfinished, so that the next process need not wait for it."""
        now = self.store.now().isoformat()
        with contextlib.suppress(StoreFailure, Conflict):  # then the lease ends by itself
            self._write(versioned.record.with_changes(owner=self.owner, deadline=now), versioned.version)

    def check_ours(self, versioned: VersionedRecord) -> None:
        """Make sure that the record is as we left it.

        Raises:
            Conflict: it is ours no more; stop.
        """
        found = self.read(versioned.record.semver)
        if found is None or found.version != versioned.version:
            raise _taken_over(versioned.record)

    def _ours(self) -> dict[str, str]:
        return {"owner": self.owner, "deadline": (self.store.now() + self.lease).isoformat()}

    def _write(self, record: Record, expected: str | None) -> VersionedRecord:
        try:
            return VersionedRecord(record, put(self.store, journal_key(record.semver), record.to_bytes(), expected))
        except Conflict as error:
            raise _taken_over(record) from error


def name_owner() -> str:
    """A name for this process that no other ever has."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex}"


def _taken_over(record: Record) -> Conflict:
    return Conflict(
        f"{record.semver} is being promoted by another process, or was meanwhile; "
        f"look with `lynxgate registry show {record.semver}` and run it again"
    )
