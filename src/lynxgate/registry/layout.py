"""A registry's documents and how a reader resolves them: what is promoted, what is in production.

Owns the keys of a registry and the documents under them, `registry.json` and `tags.json`, and the reading of
both; the transaction record is `lynxgate.registry.record`'s, events are `lynxgate.registry.events`'s.

- `tags.json` is written whole, by compare-and-swap; every written version differs from every other in its
  `_comment`, so that a swap against a version read long ago cannot succeed by accident (ABA).
- A reader that follows `current` sees the state before a promotion or the one after it, never between: a
  version in `tags.json` whose record is not yet decided resolves to the version that record found.
- Nothing here writes but `create_registry` and `change_tags`.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.identity import SemverText, is_semver, is_sha
from lynxgate.ports import RegistryStore, Store, UnprovenStore
from minieval.contract.documents import Document, parse_document, pretty_json

REGISTRY_KEY = "registry.json"
TAGS_KEY = "tags.json"
_SWAPS = 50  # lost compare-and-swaps in a row before we give up: 64 writers were seen to need fewer


class Environment(StrEnum):
    """What a registry is for; a registry is marked once and never changes."""

    PRODUCTION = "production"
    DEV = "dev"


def _freeze_versions(versions: Mapping[str, str]) -> Mapping[str, str]:
    """Check every semver and SHA in one loop: with thousands of versions this is most of what reading tags costs."""
    for semver, sha in versions.items():
        if not is_semver(semver):
            raise ValueError(f"{semver[:80]!r} is not a semver of the form v0.3.1")
        if not is_sha(sha):
            raise ValueError(f"{semver} is {sha[:80]!r}, which is not a SHA-256 (64 hex digits)")
    return MappingProxyType(dict(versions))


class RegistryMark(Document):
    """`registry.json`."""

    schema_: Annotated[Literal["lynxgate.registry/1"], Field(alias="schema")] = "lynxgate.registry/1"
    environment: Annotated[Environment, Field(strict=False)]


class Tags(Document):
    """`tags.json`: semver to canonical SHA, and the semver in production."""

    schema_: Annotated[Literal["lynxgate.tags/1"], Field(alias="schema")] = "lynxgate.tags/1"
    production: SemverText | None = None
    semver: Annotated[Mapping[str, str], AfterValidator(_freeze_versions), PlainSerializer(dict)] = Field(
        default_factory=dict, validate_default=True
    )

    @model_validator(mode="after")
    def _resolve(self) -> Tags:
        if self.production is not None and self.production not in self.semver:
            raise ValueError(f"production is {self.production}, which `semver` does not name")
        return self

    def with_version(self, semver: str, sha: str) -> Tags:
        """These tags with ``semver`` added and in production."""
        return Tags.model_validate(
            {"schema": self.schema_, "production": semver, "semver": {**self.semver, semver: sha}}
        )

    def with_production(self, semver: str) -> Tags:
        """These tags with production on a version they name."""
        return Tags.model_validate({"schema": self.schema_, "production": semver, "semver": dict(self.semver)})

    def without_version(self, semver: str, production_before: str | None) -> Tags:
        """These tags without ``semver``; production goes back only if it was ``semver``."""
        rest = {key: sha for key, sha in self.semver.items() if key != semver}
        production = production_before if self.production == semver else self.production
        return Tags.model_validate({"schema": self.schema_, "production": production, "semver": rest})


@dataclass(frozen=True)
class TagsRead:
    """`tags.json` as it was read; ``version`` is `None` when there was none yet."""

    tags: Tags
    version: str | None


def journal_key(semver: str) -> str:
    """Where the transaction record of a semver lives."""
    return f"journal/{semver}.json"


def manifest_key(sha: str) -> str:
    """Where the manifest of a promoted bundle lives."""
    return f"entries/{sha}/manifest.json"


def evidence_key(sha: str, evidence_sha: str) -> str:
    """Where one piece of evidence for a bundle lives."""
    return f"entries/{sha}/evidence/{evidence_sha}.json"


def signature_key(sha: str, evidence_sha: str, key_id: str) -> str:
    """Where one key's signature of a piece of evidence lives: several keys may sign, and a key may be replaced."""
    return f"entries/{sha}/evidence/{evidence_sha}.{key_id}.dsse.json"


def tombstone_key(sha: str) -> str:
    """Where it is said that a bundle may never be promoted (again)."""
    return f"tombstones/{sha}.json"


