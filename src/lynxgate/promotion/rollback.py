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
from lynxgate.promotion.steps import Desk, carry_alias, find_hint, next_event, settle, take_over, write_event
from lynxgate.promotion.tombstones import check_not_tombstoned
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import Tags, change_tags, read_environment, read_tags
from lynxgate.registry.record import Held, Record, Rollback, State


def roll_back(target: str, desk: Desk, environ: Mapping[str, str]) -> tuple[Record, str | None]:
    """Put production back to ``target``; its record, and the version it came from (`None`: it was there already).

    Raises:
        CannotJudge: the registry has no such version, or nothing in production.
        Refused: not authorised, not a lower promoted version, tombstoned, or somebody else is at work.
        StoreFailure: the registry or MLflow failed; the message says what that left.
    """
    check_registry(authorise(environ), read_environment(desk.store), desk.store.location)
    settle_unfinished((read_tags(desk.store).tags.production, target), desk)
    production = read_tags(desk.store).tags.production
    held = desk.journal.read(target)
    if production is None or held is None or held.record.state is not State.PROMOTED:
        raise CannotJudge(f"{desk.store.location}: {target} was never promoted; see lynxgate registry list")
    if production == target:
        return held.record, None
    if parse_semver(target) > parse_semver(production):
        raise Refused(
            f"{target} is higher than {production}, in production; promote its bundle as a new version instead"
        )
    check_not_tombstoned(desk.store, held.record.canonical_sha)
    held = desk.journal.take_over(held, rollback=Rollback(production_before=production).model_dump())
    move_production(desk, held, production)
    return finish_rollback(desk, held).record, production


def move_production(desk: Desk, held: Held, production: str) -> None:
    """The commit point of a rollback.

    Raises:
        Refused: production is no longer ``production``.
    """

    def move(tags: Tags) -> Tags:
        if tags.production != production:
            raise Refused(f"production moved from {production} to {tags.production} meanwhile; look, and run it again")
        return tags.with_production(held.record.semver)

    try:
        change_tags(desk.store, desk.journal.owner, move, lambda: desk.journal.check_ours(held))
    except Conflict:
        raise
    except Refused:
        desk.journal.advance(held, rollback=None)
        raise
    except StoreFailure:
        desk.journal.release(held)
        raise


def finish_rollback(desk: Desk, held: Held) -> Held:
    """What follows from a rollback: the event, once, the registered model's alias, and the record closed.

    Raises:
        StoreFailure: production is back; what is left is done by the next run, or by `recover`.
    """
    try:
        while (event := _announced(held.record)) is None or not write_event(desk.store, event):
            held = desk.journal.advance(held, rollback=_announce(desk, held.record).model_dump(by_alias=True))
        carry_alias(desk, held)
        return desk.journal.advance(held, rollback=None)
    except StoreFailure as error:
        desk.journal.release(held)
        raise StoreFailure(
            f"production is {held.record.semver} again, and not everything that follows could be written: {error}; "
            "run it again, or `lynxgate registry recover`"
        ) from error


def settle_rollback(desk: Desk, held: Held) -> Held:
    """Take over a rollback whose owner is gone: finish it when production has moved, else forget it.

    Raises:
        Conflict: somebody else settles it.
    """
    held = take_over(desk, held)
    if read_tags(desk.store).tags.production == held.record.semver:
        return finish_rollback(desk, held)
    return desk.journal.advance(held, rollback=None)


def settle_unfinished(semvers: tuple[str | None, ...], desk: Desk) -> None:
    """End what dead owners left of these versions.

    Raises:
        Refused: an owner is alive, or somebody else is settling it.
    """
    for semver in dict.fromkeys(semvers):
        held = None if semver is None else desk.journal.read(semver)
        if held is None or not held.record.unfinished:
            continue
        if held.record.is_alive(desk.store.now()):
            raise Refused(
                f"{semver} is in the hands of {held.record.owner}, at most until {held.record.deadline}; "
                "run it again after that"
            )
        end(desk, held)


def end(desk: Desk, held: Held) -> Held:
    """Settle whatever was begun on a record.

    Raises:
        Conflict: somebody else does.
    """
    return settle_rollback(desk, held) if held.record.rollback is not None else settle(desk, held)


def _announced(record: Record) -> Event | None:
    return None if record.rollback is None else record.rollback.event


def _announce(desk: Desk, record: Record) -> Rollback:
    if record.rollback is None:
        raise GateError(f"{record.semver}: its rollback is gone from the record")
    before = record.rollback.production_before
    event = next_event(
        desk.store,
        find_hint(desk, before),
        kind=Kind.ROLLED_BACK,
        semver=record.semver,
        canonical_sha=record.canonical_sha,
        production_before=before,
    )
    return Rollback(production_before=before, event=event)
