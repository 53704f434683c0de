"""Production back to an earlier version: the one way down. Nothing is deleted, and the history gets an event.

The record of the version that production goes back to carries the rollback while it is under way, under the same lease
and the same swaps as a promotion. The swap of `tags.json` is its commit point: before it a rollback has not happened,
after it whoever comes next writes its event.
"""

from __future__ import annotations

from collections.abc import Mapping

from lynxgate.errors import CannotJudge, Conflict, GateError, Refused, StoreFailure
from lynxgate.identity import parse_semver
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.promotion.steps import (
    PromotionContext,
    find_hint,
    move_alias,
    next_event,
    recover,
    take_over,
    write_event,
)
from lynxgate.promotion.tombstones import check_not_tombstoned
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import Tags, change_tags, read_environment, read_tags
from lynxgate.registry.record import Record, Rollback, State, VersionedRecord


def roll_back(target: str, context: PromotionContext, environ: Mapping[str, str]) -> tuple[Record, str | None]:
    """Put production back to ``target``; its record, and the version it came from (`None`: it was there already).

    Raises:
        CannotJudge: the registry has no such version, or nothing in production.
        Refused: not authorised, not a lower promoted version, tombstoned, or somebody else is at work.
        StoreFailure: the registry or MLflow failed; the message says what that left.
    """
    check_registry(authorise(environ), read_environment(context.store), context.store.location)
    recover_unfinished((read_tags(context.store).tags.production, target), context)
    production = read_tags(context.store).tags.production
    versioned = context.journal.read(target)
    if production is None or versioned is None or versioned.record.state is not State.PROMOTED:
        raise CannotJudge(f"{context.store.location}: {target} was never promoted; see lynxgate registry list")
    if production == target:
        return versioned.record, None
    if parse_semver(target) > parse_semver(production):
        raise Refused(
            f"{target} is higher than {production}, in production; promote its bundle as a new version instead"
        )
    check_not_tombstoned(context.store, versioned.record.canonical_sha)
    versioned = context.journal.take_over(versioned, rollback=Rollback(production_before=production).model_dump())
    move_production(context, versioned, production)
    return finish_rollback(context, versioned).record, production


def move_production(context: PromotionContext, versioned: VersionedRecord, production: str) -> None:
    """The commit point of a rollback.

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
        raise
    except Refused:
        context.journal.advance(versioned, rollback=None)
        raise
    except StoreFailure:
        context.journal.release(versioned)
        raise


def finish_rollback(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """What follows from a rollback: the event, once, the registered model's alias, and the record closed.

    Raises:
        StoreFailure: production is back; what is left is done by the next run, or by `recover`.
    """
    try:
        while (event := _announced(versioned.record)) is None or not write_event(context.store, event):
            versioned = context.journal.advance(
                versioned, rollback=_announce(context, versioned.record).model_dump(by_alias=True)
            )
        move_alias(context, versioned)
        return context.journal.advance(versioned, rollback=None)
    except StoreFailure as error:
        context.journal.release(versioned)
        raise StoreFailure(
            f"production is {versioned.record.semver} again, and not every later step could be written: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def recover_rollback(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Take over a rollback whose owner is gone: finish it when production has moved, else forget it.

    Raises:
        Conflict: somebody else settles it.
    """
    versioned = take_over(context, versioned)
    if read_tags(context.store).tags.production == versioned.record.semver:
        return finish_rollback(context, versioned)
    return context.journal.advance(versioned, rollback=None)


def recover_unfinished(semvers: tuple[str | None, ...], context: PromotionContext) -> None:
    """End what dead owners left of these versions.

    Raises:
        Refused: an owner is alive, or somebody else is settling it.
    """
    for semver in dict.fromkeys(semvers):
        versioned = None if semver is None else context.journal.read(semver)
        if versioned is None or not versioned.record.unfinished:
            continue
        if versioned.record.is_alive(context.store.now()):
            raise Refused(
                f"{semver} is in the hands of {versioned.record.owner}, at most until {versioned.record.deadline}; "
                "run it again after that"
            )
        end(context, versioned)


def end(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Settle whatever was begun on a record.

    Raises:
        Conflict: somebody else does.
    """
    return (
        recover_rollback(context, versioned) if versioned.record.rollback is not None else recover(context, versioned)
    )


def _announced(record: Record) -> Event | None:
    return None if record.rollback is None else record.rollback.event


def _announce(context: PromotionContext, record: Record) -> Rollback:
    if record.rollback is None:
        raise GateError(f"{record.semver}: its rollback is gone from the record")
    before = record.rollback.production_before
    event = next_event(
        context.store,
        find_hint(context, before),
        kind=Kind.ROLLED_BACK,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        production_before=before,
    )
    return Rollback(production_before=before, event=event)
