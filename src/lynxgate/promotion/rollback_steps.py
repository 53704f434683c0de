"""The steps of a rollback that write; each can be repeated.

- The record of the version that production goes back to holds the rollback while it is under way, under the same
  lease and the same swaps as a promotion.
- The swap of `tags.json` is the commit point: before it the rollback has not happened, after it it is only finished.
"""

from __future__ import annotations

from lynxgate.errors import Conflict, GateError, Refused, StoreFailure
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.event_log import build_next_event, write_announced
from lynxgate.promotion.steps import move_alias, take_over
from lynxgate.registry.compare_and_swap import change_tags
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import Tags, read_tags
from lynxgate.registry.record import Rollback, VersionedRecord
from lynxgate.registry.tombstone import check_not_tombstoned


def check_target(context: PromotionContext, versioned: VersionedRecord) -> None:
    """Check that the bundle that production goes back to is not tombstoned; else drop the rollback.

    This runs while the record holds the rollback. A tombstone is created before its process looks for rollbacks, so
    one of the two always sees the other.

    Raises:
        Refused: it is tombstoned.
    """
    try:
        check_not_tombstoned(context.store, versioned.record.canonical_sha)
    except Refused:
        context.journal.advance(versioned, rollback=None)
        raise
    except GateError:
        context.journal.release(versioned)
        raise


def move_production(context: PromotionContext, versioned: VersionedRecord, production: str) -> None:
    """The commit point of a rollback: put production from ``production`` on the version of the record.

    Raises:
        Refused: production is no longer ``production``.
    """

    def move(tags: Tags) -> Tags:
        if tags.production != production:
            raise Refused(f"production moved from {production} to {tags.production} meanwhile; look, and run it again")
        return tags.with_production(versioned.record.semver)

    try:
        change_tags(context.store, context.journal.owner, move, lambda: context.journal.check_ours(versioned))
    except Conflict:
        raise  # the record was taken over, and the rollback in it with it
    except Refused:
        context.journal.advance(versioned, rollback=None)
        raise
    except StoreFailure:
        # Whether the swap happened may be unknown: the rollback stays in the record, for the next process to decide.
        context.journal.release(versioned)
        raise


def finish_rollback(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Do what follows from a rollback: write the event, move the registered model's alias, close the record.

    Raises:
        StoreFailure: production is back; the next run, or `recover`, does the rest.
    """
    try:
        versioned = write_announced(context.store, versioned, _announced, lambda each: _announce(context, each))
        move_alias(context, versioned)
        return context.journal.advance(versioned, rollback=None)
    except StoreFailure as error:
        context.journal.release(versioned)
        raise StoreFailure(
            f"production is {versioned.record.semver} again, but a later step failed: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def recover_rollback(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Take over a rollback whose owner's lease is over: finish it when production has moved, else drop it.

    Raises:
        Conflict: another process recovers it.
    """
    versioned = take_over(context, versioned)
    if read_tags(context.store).tags.production == versioned.record.semver:
        return finish_rollback(context, versioned)
    return context.journal.advance(versioned, rollback=None)


def _announced(versioned: VersionedRecord) -> Event | None:
    rollback = versioned.record.rollback
    return None if rollback is None else rollback.event


def _announce(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    record = versioned.record
    if record.rollback is None:
        raise GateError(f"{record.semver}: its rollback is gone from the record")
    before = record.rollback.production_before
    event = build_next_event(
        context,
        before,
        kind=Kind.ROLLED_BACK,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        production_before=before,
    )
    rollback = Rollback(production_before=before, event=event)
    return context.journal.advance(versioned, rollback=rollback.model_dump(by_alias=True))
