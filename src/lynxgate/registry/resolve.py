"""How a reader resolves a registry: a promotion has happened when it is committed, and not before."""

from __future__ import annotations

from lynxgate.errors import IntegrityFailure
from lynxgate.ports import Store
from lynxgate.registry.layout import journal_key, read_tags
from lynxgate.registry.record import Record
from minieval.contract.documents import parse_document


def find_production(store: Store) -> str | None:
    """The semver in production; a promotion that is not committed resolves to the version before it."""
    production = read_tags(store).tags.production
    if production is None:
        return None
    key = journal_key(production)
    stored = store.read(key)
    if stored is None:
        raise IntegrityFailure(
            f"{store.location}: tags.json names {production}, which has no record; see lynxgate registry verify"
        )
    record = parse_document(stored.data, Record, where=f"{store.location}/{key}")
    return production if record.committed else record.production_before
