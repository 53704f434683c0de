"""The evidence of a promotion: an in-toto Statement that holds the verdict and the documents it follows from.

- Its subject is the bundle: the canonical SHA and every file of the manifest.
- It carries the two documents as text, byte for byte, so that an auditor can take the decision again; and where the
  verdict respects the groups of the eval set, their numbers.
- It is stored under the SHA-256 of its own bytes and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate import __version__
from lynxgate.decision.compare import Verdict
from lynxgate.decision.groups import Groups
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_json, pretty_json
from minieval.contract.manifest import Manifest

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:lynxgate:promotion-evidence:1"


@dataclass(frozen=True)
class Evidence:
    """The bytes of one piece of evidence, and the SHA-256 it is named by."""

    data: bytes
    sha: str


def build_evidence(
    manifest: Manifest,
    verdict: Verdict,
    *,
    evaluation: bytes,
    baseline: bytes,
    groups: Groups | None = None,
    run_id: str,
    semver: str,
    production_before: str | None,
) -> Evidence:
    """Bind a verdict to the bundle, the documents, the semver, and the production version it was taken against."""
    subject = [{"name": "canonical", "digest": {"sha256": manifest.canonical_sha}}]
    subject += [{"name": file.path, "digest": {"sha256": file.sha256}} for file in manifest.files]
    documents = {"evaluation": evaluation.decode(), "baseline": baseline.decode()}
    if groups is not None and verdict.inputs.groups_sha256 is not None:
        documents["groups"] = groups.data.decode()
    data = pretty_json(
        {
            "_type": STATEMENT,
            "subject": subject,
            "predicateType": PREDICATE,
            "predicate": {
                "gate": {"name": "lynxgate", "version": __version__},
                "promotion": {"semver": semver, "mlflow_run_id": run_id, "production_before": production_before},
                "verdict": parse_json(verdict.to_json(), where="verdict"),
                "documents": documents,
            },
        }
    )
    return Evidence(data, digest_bytes(data))
