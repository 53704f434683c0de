"""The transaction record of a semver: claim, lock and journal in one document, `journal/<semver>.json`.

- It is created once and changed only by compare-and-swap. It binds its semver to one SHA for ever, also after the
  promotion was rolled back.
- Owner and deadline make it a lock. While something is unfinished on it and its deadline is ahead (by the store's
  clock), only its owner may change it; after that, any process may take it over.
- The commit point of a promotion is the swap that puts `event` into a pending record. Before it the owner may only
  undo the promotion, after it only finish it.
- An owner that loses a swap stops: another process has taken the record over.
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

from lynxgate.errors import Conflict, IntegrityFailure, StoreFailure
from lynxgate.identity import ModelName, SemverText
from lynxgate.ports import Store
from lynxgate.registry.compare_and_swap import put
from lynxgate.registry.environment import Environment
from lynxgate.registry.events import Event
from lynxgate.registry.layout import journal_key
from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import Name, Positive, RunId, Sha256


class State(StrEnum):
    """The state of a transaction."""

    PENDING = "pending"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    IN_DOUBT = "in-doubt"


class Rollback(Document):
    """A rollback under way to this version; ``event`` is announced after `tags.json` names the version."""

    production_before: SemverText
    event: Event | None = None


class Record(Document):
    """`lynxgate.transaction/1`; ``deadline`` is ISO 8601 in UTC, by the store's clock.

    ``event`` is the line of the index that belongs to this promotion; it is set at the commit point, before the line
    is written. ``rollback`` is set while production is being moved back to this version. ``model`` is that of the
    registry, ``environment`` that of a registry for neither production nor dev: they are part of the marks in MLflow.
    ``logged_model`` is the name of the promoted model in its run, where it was requested by name.
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
    model: ModelName | None = None
    environment: Environment | None = None
    logged_model: ModelName | None = None
    rollback: Rollback | None = None

    @property
    def committed(self) -> bool:
        """Whether this promotion has happened, for readers."""
        return self.state is State.PROMOTED or (self.state is State.PENDING and self.event is not None)

    def with_changes(self, **changes: Any) -> Record:
        """Return this record with some fields changed."""
        return Record.model_validate({**self.model_dump(by_alias=True), **changes})

    @property
    def unfinished(self) -> bool:
        """Whether a promotion or a rollback was begun on it and has not ended."""
        return self.state is State.PENDING or self.rollback is not None

    def is_alive(self, now: datetime) -> bool:
        """Return whether its owner may still be at work at ``now``.

        Raises:
            IntegrityFailure: as `read_deadline`.
        """
        return self.unfinished and now < self.read_deadline()

    def read_deadline(self) -> datetime:
        """Return the end of the lease.

        The field is text, so that a record with a bad one stays readable for an auditor.

        Raises:
            IntegrityFailure: it is not a time with its offset from UTC.
        """
        try:
            deadline = datetime.fromisoformat(self.deadline)
        except ValueError:
            deadline = None
        if deadline is None or deadline.utcoffset() is None:
            raise IntegrityFailure(
                f"{journal_key(self.semver)}: its deadline {self.deadline!r} is not a time with an offset, "
                "such as 2026-01-31T12:00:00+00:00"
            )
        return deadline

    def to_bytes(self) -> bytes:
        """Return the bytes of this record in the registry."""
        return pretty_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))


@dataclass(frozen=True)
class VersionedRecord:
    """A record together with the version that it has in the store."""

    record: Record
    version: str


def read_record(store: Store, semver: str) -> VersionedRecord | None:
    """Read the record of a semver; `None` when it was never claimed.

    Raises:
        CannotJudge: it is not a valid record.
    """
    key = journal_key(semver)
    stored = store.read(key)
    if stored is None:
        return None
    return VersionedRecord(parse_document(stored.data, Record, where=f"{store.location}/{key}"), stored.version)


@dataclass(frozen=True)
class Journal:
    """The records of one registry, as one owner changes them; each change holds the record for another ``lease``."""

    store: Store
    owner: str
    lease: timedelta

    def read(self, semver: str) -> VersionedRecord | None:
        """Read the record of a semver; `None` when it was never claimed."""
        return read_record(self.store, semver)

    def claim(self, record: Record) -> VersionedRecord:
        """Create the record of a semver, pending and ours.

        Raises:
            Conflict: another process claimed the semver meanwhile.
        """
        return self._write(record.with_changes(state=State.PENDING, **self._ours()), expected=None)

    def take_over(self, versioned: VersionedRecord, **changes: Any) -> VersionedRecord:
        """Make a record ours whose lease is over.

        Raises:
            Conflict: another process was faster.
        """
        return self._write(versioned.record.with_changes(**changes, **self._ours()), versioned.version)

    def advance(self, versioned: VersionedRecord, **changes: Any) -> VersionedRecord:
        """Change our own record and renew its lease.

        Raises:
            Conflict: another process has taken it over; stop.
        """
        return self._write(versioned.record.with_changes(**{**self._ours(), **changes}), versioned.version)

    def release(self, versioned: VersionedRecord) -> None:
        """End our lease on a record that we leave unfinished, so that the next process can finish it at once."""
        now = self.store.now().isoformat()
        with contextlib.suppress(StoreFailure, Conflict):  # if this fails too, the lease runs out by itself
            self._write(versioned.record.with_changes(owner=self.owner, deadline=now), versioned.version)

    def check_ours(self, versioned: VersionedRecord) -> None:
        """Check that the record is as we last wrote it.

        Raises:
            Conflict: another process has taken it over; stop.
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
    """Return a name for this process that no other process ever has."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex}"


def _taken_over(record: Record) -> Conflict:
    return Conflict(
        f"{record.semver} was changed by another process meanwhile; "
        f"look with `lynxgate registry show {record.semver}` and run it again"
    )
