"""Promote a version from one registry to the next, for example from staging to production.

- The next registry decides again, from the documents in the evidence of the first; it believes no verdict of it.
- The model is downloaded from its run and compared with the first registry's manifest, file by file.
- The evidence of the next registry names the first one, its evidence and the end of its index.
- The first registry is only read. It is never one for dev, whose documents may come from any laptop.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lynxgate.candidate.cache import Cache
from lynxgate.candidate.fetch import Notify, fetch
from lynxgate.decision.groups import parse_groups
from lynxgate.errors import CannotJudge, Refused, StoreFailure
from lynxgate.identity import parse_semver
from lynxgate.ports import ModelSource, RegistryStore
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.examine import ExpectedProduction, Request
from lynxgate.promotion.preconditions import check_preconditions
from lynxgate.promotion.promote import Receipt, promote
from lynxgate.registry.events import Event, Kind, Promotion
from lynxgate.registry.layout import read_mark
from lynxgate.registry.promoted import ProvenPromotion, find_promotion, prove, read_promoted_manifest
from lynxgate.registry.record import read_record
from lynxgate.registry.resolve import find_production
from lynxgate.registry.statement import BoundRegistry, Origin
from lynxgate.registry.tombstone import check_not_tombstoned
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from minieval.contract.manifest import Manifest


@dataclass(frozen=True)
class Nominee:
    """A promoted version of a registry as the next one needs it: what was proven, its files, and where it is from."""

    proven: ProvenPromotion
    manifest: Manifest
    origin: Origin


def promote_from(
    source: RegistryStore,
    semver: str,
    context: PromotionContext,
    tracking: ModelSource,
    environ: Mapping[str, str],
    *,
    notify: Notify = lambda _: None,
) -> Receipt:
    """Promote the version ``semver`` of the registry ``source``, as the same version, to the registry of ``context``.

    1. Read the version from the first registry; check its evidence.
    2. Refuse what needs no model: this process, the registry, its model, the semver.
    3. Download the model from its run, and compare it with the manifest.
    4. Promote it, with the documents of that evidence: every check and step of `lynxgate.promotion.promote`.

    Raises:
        CannotJudge: ``source`` is no registry, or the version is not promoted there (exit 3).
        IntegrityFailure: its evidence does not prove it, or the run holds another model (4).
        StoreFailure: a registry or MLflow failed (5).
        Refused: the version was rolled back or tombstoned there, ``source`` is for dev or the same registry, or as
            `lynxgate.promotion.promote.promote` (6).
        NotPassed: the candidate does not pass by this version of the gate (2).
    """
    nominee = nominate(source, semver)
    target = read_mark(context.store)
    if target is not None and target.id is not None and target.id == nominee.origin.registry.id:
        raise Refused(f"{context.store.location} and {source.location} are the same registry; name the next one")
    check_preconditions(context.store, environ, semver, nominee.proven.baseline.model)
    expected = ExpectedProduction(find_production(context.store))
    promotion, bound = nominee.proven.promotion, nominee.proven.statement.predicate
    with tempfile.TemporaryDirectory(prefix="lynxgate-") as folder:
        bundle = Path(folder) / "candidate"
        fetch(
            tracking,
            promotion.run_id,
            bundle,
            Cache(Path(folder) / "cache"),
            expected=nominee.manifest,
            logged_model=bound.promotion.logged_model,
            fresh=True,
            notify=notify,
        )
        groups, lock = bound.documents.groups, bound.documents.model_lock
        request = Request(
            promotion.event.canonical_sha,
            semver,
            bound.documents.evaluation.encode(),
            bound.documents.baseline.encode(),
            bundle,
            expected,
            None if groups is None else parse_groups(groups.encode()),
            logged_model=bound.promotion.logged_model,
            origin=nominee.origin,
            model_lock=None if lock is None else lock.encode(),
        )
        return promote(request, context, tracking, environ)


def nominate(source: RegistryStore, semver: str) -> Nominee:
    """Read a promoted version from a registry, with its evidence checked.

    Raises:
        CannotJudge: it is no registry, or the version is not promoted in it.
        IntegrityFailure: the evidence does not prove the promotion.
        Refused: the registry is for dev, or the version was rolled back, tombstoned or is not finished.
    """
    mark = read_mark(source)
    if mark is None:
        raise CannotJudge(f"{source.location} is not a registry; name the one to promote from")
    if not mark.environment.is_protected or mark.id is None:
        kind = "for dev, whose documents prove nothing" if mark.id is not None else "of version 1, which has no id"
        raise Refused(f"{source.location} is a registry {kind}; promote from another one, such as staging")
    versioned = read_record(source, semver)
    promotion = find_promotion(None if versioned is None else versioned.record)
    if versioned is None or promotion is None:
        raise CannotJudge(f"{source.location}: {semver} is not promoted there; see lynxgate registry list")
    _check_in_index(source, promotion)
    check_not_tombstoned(source, promotion.event.canonical_sha)
    _check_not_rolled_back(source, promotion)
    proven = prove(source, promotion)
    last = source.last()
    if last is None:
        raise StoreFailure(f"{source.location}: its index is empty; see lynxgate registry verify")
    origin = Origin(
        registry=BoundRegistry(environment=mark.environment, id=mark.id),
        evidence=promotion.evidence,
        head=f"{last[0]}:{digest_bytes(last[1])}",
    )
    return Nominee(proven, read_promoted_manifest(source, promotion.event.canonical_sha), origin)


def _check_not_rolled_back(source: RegistryStore, promotion: Promotion) -> None:
    """Check that no rollback left a version behind; one that production went back to later is good again."""
    semver, production = promotion.semver, find_production(source)
    back = False
    # A promotion after the rollback moves production above the version again: the events tell the two apart.
    for line in itertools.islice(source.lines(), promotion.event.number, None):
        event = parse_document(line, Event, where=f"{source.location}/index")
        if event.kind is not Kind.ROLLED_BACK or event.semver is None or event.production_before is None:
            continue
        low, version, high = map(parse_semver, (event.semver, semver, event.production_before))
        back = low < version if version <= high else back
    # Of a rollback that is not finished the event may be missing.
    if back or production is None or parse_semver(semver) > parse_semver(production):
        raise Refused(f"{source.location}: {semver} was rolled back; {production or 'nothing'} is in production there")


def _check_in_index(source: RegistryStore, promotion: Promotion) -> None:
    """Check that the event of a promotion is a line of the index: only then it is part of the signed history."""
    line = source.event(promotion.event.number)
    if line is None or line != promotion.event.line():
        raise Refused(
            f"{source.location}: the promotion of {promotion.semver} is not finished; "
            "run `lynxgate registry recover` there"
        )
