"""Resolve a registry as its readers do: a promotion has happened when it is committed, and not before."""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import IntegrityFailure
from lynxgate.ports import Store
from lynxgate.registry.events import Event
from lynxgate.registry.layout import read_tags
from lynxgate.registry.record import read_record


@dataclass(frozen=True)
class Production:
    """The version in production, `None` when there is none; ``closed`` when nothing on its record is unfinished.

    The events of a closed version are in the index: what follows it may write its own. ``event`` is that of its
    promotion, where its record was read. ``highest`` is the highest semver that was ever promoted.
    """

    semver: str | None
    closed: bool
    event: Event | None = None
    highest: str | None = None


def find_production(store: Store) -> str | None:
    """Return the semver in production; `None` when there is none.

    Raises:
        IntegrityFailure: as `read_production`.
    """
    return read_production(store).semver


def read_production(store: Store) -> Production:
    """Return the version in production, and whether what made it so is finished.

    `tags.json` is written before the commit, so it may name a version that is not committed. Such a version resolves
    to the one before it. A reader therefore sees the state before a promotion or after it, never between.

    Raises:
        IntegrityFailure: `tags.json` names a version that has no record.
    """
    tags = read_tags(store).tags
    production = tags.production
    if production is None:
        return Production(None, closed=True)
    versioned = read_record(store, production)
    if versioned is None:
        raise IntegrityFailure(
            f"{store.location}: tags.json names {production}, which has no record; see lynxgate registry verify"
        )
    if versioned.record.committed:
        return Production(
            production, closed=not versioned.record.unfinished, event=versioned.record.event, highest=tags.highest
        )
    # A promotion starts only when the version before it is closed (`lynxgate.promotion.promote.claim`).
    before = versioned.record.production_before
    return Production(before, closed=True, highest=tags.without_version(production, before).highest)
