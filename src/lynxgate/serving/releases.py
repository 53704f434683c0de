"""The serving side: which bundle a version is, by the registry alone, and that bundle brought and held against it.

- A version is served when `tags.json` names it and its record is committed, with the same SHA in both.
- A tombstoned bundle is not served, whatever names it.
- What is placed hashes to the manifest that the registry keeps; no reply of MLflow is believed for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.ports import Store
from lynxgate.promotion.tombstones import check_not_tombstoned
from lynxgate.registry.layout import TAGS_KEY, journal_key, manifest_key, read_tags
from lynxgate.registry.record import Record
from lynxgate.registry.resolve import find_production
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from minieval.contract.manifest import Manifest


@dataclass(frozen=True)
class Release:
    """A promoted version: its bundle, by SHA and file by file, and the run that holds it."""

    semver: str
    run_id: str
    manifest: Manifest

    @property
    def canonical_sha(self) -> str:
        """The bundle's canonical SHA."""
        return self.manifest.canonical_sha


def find_release(store: Store, semver: str | None) -> Release:
    """The release that ``semver`` names, or the one in production when it is `None`.

    Raises:
        CannotJudge: the version is not promoted, or nothing is in production.
        IntegrityFailure: tags, record and manifest do not agree.
        Refused: its bundle is tombstoned.
    """
    version = semver or find_production(store)
    if version is None:
        raise CannotJudge(f"{store.location}: nothing is in production; see lynxgate registry list")
    record = _read_promoted(store, version)
    check_not_tombstoned(store, record.canonical_sha)
    return Release(version, record.mlflow_run_id, read_promoted_manifest(store, record.canonical_sha))


def read_promoted_manifest(store: Store, sha: str) -> Manifest:
    """The manifest that the registry keeps for a bundle.

    Raises:
        IntegrityFailure: it is missing, or is another's.
    """
    key = manifest_key(sha)
    stored = store.read(key)
    if stored is None or digest_bytes(stored.data) != sha:
        problem = "is missing" if stored is None else f"hashes to {digest_bytes(stored.data)}"
        raise IntegrityFailure(f"{store.location}/{key} {problem}; see lynxgate registry verify")
    return parse_document(stored.data, Manifest, where=f"{store.location}/{key}")


def _read_promoted(store: Store, semver: str) -> Record:
    tags = read_tags(store).tags
    key = journal_key(semver)
    stored = store.read(key)
    record = parse_document(stored.data, Record, where=f"{store.location}/{key}") if stored else None
    if record is None or not record.committed:
        # A version that tags.json names while its record is undecided is not promoted yet.
        state = f" (its record is {record.state})" if record else ""
        raise CannotJudge(f"{store.location}: {semver} is not promoted{state}; see lynxgate registry list")
    if tags.semver.get(semver) != record.canonical_sha:
        raise IntegrityFailure(
            f"{store.location}: {TAGS_KEY} says that {semver} is {tags.semver.get(semver, 'nothing')}, "
            f"its record says {record.canonical_sha}; see lynxgate registry verify"
        )
    return record
