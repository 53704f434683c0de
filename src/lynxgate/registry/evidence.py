"""Build the evidence of a promotion: a `Statement` with the verdict and the documents from which it follows.

- Evidence is stored under the SHA-256 of its own bytes and never changes.
- Nothing is written here; see `lynxgate.promotion.promote.claim`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate import __version__
from lynxgate.decision.compare import Verdict
from lynxgate.decision.groups import Groups
from lynxgate.decision.verdict import Gate
from lynxgate.registry.layout import RegistryMark
from lynxgate.registry.statement import (
    BUNDLE,
    PREDICATE,
    STATEMENT,
    Bound,
    BoundRegistry,
    Digest,
    Documents,
    Origin,
    Predicate,
    Statement,
    Subject,
)
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_json
from minieval.contract.manifest import Manifest


@dataclass(frozen=True)
class Evidence:
    """The bytes of one piece of evidence, and their SHA-256, which is its name."""

    data: bytes
    sha: str


def build_evidence(
    manifest: Manifest,
    verdict: Verdict,
    *,
    evaluation: bytes,
    baseline: bytes,
    groups: Groups | None = None,
    model_lock: bytes | None = None,
    run_id: str,
    logged_model: str | None = None,
    semver: str,
    production_before: str | None,
    mark: RegistryMark,
    origin: Origin | None = None,
) -> Evidence:
    """Bind a verdict to the bundle, the documents, the semver, the registry, and the version in production before.

    ``evaluation`` and ``baseline`` are the exact bytes of the two documents, UTF-8; ``model_lock`` is the lock whose
    digest the evaluation names.
    """
    subjects = [(BUNDLE, manifest.canonical_sha), *((file.path, file.sha256) for file in manifest.files)]
    # Groups that the verdict does not respect are not evidence: deciding again with them would give another verdict.
    respected = None if groups is None or verdict.inputs.groups_sha256 is None else groups.data.decode()
    registry = BoundRegistry(environment=mark.environment, id=mark.id)
    predicate = Predicate(
        gate=Gate(name="lynxgate", version=__version__),
        promotion=Bound(
            semver=semver,
            mlflow_run_id=run_id,
            logged_model=logged_model,
            production_before=production_before,
            registry=registry,
            origin=origin,
        ),
        verdict=parse_json(verdict.to_json(), where="verdict"),
        documents=Documents(
            evaluation=evaluation.decode(),
            baseline=baseline.decode(),
            groups=respected,
            model_lock=None if model_lock is None else model_lock.decode(),
        ),
        manifest_format=manifest.format,
    )
    statement = Statement.model_validate(
        {
            "_type": STATEMENT,
            "subject": tuple(Subject(name=name, digest=Digest(sha256=sha)) for name, sha in subjects),
            "predicateType": PREDICATE,
            "predicate": predicate,
        }
    )
    data = statement.to_bytes()
    return Evidence(data, digest_bytes(data))
