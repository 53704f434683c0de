"""The tombstone of a bundle, `lynxgate.tombstone/1`: its format, and how readers check for one.

- A tombstone is created once and never removed; its reason never changes.
- Its event is announced in it before the event is written, as in the record of a promotion.
- Nothing is written here; see `lynxgate.promotion.tombstones`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from lynxgate.errors import Refused
from lynxgate.ports import Store
from lynxgate.registry.events import Event
from lynxgate.registry.layout import tombstone_key
from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import Name, Sha256


class Tombstone(Document):
    """A bundle that may never be promoted or served (again); ``written`` once its ``event`` is in the index."""

    schema_: Annotated[Literal["lynxgate.tombstone/1"], Field(alias="schema")] = "lynxgate.tombstone/1"
    canonical_sha: Sha256
    reason: Name
    event: Event | None = None
    written: bool = False

    def to_bytes(self) -> bytes:
        """Return the bytes of this tombstone in the registry."""
        return pretty_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def with_changes(self, **changes: Any) -> Tombstone:
        """Return this tombstone with some fields changed."""
        return Tombstone.model_validate({**self.model_dump(by_alias=True), **changes})


@dataclass(frozen=True)
class VersionedTombstone:
    """A tombstone together with the version that it has in the store."""

    tombstone: Tombstone
    version: str


def read_tombstone(store: Store, sha: str) -> VersionedTombstone | None:
    """Read the tombstone of a bundle; `None` when it has none."""
    key = tombstone_key(sha)
    stored = store.read(key)
    if stored is None:
        return None
    return VersionedTombstone(parse_document(stored.data, Tombstone, where=f"{store.location}/{key}"), stored.version)


def check_not_tombstoned(store: Store, sha: str) -> None:
    """Check that a bundle may be promoted or served.

    Raises:
        Refused: it is tombstoned.
    """
    found = read_tombstone(store, sha)
    if found is not None:
        raise Refused(f"{sha} is tombstoned: {found.tombstone.reason}")
