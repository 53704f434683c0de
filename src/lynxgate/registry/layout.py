"""The layout of a registry: the key of each document, the documents `registry.json` and `tags.json`, and their reading.

- The transaction record belongs to `lynxgate.registry.record`, events to `lynxgate.registry.events`, writing to
  `lynxgate.registry.compare_and_swap`. Only `create_registry` writes here.
- `registry.json` gives the registry an identity, with which the chain of events begins and which all evidence names. A
  mark of version 1 has none.
- A version in `tags.json` whose record is not committed yet is not in production: `lynxgate.registry.resolve` decides.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from lynxgate.errors import Conflict, Refused, StoreFailure
from lynxgate.identity import ModelName, SemverText, is_semver, is_sha
from lynxgate.ports import Store, UnprovenStore
from lynxgate.registry.environment import Environment
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.manifest import FORMAT, OLDER_FORMAT, ManifestFormat

REGISTRY_KEY = "registry.json"
TAGS_KEY = "tags.json"
GATES_PREFIX = "gates/"
JOURNAL_PREFIX = "journal/"
ENTRIES_PREFIX = "entries/"
TOMBSTONES_PREFIX = "tombstones/"


def _freeze_versions(versions: Mapping[str, str]) -> Mapping[str, str]:
    """Check every semver and SHA, and freeze the mapping.

    One plain loop, since with thousands of versions this is most of what reading tags costs.
    """
    for semver, sha in versions.items():
        if not is_semver(semver):
            raise ValueError(f"{semver[:80]!r} is not a semver of the form v0.3.1")
        if not is_sha(sha):
            raise ValueError(f"{semver} is {sha[:80]!r}, which is not a SHA-256 (64 hex digits)")
    return MappingProxyType(dict(versions))


RegistryId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class RegistryMark(Document):
    """`registry.json`, the mark that makes a place a registry; ``id`` is random, and a mark of version 1 has none.

    ``manifest_format`` is that of its entries; a registry that names none was started with the older format. ``model``
    is the only model that may enter it; a registry without one takes the candidates of baselines without one.
    """

    schema_: Annotated[Literal["lynxgate.registry/1", "lynxgate.registry/2"], Field(alias="schema")]
    environment: Environment
    id: RegistryId | None = None
    model: ModelName | None = None
    manifest_format: ManifestFormat = OLDER_FORMAT

    @model_validator(mode="after")
    def _has_identity(self) -> RegistryMark:
        if (self.id is not None) != (self.schema_ == "lynxgate.registry/2"):
            raise ValueError("`id` belongs to lynxgate.registry/2, which needs it")
        return self


class Tags(Document):
    """`tags.json`: the canonical SHA of each semver, and the semver in production."""

    schema_: Annotated[Literal["lynxgate.tags/1"], Field(alias="schema")] = "lynxgate.tags/1"
    production: SemverText | None = None
    semver: Annotated[Mapping[str, str], AfterValidator(_freeze_versions), PlainSerializer(dict)] = Field(
        default_factory=dict, validate_default=True
    )

    @cached_property
    def highest(self) -> str | None:
        """The highest semver that is named; `None` when none is."""
        # By numbers, as `Semver` orders; with thousands of versions making objects would take most of the time.
        return max(self.semver, key=lambda semver: tuple(map(int, semver[1:].split("."))), default=None)

    @model_validator(mode="after")
    def _resolve(self) -> Tags:
        if self.production is not None and self.production not in self.semver:
            raise ValueError(f"production is {self.production}, which `semver` does not name")
        return self

    def with_version(self, semver: str, sha: str) -> Tags:
        """Return these tags with ``semver`` added and in production."""
        return Tags.model_validate(
            {"schema": self.schema_, "production": semver, "semver": {**self.semver, semver: sha}}
        )

    def with_production(self, semver: str) -> Tags:
        """Return these tags with production on ``semver``, a version that they name."""
        return Tags.model_validate({"schema": self.schema_, "production": semver, "semver": dict(self.semver)})

    def without_version(self, semver: str, production_before: str | None) -> Tags:
        """Return these tags without ``semver``; only if it was in production, ``production_before`` is again."""
        rest = {key: sha for key, sha in self.semver.items() if key != semver}
        production = production_before if self.production == semver else self.production
        return Tags.model_validate({"schema": self.schema_, "production": production, "semver": rest})


@dataclass(frozen=True)
class TagsRead:
    """`tags.json` as it was read; ``version`` is `None` when there was none yet."""

    tags: Tags
    version: str | None


def journal_key(semver: str) -> str:
    """Return the key of the transaction record of a semver."""
    return f"{JOURNAL_PREFIX}{semver}.json"


def manifest_key(sha: str) -> str:
    """Return the key of the manifest of a promoted bundle."""
    return f"{ENTRIES_PREFIX}{sha}/manifest.json"


def evidence_key(sha: str, evidence_sha: str) -> str:
    """Return the key of one piece of evidence for a bundle."""
    return f"{ENTRIES_PREFIX}{sha}/evidence/{evidence_sha}.json"


def signature_key(sha: str, evidence_sha: str, key_id: str) -> str:
    """Return the key of one signature of a piece of evidence.

    The id of the signing key is part of it: several keys may sign, and a key may be replaced.
    """
    return f"{ENTRIES_PREFIX}{sha}/evidence/{evidence_sha}.{key_id}.dsse.json"


def tombstone_key(sha: str) -> str:
    """Return the key of the tombstone of a bundle."""
    return f"{TOMBSTONES_PREFIX}{sha}.json"


def create_registry(store: Store, environment: Environment, model: str | None = None) -> bool:
    """Mark a place as the registry of ``model`` for ``environment``; return `False` when it already is that.

    Raises:
        Refused: it is marked for another environment or another model.
        StoreFailure: the store failed, or its server ignores the conditions of writes.
    """
    if isinstance(store, UnprovenStore) and read_environment(store) is None:
        store.check_conditional_writes()
    document = {
        "schema": "lynxgate.registry/2",
        "environment": str(environment),
        **({} if model is None else {"model": model}),
        "id": uuid.uuid4().hex,
        "manifest_format": FORMAT,
    }
    try:
        store.create(REGISTRY_KEY, pretty_json(document))
    except Conflict:
        found = read_mark(store)
        if found is None or found.environment != environment:
            named = None if found is None else found.environment
            raise Refused(f"{store.location} is a registry for {named}, not for {environment}") from None
        check_model(found, model, store.location)
        return False
    return True


def read_environment(store: Store) -> Environment | None:
    """Return the environment that the registry is marked for; `None` when there is no registry."""
    mark = read_mark(store)
    return None if mark is None else mark.environment


def read_mark(store: Store) -> RegistryMark | None:
    """Return the mark of the registry; `None` when there is no registry."""
    stored = store.read(REGISTRY_KEY)
    if stored is None:
        return None
    return parse_document(stored.data, RegistryMark, where=f"{store.location}/{REGISTRY_KEY}")


def check_model(mark: RegistryMark, model: str | None, location: str) -> None:
    """Check that a registry is that of ``model``, the name in a baseline; both may have none.

    Raises:
        Refused: it belongs to another model, or one of the two has no name.
    """
    if mark.model == model:
        return
    if mark.model is None:
        raise Refused(
            f"{location} is a registry without the name of a model, and this is model {model}; a maintainer creates "
            f"one with `lynxgate registry init --environment {mark.environment} --model {model} --registry <where>`"
        )
    if model is None:
        raise Refused(
            f"{location} is the registry of model {mark.model}, and the baseline names no model; add "
            f'"model": "{mark.model}" to the baseline if it is about that model'
        )
    raise Refused(f"{location} is the registry of model {mark.model}, and this is model {model}; use its own registry")


def read_origin(store: Store) -> str:
    """Return the SHA-256 of `registry.json`, which stands as the line before the first event.

    Raises:
        StoreFailure: there is no `registry.json`.
    """
    stored = store.read(REGISTRY_KEY)
    if stored is None:
        raise StoreFailure(f"{store.location}: {REGISTRY_KEY} is gone; see lynxgate registry verify")
    return digest_bytes(stored.data)


def read_tags(store: Store) -> TagsRead:
    """Read `tags.json`; empty tags when nothing was ever promoted."""
    stored = store.read(TAGS_KEY)
    if stored is None:
        return TagsRead(Tags(), None)
    return TagsRead(_parse_tags(stored.data, f"{store.location}/{TAGS_KEY}"), stored.version)


@lru_cache(maxsize=2)
def _parse_tags(data: bytes, where: str) -> Tags:
    """Parse the bytes of `tags.json`, which a promotion reads half a dozen times: equal bytes give equal tags."""
    return parse_document(data, Tags, where=where)
