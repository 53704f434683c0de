"""Tombstone a bundle: from then on it is never promoted (again) and never served. Nothing is deleted.

- A promotion looks for a tombstone before it starts and again after it has written `tags.json`; a tombstone is
  created first and production is looked at again afterwards. So one of the two always sees the other.
- Its event is announced in it by compare-and-swap: however many processes write it, it is in the index once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from lynxgate.errors import CannotJudge, Conflict, Refused, StoreFailure
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.event_log import build_next_event, check_signer, write_announced
from lynxgate.registry.compare_and_swap import MAX_SWAPS, put
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import manifest_key, read_environment, read_tags, tombstone_key
from lynxgate.registry.resolve import find_production, read_production
from lynxgate.registry.tombstone import Tombstone, VersionedTombstone, read_tombstone


def tombstone(sha: str, reason: str, context: PromotionContext, environ: Mapping[str, str]) -> Tombstone:
    """Tombstone a bundle, once; return the tombstone as it stands, with the reason of the first one.

    Raises:
        CannotJudge: the registry has no such bundle.
        Refused: not authorised, or the bundle is in production or being put back into it.
        StoreFailure: the registry failed; run it again to finish what was begun.
    """
    check_registry(authorise(environ), read_environment(context.store), context.store.location)
    check_signer(context, read_production(context.store).event)
    if read_tombstone(context.store, sha) is None:
        if context.store.read(manifest_key(sha)) is None:
            # A mistyped SHA would be forbidden for ever, and the bundle that was meant would not.
            raise CannotJudge(f"{context.store.location} has no bundle {sha}; see lynxgate registry list")
        _check_not_in_production(context, sha)
        begun = Tombstone(canonical_sha=sha, reason=reason)
        with contextlib.suppress(Conflict):  # another process tombstones it too: that one stands, and is finished below
            put(context.store, tombstone_key(sha), begun.to_bytes(), None)
    finished = finish_tombstone(context, sha)
    # A promotion or a rollback that looked before the tombstone was there may put the bundle into production.
    _check_not_in_production(context, sha)
    return finished


def finish_tombstone(context: PromotionContext, sha: str) -> Tombstone:
    """Write the event of a tombstone that is there, and mark it as written; repeating it changes nothing.

    Raises:
        StoreFailure: the registry failed, or too many swaps were lost.
    """
    for _ in range(MAX_SWAPS):
        found = read_tombstone(context.store, sha)
        if found is None:
            break
        if found.tombstone.written:
            return found.tombstone
        with contextlib.suppress(Conflict):  # another process finishes it too: read it again
            announced = write_announced(
                context.store, found, lambda each: each.tombstone.event, lambda each: _announce(context, each)
            )
            return _change(context, announced, written=True).tombstone
    raise StoreFailure(f"{context.store.location}: the tombstone of {sha} could not be finished; run it again")


def _announce(context: PromotionContext, versioned: VersionedTombstone) -> VersionedTombstone:
    return _change(context, versioned, event=_build_event(context, versioned.tombstone).to_tree())


def _change(context: PromotionContext, versioned: VersionedTombstone, **changes: object) -> VersionedTombstone:
    changed = versioned.tombstone.with_changes(**changes)
    key = tombstone_key(changed.canonical_sha)
    return VersionedTombstone(changed, put(context.store, key, changed.to_bytes(), versioned.version))


def _build_event(context: PromotionContext, stone: Tombstone) -> Event:
    return build_next_event(
        context,
        find_production(context.store),
        kind=Kind.TOMBSTONED,
        canonical_sha=stone.canonical_sha,
        reason=stone.reason,
    )


def _check_not_in_production(context: PromotionContext, sha: str) -> None:
    store = context.store
    # Rollbacks first: one that ends between the two has moved production, which is looked at next.
    for version in [semver for semver, named in read_tags(store).tags.semver.items() if named == sha]:
        versioned = context.journal.read(version)
        if versioned is not None and versioned.record.rollback is not None:
            raise Refused(f"{sha} is being put back into production as {version}; run it again when that is finished")
    tags = read_tags(store).tags
    # Both the version that `tags.json` names and the one that readers resolve to: while a promotion is under way they
    # differ, and either may end up in production.
    for semver in {tags.production, find_production(store)} - {None}:
        if semver is not None and tags.semver.get(semver) == sha:
            raise Refused(
                f"{sha} is in production as {semver}; roll back first: lynxgate registry rollback --to <semver>"
            )
