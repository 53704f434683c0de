"""The lineage of a promoted version: its eval set, run, training data and baseline, and the version before it.

The version before is the one that the baseline was measured on; the lineage ends where a baseline names none.

- Everything is read from the registry's own evidence, after it was checked against its promotion. A baseline that
  names a version which was never promoted here, or a version that is its own ancestor, is a failure, not an end.
- The hash of the training data is the run's own claim, and the only thing that MLflow is queried for.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.identity import parse_semver
from lynxgate.ports import RunMetadata, Store
from lynxgate.registry.events import Promotion
from lynxgate.registry.layout import read_tags
from lynxgate.registry.promoted import find_promotion, prove
from lynxgate.registry.record import read_record
from minieval.contract.report import EvalSetIdentity


@dataclass(frozen=True)
class Generation:
    """One promoted version and its origins; ``parent`` is the promoted version that its baseline was measured on.

    ``origin_sha`` is the bundle that the baseline was measured on, where the baseline names it. Hashes are hex digits.
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
    """Return the generations of ``semver``, the newest first; without ``facts``, MLflow is not queried.

    Raises:
        CannotJudge: ``semver`` is not promoted, or the claims of a run contradict each other.
        IntegrityFailure: a parent is missing or its own ancestor, or evidence does not prove its promotion.
        StoreFailure: the registry or MLflow failed.
    """
    generations: list[Generation] = []
    version: str | None = semver
    while version is not None:
        if version in [generation.semver for generation in generations]:
            path = " <- ".join([*(generation.semver for generation in generations), version])
            raise IntegrityFailure(f"{store.location}: {version} is its own ancestor ({path})")
        generations.append(_read_generation(store, version, generations[-1:], facts))
        version = generations[-1].parent
    return tuple(generations)


def _read_generation(store: Store, semver: str, child: list[Generation], facts: RunMetadata | None) -> Generation:
    promotion = _read_promotion(store, semver, child)
    proven = prove(store, promotion)
    source = proven.baseline.source
    return Generation(
        semver=semver,
        canonical_sha=promotion.event.canonical_sha,
        run_id=promotion.run_id,
        evidence=promotion.evidence,
        eval_set=proven.evaluation.eval_set,
        baseline_sha256=proven.baseline_sha256,
        origin_sha=source.canonical_sha,
        parent=source.semver or _find_version(store, source.canonical_sha, semver),
        training_data_sha256=None if facts is None else facts.read_facts(promotion.run_id).training_data_sha256,
    )


def _read_promotion(store: Store, semver: str, child: list[Generation]) -> Promotion:
    versioned = read_record(store, semver)
    promotion = None if versioned is None else find_promotion(versioned.record)
    if promotion is None:
        if not child:
            raise CannotJudge(f"{store.location}: {semver} is not promoted; see lynxgate registry list")
        raise IntegrityFailure(
            f"{store.location}: the baseline of {child[0].semver} was measured on {semver}, "
            "which was never promoted here"
        )
    for origin in [each.origin_sha for each in child if each.origin_sha not in (None, promotion.event.canonical_sha)]:
        raise IntegrityFailure(
            f"{store.location}: the baseline of {child[0].semver} names {origin} as {semver}, "
            f"which is {promotion.event.canonical_sha}"
        )
    return promotion


def _find_version(store: Store, sha: str | None, child: str) -> str | None:
    """Return the last version before ``child`` as which a bundle was promoted; `None` when it never was."""
    named = [version for version, found in read_tags(store).tags.semver.items() if found == sha]
    earlier = [version for version in map(parse_semver, named) if version < parse_semver(child)]
    return str(max(earlier)) if earlier else None
