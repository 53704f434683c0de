"""Recover what processes left unfinished when they ended: promotions, rollbacks and tombstones.

- Only a record whose lease is over is recovered; a process that is still at work is left alone.
- Recovery uses the same steps as the work itself, so it can end anywhere and be repeated.
"""

from __future__ import annotations

from lynxgate.errors import Conflict, Refused
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.rollback_steps import recover_rollback
from lynxgate.promotion.steps import recover
from lynxgate.promotion.tombstones import finish_tombstone
from lynxgate.registry.layout import JOURNAL_PREFIX, TOMBSTONES_PREFIX
from lynxgate.registry.record import Record, VersionedRecord


def recover_all(context: PromotionContext) -> list[Record]:
    """Recover everything in the registry; return the records of promotions and rollbacks as they ended.

    Raises:
        StoreFailure: the registry or MLflow failed; run it again.
    """
    ended = []
    for key in context.store.keys(JOURNAL_PREFIX):
        versioned = context.journal.read(key.removeprefix(JOURNAL_PREFIX).removesuffix(".json"))
        if versioned is None or not versioned.record.unfinished or versioned.record.is_alive(context.store.now()):
            continue
        try:
            ended.append(recover_record(context, versioned).record)
        except Conflict:
            continue  # another process recovers it
    for key in context.store.keys(TOMBSTONES_PREFIX):
        finish_tombstone(context, key.removeprefix(TOMBSTONES_PREFIX).removesuffix(".json"))
    return ended


def recover_unfinished(semvers: tuple[str | None, ...], context: PromotionContext) -> None:
    """Recover what is unfinished on the records of these versions, before they are worked with.

    Raises:
        Refused: a lease on one of them is not over, or another process is recovering it.
    """
    for semver in dict.fromkeys(semvers):  # the version in production may be the one to be promoted
        versioned = None if semver is None else context.journal.read(semver)
        if versioned is None or not versioned.record.unfinished:
            continue
        if versioned.record.is_alive(context.store.now()):
            raise Refused(
                f"{semver} is being changed by {versioned.record.owner}, at most until {versioned.record.deadline}; "
                "run it again after that"
            )
        recover_record(context, versioned)


def recover_record(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Recover the rollback or the promotion that is unfinished on a record.

    Raises:
        Conflict: another process recovers it.
    """
    if versioned.record.rollback is not None:
        return recover_rollback(context, versioned)
    return recover(context, versioned)
