"""Where a promoted version comes from: its eval set, run, training data and baseline, and the same for the version
that the baseline was measured on, down to one whose baseline names no version.

- It is read from the registry's own evidence, which must hold for its promotion; a version that a baseline names and
  the registry never promoted, or one that is its own ancestor, is a failure and no end.
- The hash of the training data is the run's own claim, and the only thing that is asked of MLflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.identity import parse_semver
from lynxgate.ports import RunMetadata, Store
from lynxgate.registry.events import Promotion, as_promotion
from lynxgate.registry.evidence_check import Statement, find_flaws
from lynxgate.registry.layout import evidence_key, journal_key, read_tags
from lynxgate.registry.record import Record
from lynxgate.serving.releases import read_promoted_manifest
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from minieval.contract.report import EvalSetIdentity


@dataclass(frozen=True)
class Generation:
    """One promoted version and what it comes from; ``parent`` is the promoted version its baseline was measured on.

    ``origin_sha`` is the bundle that the baseline was measured on, where the baseline says it.
    """

    semver: str
    canonical_sha: str
    run_id: str
    evidence: str
    eval_set: EvalSetIdentity
    baseline_sha256: str
    origin_sha: str | None
    parent: str | None
    training_data_sha256: str | None


def trace(store: Store, semver: str, facts: RunMetadata | None) -> tuple[Generation, ...]:
    """The generations of ``semver``, the newest first; without ``facts`` no run is asked for its training data.

    Raises:
        CannotJudge: ``semver`` is not promoted, or a run contradicts itself.
        IntegrityFailure: a parent is missing or cyclic, or evidence is not that of its promotion.
        StoreFailure: the registry or MLflow failed.
    """
    generations: list[Generation] = []
    version: str | None = semver
    while version is not None:
        if version in [generation.semver for generation in generations]:
            way = " <- ".join([*(generation.semver for generation in generations), version])
            raise IntegrityFailure(f"{store.location}: {version} is its own ancestor ({way})")
        generations.append(_read_generation(store, version, generations[-1:], facts))
        version = generations[-1].parent
    return tuple(generations)


def _read_generation(store: Store, semver: str, child: list[Generation], facts: RunMetadata | None) -> Generation:
    promotion = _read_promotion(store, semver, child)
    sha = promotion.event.canonical_sha
    key = evidence_key(sha, promotion.evidence)
    stored = store.read(key)
    flaws = (
        ["is missing"] if stored is None else [*find_flaws(stored.data, promotion, read_promoted_manifest(store, sha))]
    )
    if stored is None or flaws:
        raise IntegrityFailure(f"{store.location}/{key}: {flaws[0]}; see lynxgate registry verify")
    statement = parse_document(stored.data, Statement, where=key)
    _, evaluation, baseline = statement.decide()
    source = baseline.source
    return Generation(
        semver=semver,
        canonical_sha=sha,
        run_id=promotion.run_id,
        evidence=promotion.evidence,
        eval_set=evaluation.eval_set,
        baseline_sha256=digest_bytes(statement.predicate.documents.baseline.encode()),
        origin_sha=source.canonical_sha,
        parent=source.semver or _find_version(store, source.canonical_sha, semver),
        training_data_sha256=None if facts is None else facts.read_facts(promotion.run_id).training_data_sha256,
    )


def _read_promotion(store: Store, semver: str, child: list[Generation]) -> Promotion:
    key = journal_key(semver)
    stored = store.read(key)
    record = parse_document(stored.data, Record, where=f"{store.location}/{key}") if stored else None
    promotion = as_promotion(record.event) if record and record.committed and record.event else None
    if promotion is None:
        if not child:
            raise CannotJudge(f"{store.location}: {semver} is not promoted; see lynxgate registry list")
        raise IntegrityFailure(
            f"{store.location}: the baseline of {child[0].semver} was measured on {semver}, "
            "which was never promoted here"
        )
    for origin in [each.origin_sha for each in child if each.origin_sha not in (None, promotion.event.canonical_sha)]:
        raise IntegrityFailure(
            f"{store.location}: the baseline of {child[0].semver} says that {semver} is {origin}, "
            f"and it is {promotion.event.canonical_sha}"
        )
    return promotion


def _find_version(store: Store, sha: str | None, child: str) -> str | None:
    """The last version before ``child`` under which a bundle was promoted; `None` when it never was."""
    named = [version for version, found in read_tags(store).tags.semver.items() if found == sha]
    earlier = [version for version in map(parse_semver, named) if version < parse_semver(child)]
    return str(max(earlier)) if earlier else None
