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
from lynxgate.ports import RegistryStore, RunTags, Signer
from lynxgate.registry.events import GENESIS, Event, Kind
from lynxgate.registry.layout import Tags, change_tags, read_tags
from lynxgate.registry.record import Journal, Record, State, VersionedRecord
from minieval.contract.digests import digest_bytes


@dataclass(frozen=True)
class PromotionContext:
    """What the steps work with: the registry, its records as we hold them, MLflow, and how long we try."""

    store: RegistryStore
    journal: Journal
    tracking: RunTags
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


def update_tags_json(context: PromotionContext, versioned: VersionedRecord) -> None:
    """Put our semver into `tags.json` and production on it.

    Raises:
        Refused: production is no longer what this promotion was decided against.
    """
    record = versioned.record

    def add(tags: Tags) -> Tags:
        if tags.production not in (record.production_before, record.semver):
            raise Refused(
                f"production moved from {record.production_before or 'nothing'} to {tags.production} while "
                f"{record.semver} was being promoted; decide again against {tags.production}"
            )
        return tags.with_version(record.semver, record.canonical_sha)

    change_tags(context.store, context.journal.owner, add, lambda: context.journal.check_ours(versioned))


def set_and_confirm_tag(context: PromotionContext, record: Record) -> TagAnswer:
    """Set the tag on the run and read it back, again with back-off inside ``context.tag_seconds``.

    It is absent for sure only where no try is left open: each was refused, or was answered and the tag is not there.
    """
    started, tries, said = time.monotonic(), 0, ""
    only_refusals, answered = True, True
    while True:
        tries += 1
        refused = False
        try:
            context.tracking.set_tag(record.mlflow_run_id, tag_key(record.semver), record.canonical_sha)
            only_refusals = False
        except OutcomeUnknown as error:
            said, only_refusals, answered = str(error), False, False
        except StoreFailure as error:
            said, refused = str(error), True
        found = read_tag_state(context, record)
        said = said or found.said
        if found.state is TagState.THERE:
            return TagAnswer(TagState.THERE, said, tries)
        pause = min(2.0, 0.2 * 2 ** (tries - 1))
        if refused or time.monotonic() - started + pause > context.tag_seconds:
            absent = only_refusals or (answered and found.state is TagState.ABSENT)
            return TagAnswer(TagState.ABSENT if absent else TagState.UNKNOWN, said, tries)
        context.pause(pause)


def read_tag_state(context: PromotionContext, record: Record) -> TagAnswer:
    """Read the tag; a tag of another value counts as absent, since it names no promotion of this SHA."""
    try:
        value = context.tracking.read_tag(record.mlflow_run_id, tag_key(record.semver))
    except StoreFailure as error:
        return TagAnswer(TagState.UNKNOWN, str(error))
    return TagAnswer(TagState.THERE if value == record.canonical_sha else TagState.ABSENT)


def commit(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """The commit point: announce the event in our record. From here on the promotion is only finished, never undone."""
    return context.journal.advance(versioned, event=_announce_promotion(context, versioned.record).to_tree())


def finish(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """What follows from a commit: the registered model's alias, the event, once, and the record closed.

    Raises:
        StoreFailure: the promotion stands; what is left is done by the next run, or by `recover`.
    """
    try:
        move_alias(context, versioned)
        while not write_event(context.store, _announced(versioned.record)):
            versioned = context.journal.advance(
                versioned, event=_announce_promotion(context, versioned.record).to_tree()
            )
        return context.journal.advance(versioned, state=State.PROMOTED)
    except StoreFailure as error:
        context.journal.release(versioned)
        raise StoreFailure(
            f"{versioned.record.semver} is promoted, and not everything that follows could be written: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def move_alias(context: PromotionContext, versioned: VersionedRecord) -> None:
    """Make the run's version of the policy's registered model the one in production, within ``context.tag_seconds``.

    MLflow has no compare-and-swap: that the record is ours is checked just before, and `verify` sees an alias that an
    owner moved who slept in between.
    """
    record, started = versioned.record, time.monotonic()
    if record.registered_model is None:
        return
    while True:
        context.journal.check_ours(versioned)
        try:
            tags = {tag_key(record.semver): record.canonical_sha}
            context.tracking.set_alias(record.registered_model, record.mlflow_run_id, tags)
            return
        except OutcomeUnknown:
            if time.monotonic() - started > context.tag_seconds:
                raise
        context.pause(0.5)


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


def find_hint(context: PromotionContext, production: str | None) -> int:
    """The number of an event known to exist: that of the version in production.

    Raises:
        IntegrityFailure: that version has no event.
    """
    if production is None:
        return 0
    versioned = context.journal.read(production)
    if versioned is None or versioned.record.event is None or versioned.record.state is not State.PROMOTED:
        raise IntegrityFailure(
            f"{context.store.location}: {production} is in production without a promoted record; "
            "see lynxgate registry verify"
        )
    return versioned.record.event.number


def undo(context: PromotionContext, versioned: VersionedRecord, state: State, note: str) -> VersionedRecord:
    """Take what this transaction changed out of `tags.json`, and close the record as ``state``.

    `tags.json` is rewritten even where our semver is not in it: a write of ours that was given up may still be on
    its way, and must find another version than it expects.
    """
    record = versioned.record

    def remove(tags: Tags) -> Tags:
        return tags.without_version(record.semver, record.production_before)

    change_tags(context.store, context.journal.owner, remove, lambda: context.journal.check_ours(versioned))
    return context.journal.advance(versioned, state=state, note=note)


def take_over(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Make a record ours whose owner is gone, and keep what it may still have in hand from landing.

    Raises:
        Conflict: somebody else was faster.
    """
    versioned = context.journal.take_over(versioned)
    change_tags(context.store, context.journal.owner, lambda tags: tags, lambda: context.journal.check_ours(versioned))
    return versioned


def recover(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Take over a promotion whose owner is gone, and end it: forward where MLflow has the tag, else back.

    Raises:
        Conflict: somebody else settles it.
    """
    versioned = take_over(context, versioned)
    if versioned.record.event is not None:
        return finish(context, versioned)
    answer = read_tag_state(context, versioned.record)
    in_tags = versioned.record.semver in read_tags(context.store).tags.semver
    match answer.state:
        case TagState.THERE if in_tags:
            return finish(context, commit(context, versioned))
        case TagState.THERE:
            return undo(
                context, versioned, State.IN_DOUBT, "its owner ended before tags.json; MLflow carries a stray tag"
            )
        case TagState.ABSENT:
            return undo(context, versioned, State.ROLLED_BACK, "its owner ended before MLflow had the tag")
        case TagState.UNKNOWN:
            return undo(context, versioned, State.IN_DOUBT, f"its owner ended, and MLflow did not say: {answer.said}")


def _announced(record: Record) -> Event:
    if record.event is None:
        raise AssertionError("only a committed promotion can be finished")
    return record.event


def _announce_promotion(context: PromotionContext, record: Record) -> Event:
    return next_event(
        context.store,
        find_hint(context, record.production_before),
        kind=Kind.PROMOTED,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        mlflow_run_id=record.mlflow_run_id,
        evidence=record.evidence,
        production_before=record.production_before,
    )
