"""The steps of a promotion that write. Each looks first and then acts, so that a retry continues where it stopped.

- `tags.json` is changed only after it was read and our record was checked to be still ours (`change_tags`).
- Before the commit point everything can be undone, and only what this promotion changed is undone. After it nothing
  is undone.
- A process that takes a record over rewrites `tags.json` first: a paused process may resume after its lease expired,
  and its swap then fails.
"""

from __future__ import annotations

import time

from lynxgate.errors import OutcomeUnknown, Refused, StoreFailure
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.event_log import build_next_event, write_announced
from lynxgate.promotion.run_tag import TagState, alias_of, read_tag_state, record_tag_key
from lynxgate.registry.compare_and_swap import change_tags
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import Tags, read_tags
from lynxgate.registry.record import Record, State, VersionedRecord
from lynxgate.registry.tombstone import check_not_tombstoned


def update_tags_json(context: PromotionContext, versioned: VersionedRecord) -> None:
    """Add our semver to `tags.json` and put production on it.

    A crash after this leaves `tags.json` naming a version that is not committed: readers still see the one before it.

    Raises:
        Refused: production is not the version that this promotion was decided against.
    """
    record = versioned.record

    def add(tags: Tags) -> Tags:
        # Our own semver is fine: an earlier try of this promotion got this far.
        if tags.production not in (record.production_before, record.semver):
            raise Refused(
                f"production moved from {record.production_before or 'none'} to {tags.production} while "
                f"{record.semver} was being promoted; decide again against {tags.production}"
            )
        return tags.with_version(record.semver, record.canonical_sha)

    change_tags(context.store, context.journal.owner, add, lambda: context.journal.check_ours(versioned))


def commit(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """The commit point: announce the event in our record. From here on the promotion is only finished, never undone.

    A crash just before this leaves `tags.json` and the MLflow tag written: `recover` then commits.
    """
    return _announce(context, versioned)


def finish(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Do what follows from a commit: move the registered model's alias, write the event, close the record.

    A crash between these leaves a committed promotion that readers already see; `recover` finishes it. The record is
    closed last, because a closed record is never looked at again.

    Raises:
        StoreFailure: the promotion stands; the next run, or `recover`, does the rest.
    """
    try:
        move_alias(context, versioned)
        versioned = write_announced(
            context.store, versioned, lambda each: each.record.event, lambda each: _announce(context, each)
        )
        return context.journal.advance(versioned, state=State.PROMOTED)
    except StoreFailure as error:
        context.journal.release(versioned)
        raise StoreFailure(
            f"{versioned.record.semver} is promoted, but a later step failed: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def move_alias(context: PromotionContext, versioned: VersionedRecord) -> None:
    """Put the alias of the policy's registered model on the run's version, within ``context.tag_seconds``.

    MLflow has no compare-and-swap. That the record is still ours is checked just before; when a paused process moves
    the alias after its lease expired, `lynxgate registry verify` reports it.
    """
    record, started = versioned.record, time.monotonic()
    if record.registered_model is None:
        return
    while True:
        context.journal.check_ours(versioned)
        try:
            tags = {record_tag_key(record): record.canonical_sha}
            context.tracking.set_alias(
                record.registered_model, record.mlflow_run_id, tags, alias=alias_of(record), name=record.logged_model
            )
            return
        except OutcomeUnknown:
            if time.monotonic() - started > context.tag_seconds:
                raise
        context.pause(0.5)  # setting the alias again changes nothing, so a lost reply is simply tried again


def undo(context: PromotionContext, versioned: VersionedRecord, state: State, note: str) -> VersionedRecord:
    """Take what this promotion changed out of `tags.json`, and close the record as ``state``.

    `tags.json` is rewritten even where our semver is not in it: a write of ours whose reply was lost may still
    arrive, and must then find another version than it expects. The record is closed last: a crash between the two
    leaves it pending, and the next process undoes again.
    """
    record = versioned.record

    def remove(tags: Tags) -> Tags:
        return tags.without_version(record.semver, record.production_before)

    change_tags(context.store, context.journal.owner, remove, lambda: context.journal.check_ours(versioned))
    return context.journal.advance(versioned, state=state, note=note)


def take_over(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Make a record ours whose owner's lease is over, and make its owner's unfinished write of `tags.json` fail.

    First the record, then `tags.json`: in the other order the former owner could read `tags.json` between the two,
    find its record unchanged, and write.

    Raises:
        Conflict: another process was faster.
    """
    versioned = context.journal.take_over(versioned)
    change_tags(context.store, context.journal.owner, lambda tags: tags, lambda: context.journal.check_ours(versioned))
    return versioned


def recover(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Take over a promotion whose owner's lease is over, and end it: forward when MLflow has the tag, else back.

    Raises:
        Conflict: another process recovers it.
    """
    versioned = take_over(context, versioned)
    if versioned.record.event is not None:
        return finish(context, versioned)
    answer = read_tag_state(context, versioned.record)
    in_tags = versioned.record.semver in read_tags(context.store).tags.semver
    match answer.state:
        case TagState.PRESENT if in_tags:
            try:
                # The tag may be of an earlier attempt: its owner may have ended before it looked for a tombstone.
                check_not_tombstoned(context.store, versioned.record.canonical_sha)
            except Refused as error:
                return undo(context, versioned, State.IN_DOUBT, str(error))
            return finish(context, commit(context, versioned))
        case TagState.PRESENT:
            # The tag is set after `tags.json`: an earlier attempt set it, and was undone.
            note = "its owner ended before tags.json was written; MLflow has a stray tag"
            return undo(context, versioned, State.IN_DOUBT, note)
        case TagState.ABSENT:
            return undo(context, versioned, State.ROLLED_BACK, "its owner ended before MLflow had the tag")
        case TagState.UNKNOWN:
            note = f"its owner ended, and the tag could not be read from MLflow: {answer.error}"
            return undo(context, versioned, State.IN_DOUBT, note)


def _announce(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    return context.journal.advance(versioned, event=_build_event(context, versioned.record).to_tree())


def _build_event(context: PromotionContext, record: Record) -> Event:
    return build_next_event(
        context,
        record.production_before,
        kind=Kind.PROMOTED,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        mlflow_run_id=record.mlflow_run_id,
        evidence=record.evidence,
        production_before=record.production_before,
    )
