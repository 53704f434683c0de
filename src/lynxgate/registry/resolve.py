"""Resolve a registry as its readers do: a promotion has happened when it is committed, and not before."""

from __future__ import annotations

from lynxgate.errors import IntegrityFailure
from lynxgate.ports import Store
from lynxgate.registry.layout import read_tags
from lynxgate.registry.record import read_record


def find_production(store: Store) -> str | None:
    """Return the semver in production; `None` when there is none.

    `tags.json` is written before the commit, so it may name a version that is not committed. Such a version resolves
    to the one before it. A reader therefore sees the state before a promotion or after it, never between.

    Raises:
        IntegrityFailure: `tags.json` names a version that has no record.
    """
    production = read_tags(store).tags.production
    if production is None:
        return None
    versioned = read_record(store, production)
    if versioned is None:
        raise IntegrityFailure(
            f"{store.location}: tags.json names {production}, which has no record; see lynxgate registry verify"
        )
    return production if versioned.record.committed else versioned.record.production_before
