"""The steps of a promotion once it may write: each is look, then act, so that trying again goes on where it stopped.

- `tags.json` is changed only between a reading of it and a check that the record is still ours (`change_tags`).
- MLflow's tag is believed only when it was read back; an exception does not mean that it is absent.
- Before the commit point everything can be undone, and only what this transaction changed is; after it, nothing is.
- Whoever takes a record over rewrites `tags.json` first, so that nothing its former owner still has in hand can land.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.ports import RegistryStore, Signer, TagCarrier
from lynxgate.registry.events import GENESIS, Event, Kind
from lynxgate.registry.layout import Tags, change_tags, read_tags
from lynxgate.registry.record import Held, Journal, Record, State
from minieval.contract.documents import digest_bytes


@dataclass(frozen=True)
class Desk:
    """What the steps work with: the registry, its records as we hold them, MLflow, and how long we try."""

    store: RegistryStore
    journal: Journal
    tracking: TagCarrier
    tag_seconds: float = 30.0
    pause: Callable[[float], None] = field(default=time.sleep)
    signer: Signer | None = None


class TagState(Enum):
    """What is known of the tag on the run."""

    THERE = "there"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TagAnswer:
    """What is known of the tag after trying, and the last thing MLflow said."""

    state: TagState
    said: str = ""
    tries: int = 0


def tag_key(semver: str) -> str:
    """The MLflow tag that carries the promotion of ``semver``; its value is the canonical SHA."""
    return f"lynxgate.semver.{semver}"


def point_tags(desk: Desk, held: Held) -> None:
    """Put our semver into `tags.json` and production on it.

    Raises:
        Refused: production is no longer what this promotion was decided against.
    """
    record = held.record

    def add(tags: Tags) -> Tags:
        if tags.production not in (record.production_before, record.semver):
            raise Refused(
                f"production moved from {record.production_before or 'nothing'} to {tags.production} while "
                f"{record.semver} was being promoted; decide again against {tags.production}"
            )
        return tags.with_version(record.semver, record.canonical_sha)

    change_tags(desk.store, desk.journal.owner, add, lambda: desk.journal.check_ours(held))


def carry_tag(desk: Desk, record: Record) -> TagAnswer:
    """Set the tag on the run and read it back, again with back-off inside ``desk.tag_seconds``.

    It is absent for sure only where no try is left open: each was refused, or was answered and the tag is not there.
    """
    started, tries, said = time.monotonic(), 0, ""
    only_refusals, answered = True, True
    while True:
        tries += 1
        refused = False
        try:
            desk.tracking.set_tag(record.mlflow_run_id, tag_key(record.semver), record.canonical_sha)
            only_refusals = False
        except OutcomeUnknown as error:
            said, only_refusals, answered = str(error), False, False
        except StoreFailure as error:
            said, refused = str(error), True
        found = look_at_tag(desk, record)
        said = said or found.said
        if found.state is TagState.THERE:
            return TagAnswer(TagState.THERE, said, tries)
        pause = min(2.0, 0.2 * 2 ** (tries - 1))
        if refused or time.monotonic() - started + pause > desk.tag_seconds:
            absent = only_refusals or (answered and found.state is TagState.ABSENT)
            return TagAnswer(TagState.ABSENT if absent else TagState.UNKNOWN, said, tries)
        desk.pause(pause)


def look_at_tag(desk: Desk, record: Record) -> TagAnswer:
    """Read the tag; a tag of another value counts as absent, since it names no promotion of this SHA."""
    try:
        value = desk.tracking.read_tag(record.mlflow_run_id, tag_key(record.semver))
    except StoreFailure as error:
        return TagAnswer(TagState.UNKNOWN, str(error))
    return TagAnswer(TagState.THERE if value == record.canonical_sha else TagState.ABSENT)


def commit(desk: Desk, held: Held) -> Held:
    """The commit point: announce the event in our record. From here on the promotion is only finished, never undone."""
    return desk.journal.advance(held, event=_announce_promotion(desk, held.record).to_tree())


def finish(desk: Desk, held: Held) -> Held:
    """What follows from a commit: the registered model's alias, the event, once, and the record closed.

    Raises:
        StoreFailure: the promotion stands; what is left is done by the next run, or by `recover`.
    """
    try:
        carry_alias(desk, held)
        while not write_event(desk.store, _announced(held.record)):
            held = desk.journal.advance(held, event=_announce_promotion(desk, held.record).to_tree())
        return desk.journal.advance(held, state=State.PROMOTED)
    except StoreFailure as error:
        desk.journal.release(held)
        raise StoreFailure(
            f"{held.record.semver} is promoted, and not everything that follows could be written: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def carry_alias(desk: Desk, held: Held) -> None:
    """Make the run's version of the policy's registered model the one in production, within ``desk.tag_seconds``.

    MLflow has no compare-and-swap: that the record is ours is checked just before, and `verify` sees an alias that an
    owner moved who slept in between.
    """
    record, started = held.record, time.monotonic()
    if record.registered_model is None:
        return
    while True:
        desk.journal.check_ours(held)
        try:
            tags = {tag_key(record.semver): record.canonical_sha}
            desk.tracking.point_alias(record.registered_model, record.mlflow_run_id, tags)
            return
        except OutcomeUnknown:
            if time.monotonic() - started > desk.tag_seconds:
                raise
        desk.pause(0.5)


def write_event(store: RegistryStore, event: Event) -> bool:
    """Append an announced event, once; `False` when another event has taken its number.

    Raises:
        StoreFailure: it could not be written, or its number is not the next.
    """
    for _ in range(3):
        try:
            store.append(event.number, event.line())
        except (Conflict, OutcomeUnknown):
            found = store.event(event.number)
            if found is not None:
                return found == event.line()
        else:
            return True
    raise StoreFailure(f"{store.location}: event {event.number} could not be written")


def next_event(store: RegistryStore, hint: int, **facts: Any) -> Event:
    """The event that would follow the last one; ``hint`` is the number of one known to exist."""
    last = store.last(hint)
    place = {"number": last[0] + 1 if last else 1, "previous": digest_bytes(last[1]) if last else GENESIS}
    return Event.model_validate({**place, "at": store.now().isoformat(), **facts})


def find_hint(desk: Desk, production: str | None) -> int:
    """The number of an event known to exist: that of the version in production.

    Raises:
        IntegrityFailure: that version has no event.
    """
    if production is None:
        return 0
    held = desk.journal.read(production)
    if held is None or held.record.event is None or held.record.state is not State.PROMOTED:
        raise IntegrityFailure(
            f"{desk.store.location}: {production} is in production without a promoted record; "
            "see lynxgate registry verify"
        )
    return held.record.event.number


def undo(desk: Desk, held: Held, state: State, note: str) -> Held:
    """Take what this transaction changed out of `tags.json`, and close the record as ``state``.

    `tags.json` is rewritten even where our semver is not in it: a write of ours that was given up may still be on
    its way, and must find another version than it expects.
    """
    record = held.record

    def remove(tags: Tags) -> Tags:
        return tags.without_version(record.semver, record.production_before)

    change_tags(desk.store, desk.journal.owner, remove, lambda: desk.journal.check_ours(held))
    return desk.journal.advance(held, state=state, note=note)


def take_over(desk: Desk, held: Held) -> Held:
    """Make a record ours whose owner is gone, and keep what it may still have in hand from landing.

    Raises:
        Conflict: somebody else was faster.
    """
    held = desk.journal.take_over(held)
    change_tags(desk.store, desk.journal.owner, lambda tags: tags, lambda: desk.journal.check_ours(held))
    return held


def settle(desk: Desk, held: Held) -> Held:
    """Take over a promotion whose owner is gone, and end it: forward where MLflow has the tag, else back.

    Raises:
        Conflict: somebody else settles it.
    """
    held = take_over(desk, held)
    if held.record.event is not None:
        return finish(desk, held)
    answer = look_at_tag(desk, held.record)
    in_tags = held.record.semver in read_tags(desk.store).tags.semver
    match answer.state:
        case TagState.THERE if in_tags:
            return finish(desk, commit(desk, held))
        case TagState.THERE:
            return undo(desk, held, State.IN_DOUBT, "its owner ended before tags.json; MLflow carries a stray tag")
        case TagState.ABSENT:
            return undo(desk, held, State.ROLLED_BACK, "its owner ended before MLflow had the tag")
        case TagState.UNKNOWN:
            return undo(desk, held, State.IN_DOUBT, f"its owner ended, and MLflow did not say: {answer.said}")


def _announced(record: Record) -> Event:
    if record.event is None:
        raise AssertionError("only a committed promotion can be finished")
    return record.event


def _announce_promotion(desk: Desk, record: Record) -> Event:
    return next_event(
        desk.store,
        find_hint(desk, record.production_before),
        kind=Kind.PROMOTED,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        mlflow_run_id=record.mlflow_run_id,
        evidence=record.evidence,
        production_before=record.production_before,
    )