def create_registry(store: Store, environment: Environment) -> bool:
    """Mark an empty place as a registry; `False` when it was so marked already.

    Raises:
        Refused: when it is marked for the other environment.
        StoreFailure: the place cannot keep two writers apart.
    """
    if isinstance(store, UnprovenStore) and read_environment(store) is None:
        store.check_conditional_writes()
    document = {"schema": "lynxgate.registry/1", "environment": environment.value}
    try:
        store.create(REGISTRY_KEY, pretty_json(document))
    except Conflict:
        found = read_environment(store)
        if found is not environment:
            raise Refused(f"{store.location} is a registry for {found}, not for {environment}") from None
        return False
    return True


def read_environment(store: Store) -> Environment | None:
    """What the registry is marked for; `None` when there is no registry there."""
    stored = store.read(REGISTRY_KEY)
    if stored is None:
        return None
    return parse_document(stored.data, RegistryMark, where=f"{store.location}/{REGISTRY_KEY}").environment


def read_tags(store: Store) -> TagsRead:
    """`tags.json` now; empty tags when nothing was ever promoted."""
    stored = store.read(TAGS_KEY)
    if stored is None:
        return TagsRead(Tags(), None)
    return TagsRead(_parse_tags(stored.data, f"{store.location}/{TAGS_KEY}"), stored.version)


@lru_cache(maxsize=2)
def _parse_tags(data: bytes, where: str) -> Tags:
    """A promotion reads the same bytes half a dozen times; what they say cannot change."""
    return parse_document(data, Tags, where=where)


def change_tags(store: RegistryStore, owner: str, change: Callable[[Tags], Tags], guard: Callable[[], None]) -> None:
    """Apply ``change`` to `tags.json` by compare-and-swap, reading again after each lost one.

    ``guard`` runs between the reading and the swap; raising there ends it. A guard that checks that our record is
    still ours makes the swap safe against our having been asleep: whoever takes a record over changes `tags.json`
    next, so a swap that began before cannot succeed after.

    Raises:
        StoreFailure: the store failed, or too many swaps were lost.
    """
    for attempt in range(_SWAPS):
        before = read_tags(store)
        after = change(before.tags)
        guard()
        data = _tags_bytes(after, owner)
        try:
            put(store, TAGS_KEY, data, before.version)
            return
        except Conflict:
            time.sleep(random.uniform(0, 0.01 * min(attempt + 1, 10)))  # noqa: S311 - jitter, not a secret
    raise StoreFailure(f"{store.location}: {TAGS_KEY} changed under us {_SWAPS} times in a row; run it again")


def put(store: Store, key: str, data: bytes, expected: str | None) -> str:
    """Create (``expected`` is `None`) or swap a key, and find out what happened when the answer was lost.

    ``data`` must be unlike anything another writer would write, or it does not matter who wrote it.

    Raises:
        Conflict: somebody else's bytes are there.
        StoreFailure: the store failed; `OutcomeUnknown` when even looking did not tell.
    """
    for last in (False, False, True):
        try:
            return store.create(key, data) if expected is None else store.replace(key, data, expected)
        except OutcomeUnknown as unknown:
            try:
                found = store.read(key)
            except StoreFailure as failure:
                raise unknown from failure
            if found is not None and found.data == data:
                return found.version
            if (found.version if found is not None else None) != expected:
                raise Conflict(f"{store.location}/{key} was changed by somebody else") from unknown
            if last:
                raise
        except Conflict:
            # An earlier try of ours, or of the client below us, may have been applied and its answer lost.
            found = store.read(key)
            if found is not None and found.data == data:
                return found.version
            raise
    raise AssertionError("unreachable")


def put_once(store: Store, key: str, data: bytes) -> None:
    """Write a key that never changes; it may be there already.

    Raises:
        IntegrityFailure: other bytes are there.
        StoreFailure: the store failed.
    """
    try:
        put(store, key, data, None)
    except Conflict as error:
        raise IntegrityFailure(
            f"{store.location}/{key} holds other bytes than it must; see lynxgate registry verify"
        ) from error


def _tags_bytes(tags: Tags, owner: str) -> bytes:
    return pretty_json(
        {
            "_comment": f"write {uuid.uuid4().hex} by {owner}",
            "schema": tags.schema_,
            "production": tags.production,
            "semver": dict(tags.semver),
        }
    )
