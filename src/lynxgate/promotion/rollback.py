"""The rollback of production to an earlier version: the only way down. Nothing is deleted."""

from __future__ import annotations

from collections.abc import Mapping

from lynxgate.errors import CannotJudge, Refused
from lynxgate.identity import parse_semver
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.event_log import check_signer
from lynxgate.promotion.recovery import recover_unfinished
from lynxgate.promotion.rollback_steps import check_target, finish_rollback, move_production
from lynxgate.registry.layout import read_environment, read_tags
from lynxgate.registry.record import Record, Rollback, State
from lynxgate.registry.resolve import read_production
from lynxgate.registry.tombstone import check_not_tombstoned


def roll_back(target: str, context: PromotionContext, environ: Mapping[str, str]) -> tuple[Record, str | None]:
    """Put production back on ``target``; return its record and the version before (`None`: it was there already).

    1. Authorise, and recover what is unfinished on the version in production and on the target.
    2. Check that the target was promoted, is lower than production, and is not tombstoned.
    3. Claim the target's record, and check again that it is not tombstoned; a crash after the claim leaves a rollback
       that has not happened, and is dropped.
    4. Swap `tags.json`, the commit point; a crash after this leaves a rollback that the next process finishes.
    5. Write the event, move the alias, close the record.

    Raises:
        CannotJudge: the registry has no such version, or nothing is in production.
        Refused: not authorised, not a lower promoted version, tombstoned, or being changed by another process.
        StoreFailure: the registry or MLflow failed; the message names the state that this left.
    """
    check_registry(authorise(environ), read_environment(context.store), context.store.location)
    recover_unfinished((read_tags(context.store).tags.production, target), context)
    found = read_production(context.store)
    production = found.semver
    versioned = context.journal.read(target)
    if production is None or versioned is None or versioned.record.state is not State.PROMOTED:
        raise CannotJudge(f"{context.store.location}: {target} was never promoted; see lynxgate registry list")
    if versioned.record.unfinished or not found.closed:
        # Another process began after step 1. Its event comes before ours, and the target's record may be its own.
        busy = target if versioned.record.unfinished else production
        raise Refused(f"{busy} was changed by another process just now, which is not finished; run it again")
    if production == target:
        return versioned.record, None
    if parse_semver(target) > parse_semver(production):
        raise Refused(
            f"{target} is higher than {production}, in production; promote its bundle as a new version instead"
        )
    check_signer(context, found.event)
    check_not_tombstoned(context.store, versioned.record.canonical_sha)
    versioned = context.journal.take_over(versioned, rollback=Rollback(production_before=production).model_dump())
    check_target(context, versioned)
    move_production(context, versioned, production)
    return finish_rollback(context, versioned).record, production
