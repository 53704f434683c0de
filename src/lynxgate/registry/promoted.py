"""From a record to its checked evidence: record, promotion, manifest, evidence, decision.

- The one place that reads evidence for a purpose: lineage, rebaselining and serving take from here what was proven.
- Evidence with any flaw is refused; `lynxgate.audit.verify` lists all flaws instead.
- It only reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.decision.baseline import Baseline
from lynxgate.errors import IntegrityFailure
from lynxgate.ports import Store
from lynxgate.registry.events import Promotion, as_promotion
from lynxgate.registry.evidence_check import find_flaws, find_strange_ties
from lynxgate.registry.layout import evidence_key, manifest_key, read_mark
from lynxgate.registry.record import Record
from lynxgate.registry.statement import Statement
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from minieval.contract.manifest import Manifest
from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class ProvenPromotion:
    """A promotion whose evidence proves it, and the two documents on which it was decided.

    ``baseline_sha256`` is that of the exact bytes of the baseline; ``statement`` is the evidence itself.
    """

    promotion: Promotion
    evaluation: Evaluation
    baseline: Baseline
    baseline_sha256: str
    statement: Statement


def find_promotion(record: Record | None) -> Promotion | None:
    """Return the promotion that a record has committed; `None` when it has committed none."""
    if record is None or not record.committed or record.event is None:
        return None
    return as_promotion(record.event)


def read_promoted_manifest(store: Store, sha: str) -> Manifest:
    """Read the manifest that the registry keeps for a bundle.

    Raises:
        IntegrityFailure: it is missing, or it is not the manifest of that bundle.
    """
    key = manifest_key(sha)
    stored = store.read(key)
    if stored is None or digest_bytes(stored.data) != sha:
        problem = "is missing" if stored is None else f"hashes to {digest_bytes(stored.data)}"
        raise IntegrityFailure(f"{store.location}/{key} {problem}; see lynxgate registry verify")
    return parse_document(stored.data, Manifest, where=f"{store.location}/{key}")


def prove(store: Store, promotion: Promotion) -> ProvenPromotion:
    """Check the evidence of a promotion and decide again from it.

    Raises:
        IntegrityFailure: manifest or evidence is missing, or it does not prove the promotion in this registry.
    """
    sha = promotion.event.canonical_sha
    key = evidence_key(sha, promotion.evidence)
    stored = store.read(key)
    if stored is None:
        raise _flawed(store, key, "is missing")
    for flaw in find_flaws(stored.data, promotion, read_promoted_manifest(store, sha)):
        raise _flawed(store, key, flaw)  # the first one is reason enough; `verify` names them all
    # Evidence that was copied from another registry proves a promotion there, not here.
    mark = read_mark(store)
    for tie in () if mark is None else find_strange_ties(stored.data, promotion, None, mark):
        raise _flawed(store, key, tie)
    statement = parse_document(stored.data, Statement, where=key)
    _, evaluation, baseline = statement.decide()
    sha256 = digest_bytes(statement.predicate.documents.baseline.encode())
    return ProvenPromotion(promotion, evaluation, baseline, sha256, statement)


def _flawed(store: Store, key: str, flaw: str) -> IntegrityFailure:
    return IntegrityFailure(f"{store.location}/{key}: {flaw}; see lynxgate registry verify")
