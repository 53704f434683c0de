"""Tombstones: a bundle that may never be promoted (again), and why. Nothing is deleted.

- A tombstone is created once; from then on no promotion of that bundle commits: a promotion looks for one before it
  starts and again after its `tags.json`, and whoever tombstones looks at production again after creating it.
- Its event is announced in it by compare-and-swap, so however many write it, it is in the index once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lynxgate.errors import Conflict, Refused, StoreFailure
from lynxgate.ports import RegistryStore, Store
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.promotion.steps import PromotionContext, find_hint, next_event, write_event
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.layout import put, read_environment, read_tags, tombstone_key
from lynxgate.registry.resolve import find_production
from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import Name, Sha256

_SWAPS = 50


class Tombstone(Document):
    """`lynxgate.tombstone/1`; ``written`` once the index has its event."""

    schema_: Annotated[Literal["lynxgate.tombstone/1"], Field(alias="schema")] = "lynxgate.tombstone/1"
    canonical_sha: Sha256
    reason: Name
    event: Event | None = None
    written: bool = False

    def to_bytes(self) -> bytes:
        """The bytes of this tombstone in the registry."""
        return pretty_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def with_changes(self, **changes: Any) -> Tombstone:
        """This tombstone with some fields changed."""
        return Tombstone.model_validate({**self.model_dump(by_alias=True), **changes})


def read_tombstone(store: Store, sha: str) -> tuple[Tombstone, str] | None:
    """The tombstone of a bundle and its version in the store, or `None`."""
    key = tombstone_key(sha)
    stored = store.read(key)
    if stored is None:
        return None
    return parse_document(stored.data, Tombstone, where=f"{store.location}/{key}"), stored.version


def check_not_tombstoned(store: Store, sha: str) -> None:
    """Make sure that a bundle may be promoted or served.

    Raises:
        Refused: it is tombstoned.
    """
    if found := read_tombstone(store, sha):
        raise Refused(f"{sha} is tombstoned: {found[0].reason}")


def tombstone(sha: str, reason: str, context: PromotionContext, environ: Mapping[str, str]) -> Tombstone:
    """Tombstone a bundle, once; the tombstone as it stands, an older one's reason included.

    Raises:
        Refused: not authorised, or the bundle is in production.
        StoreFailure: the registry failed; run it again to end what was begun.
    """
    check_registry(authorise(environ), read_environment(context.store), context.store.location)
    if read_tombstone(context.store, sha) is None:
        _check_not_in_production(context.store, sha)
        begun = Tombstone(canonical_sha=sha, reason=reason)
        with contextlib.suppress(Conflict):  # somebody else tombstones it too: theirs stands, and is finished below
            put(context.store, tombstone_key(sha), begun.to_bytes(), None)
    ended = finish_tombstone(context, sha)
    _check_not_in_production(context.store, sha)
    return ended


def finish_tombstone(context: PromotionContext, sha: str) -> Tombstone:
    """Write the event of a tombstone that is there, and mark it written; again is the same.

    Raises:
        StoreFailure: the registry failed, or too many swaps were lost.
    """
    for _ in range(_SWAPS):
        found = read_tombstone(context.store, sha)
        if found is None:
            break
        stone, version = found
        if stone.written:
            return stone
        if stone.event is None or not write_event(context.store, stone.event):
            changed = stone.with_changes(event=_announce(context, stone).to_tree())
        else:
            changed = stone.with_changes(written=True)
        try:
            put(context.store, tombstone_key(sha), changed.to_bytes(), version)
        except Conflict:
            continue  # somebody else is finishing it as well
    raise StoreFailure(f"{context.store.location}: the tombstone of {sha} could not be finished; run it again")


def _announce(context: PromotionContext, stone: Tombstone) -> Event:
    production = find_production(context.store)
    return next_event(
        context.store,
        find_hint(context, production),
        kind=Kind.TOMBSTONED,
        canonical_sha=stone.canonical_sha,
        reason=stone.reason,
    )


def _check_not_in_production(store: RegistryStore, sha: str) -> None:
    tags = read_tags(store).tags
    for semver in {tags.production, find_production(store)} - {None}:
        if semver is not None and tags.semver.get(semver) == sha:
            raise Refused(
                f"{sha} is in production as {semver}; roll back first: lynxgate registry rollback --to <semver>"
            )
