"""Find the release that a semver names: which bundle, which run, which files, by the registry alone.

- A version is served when `tags.json` names it and its record is committed, with the same SHA in both.
- A tombstoned bundle is not served, even where `tags.json` names it.
- The manifest comes from the registry and hashes to the SHA; no reply of MLflow is trusted for that.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.ports import Store
from lynxgate.registry.layout import TAGS_KEY, read_tags
from lynxgate.registry.promoted import read_promoted_manifest
from lynxgate.registry.record import Record, read_record
from lynxgate.registry.resolve import find_production
from lynxgate.registry.tombstone import check_not_tombstoned
from minieval.contract.manifest import FORMAT, Manifest


@dataclass(frozen=True)
class Release:
    """A promoted version: the manifest of its bundle, and its MLflow run, and its name there where it has one."""

    semver: str
    run_id: str
    manifest: Manifest
    logged_model: str | None = None

    @property
    def canonical_sha(self) -> str:
        """The bundle's canonical SHA."""
        return self.manifest.canonical_sha


def find_release(store: Store, semver: str | None) -> Release:
    """Find the release that ``semver`` names, or the one in production when it is `None`.

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
    manifest = read_promoted_manifest(store, record.canonical_sha)
    if manifest.format != FORMAT:
        raise CannotJudge(
            f"{version} was promoted in the format {manifest.format}, and bundles are placed in {FORMAT}; "
            "promote it again, in a new registry"
        )
    return Release(version, record.mlflow_run_id, manifest, record.logged_model)


def _read_promoted(store: Store, semver: str) -> Record:
    tags = read_tags(store).tags
    versioned = read_record(store, semver)
    record = None if versioned is None else versioned.record
    if record is None or not record.committed:
        # `tags.json` is written before the commit: a version that it names may not be promoted yet.
        state = f" (its record is {record.state})" if record else ""
        raise CannotJudge(f"{store.location}: {semver} is not promoted{state}; see lynxgate registry list")
    if tags.semver.get(semver) != record.canonical_sha:
        raise IntegrityFailure(
            f"{store.location}: {semver} is {tags.semver.get(semver, 'missing')} in {TAGS_KEY}, "
            f"and {record.canonical_sha} in its record; see lynxgate registry verify"
        )
    return record
