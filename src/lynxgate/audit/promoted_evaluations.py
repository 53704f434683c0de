"""Read the evaluations of promoted versions from the registry's own evidence, so that a baseline can move to them.

- Evidence is first checked against its promotion; evidence that does not prove it is an integrity failure.
- A tombstoned bundle is not a source, and neither is a version above production, from which it was rolled back.
- Nothing is evaluated here, and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure, Refused
from lynxgate.identity import parse_semver
from lynxgate.ports import Store
from lynxgate.registry.layout import read_tags
from lynxgate.registry.promoted import find_promotion, prove
from lynxgate.registry.record import read_record
from lynxgate.registry.resolve import find_production
from lynxgate.serving.releases import find_release
from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class Promoted:
    """A promoted version and the evaluation that it was promoted on."""

    semver: str
    evaluation: Evaluation


def read_promoted(store: Store, semver: str | None = None) -> Promoted:
    """Read the version ``semver``, or the one in production when it is `None`.

    Raises:
        CannotJudge: it is not promoted, or nothing is in production.
        IntegrityFailure: the registry contradicts itself, or the evidence does not prove the promotion.
        Refused: its bundle is tombstoned.
    """
    release = find_release(store, semver)
    versioned = read_record(store, release.semver)
    promotion = None if versioned is None else find_promotion(versioned.record)
    if promotion is None:
        raise IntegrityFailure(f"{store.location}: {release.semver} has no event; see lynxgate registry verify")
    return Promoted(release.semver, prove(store, promotion).evaluation)


def read_last_promoted(store: Store, count: int) -> tuple[Promoted, ...]:
    """Read the last ``count`` versions up to the one in production, the newest first, without tombstoned ones.

    Raises:
        CannotJudge: there are fewer.
        IntegrityFailure: as `read_promoted`.
    """
    production = find_production(store)
    found: list[Promoted] = []
    if production is not None:
        named = map(parse_semver, read_tags(store).tags.semver)
        for version in sorted((each for each in named if each <= parse_semver(production)), reverse=True):
            try:
                found.append(read_promoted(store, str(version)))
            except Refused:
                continue  # tombstoned: the next older one takes its place
            if len(found) == count:
                return tuple(found)
    if not found:
        raise CannotJudge(f"{store.location}: nothing is in production; see lynxgate registry list")
    raise CannotJudge(
        f"{store.location}: only {len(found)} promoted versions up to production, and {count} are needed; "
        f"use --last {len(found)}"
    )
