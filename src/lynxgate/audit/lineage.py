"""The lineage of a promoted version: its eval set, run, training data and baseline, and the version before it.

The version before is the one that the baseline was measured on. The lineage ends where a baseline names none, names a
version that the registry does not know, or was measured on the very bundle or version that was promoted: a first
baseline is made of a model that no gate has promoted yet.

- Everything is read from the registry's own evidence, after it was checked against its promotion. A baseline that
  names a version as another bundle than the registry has, or versions that are ancestors of each other, are failures.
- The hash of the training data is the run's own claim, and the only thing that MLflow is queried for.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.decision.baseline import Source
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.identity import parse_semver
from lynxgate.ports import RunMetadata, Store
from lynxgate.registry.events import Promotion
from lynxgate.registry.layout import read_tags
from lynxgate.registry.promoted import find_promotion, prove
from lynxgate.registry.record import read_record
from lynxgate.registry.statement import Origin
from minieval.contract.report import EvalSetIdentity


@dataclass(frozen=True)
class Generation:
    """One promoted version and its origins; ``parent`` is the promoted version that its baseline was measured on.

    ``origin_sha`` and ``origin_semver`` are the bundle and version that the baseline says it was measured on, where it
    names them; without a ``parent`` the lineage ends there. ``promoted_from`` is the registry that it was promoted
    from, if any. Hashes are hex digits.
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
    origin_semver: str | None = None
    promoted_from: Origin | None = None


def trace(store: Store, semver: str, facts: RunMetadata | None) -> tuple[Generation, ...]:
    """Return the generations of ``semver``, the newest first; without ``facts``, MLflow is not queried.

    Raises:
        CannotJudge: ``semver`` is not promoted, or the claims of a run contradict each other.
        IntegrityFailure: a parent is another bundle than its child names, or its own ancestor; or evidence does not
            prove its promotion.
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
    source, sha = proven.baseline.source, promotion.event.canonical_sha
    return Generation(
        semver=semver,
        canonical_sha=sha,
        run_id=promotion.run_id,
        evidence=promotion.evidence,
        eval_set=proven.evaluation.eval_set,
        baseline_sha256=proven.baseline_sha256,
        origin_sha=source.canonical_sha,
        parent=None if source.canonical_sha == sha else _find_parent(store, source, semver),
        training_data_sha256=None if facts is None else facts.read_facts(promotion.run_id).training_data_sha256,
        origin_semver=source.semver,
        promoted_from=proven.statement.predicate.promotion.origin,
    )


def _read_promotion(store: Store, semver: str, child: list[Generation]) -> Promotion:
    versioned = read_record(store, semver)
    promotion = None if versioned is None else find_promotion(versioned.record)
    if promotion is None:
        # Only the first version: `_find_parent` names no version that is not promoted.
        raise CannotJudge(f"{store.location}: {semver} is not promoted; see lynxgate registry list")
    for origin in [each.origin_sha for each in child if each.origin_sha not in (None, promotion.event.canonical_sha)]:
        raise IntegrityFailure(
            f"{store.location}: the baseline of {child[0].semver} names {origin} as {semver}, "
            f"which is {promotion.event.canonical_sha}"
        )
    return promotion


def _find_parent(store: Store, source: Source, child: str) -> str | None:
    """Return the promoted version that a baseline was measured on; `None` where the registry has none."""
    if source.semver is None:
        return _find_version(store, source.canonical_sha, child)
    # The version that is promoted cannot be the one that its baseline was measured on before.
    if source.semver == child:
        return None
    versioned = read_record(store, source.semver)
    return None if versioned is None or find_promotion(versioned.record) is None else source.semver


def _find_version(store: Store, sha: str | None, child: str) -> str | None:
    """Return the last version before ``child`` as which a bundle was promoted; `None` when it never was."""
    named = [version for version, found in read_tags(store).tags.semver.items() if found == sha]
    earlier = [version for version in map(parse_semver, named) if version < parse_semver(child)]
    return str(max(earlier)) if earlier else None
