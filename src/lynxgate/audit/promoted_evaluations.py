"""What promoted versions measured, out of the registry's own evidence: the numbers that a baseline can be moved to.

- Evidence is held against its promotion first, as an auditor does; what does not prove it is an integrity failure.
- A tombstoned bundle is no source, and neither is a version that production went back from.
- Nothing is evaluated here, and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.errors import CannotJudge, IntegrityFailure, Refused
from lynxgate.identity import parse_semver
from lynxgate.ports import Store
from lynxgate.registry.events import as_promotion
from lynxgate.registry.evidence_check import Statement, find_flaws
from lynxgate.registry.layout import evidence_key, journal_key, read_tags
from lynxgate.registry.record import Record
from lynxgate.registry.resolve import find_production
from lynxgate.serving.releases import find_release
from minieval.contract.documents import parse_document
from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class Promoted:
    """A promoted version and the evaluation on which it was promoted."""

    semver: str
    evaluation: Evaluation


def read_promoted(store: Store, semver: str | None = None) -> Promoted:
    """The version that ``semver`` names, or the one in production when it is `None`.

    Raises:
        CannotJudge: it is not promoted, or nothing is in production.
        IntegrityFailure: the registry contradicts itself, or the evidence is not that of the promotion.
        Refused: its bundle is tombstoned.
    """
    release = find_release(store, semver)
    stored = store.read(journal_key(release.semver))
    record = parse_document(stored.data, Record, where=journal_key(release.semver)) if stored else None
    promotion = as_promotion(record.event) if record and record.event else None
    if promotion is None:
        raise IntegrityFailure(f"{store.location}: {release.semver} has no event; see lynxgate registry verify")
    key = evidence_key(release.canonical_sha, promotion.evidence)
    evidence = store.read(key)
    flaw = "is missing" if evidence is None else next(find_flaws(evidence.data, promotion, release.manifest), None)
    if evidence is None or flaw is not None:
        raise IntegrityFailure(f"{store.location}/{key}: {flaw}; see lynxgate registry verify")
    _, evaluation, _ = parse_document(evidence.data, Statement, where=key).decide()
    return Promoted(release.semver, evaluation)


def read_last_promoted(store: Store, count: int) -> tuple[Promoted, ...]:
    """The last ``count`` versions up to the one in production, the newest first; tombstoned ones do not count.

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
                continue
            if len(found) == count:
                return tuple(found)
    raise CannotJudge(
        f"{store.location}: {len(found)} promoted versions lead up to production, and {count} were asked for; "
        f"ask for fewer (--last {len(found)})"
        if found
        else f"{store.location}: nothing is in production; see lynxgate registry list"
    )
