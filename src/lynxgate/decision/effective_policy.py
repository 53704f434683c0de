"""A policy as it applies: every key with the value in force, the terms of each bucket, and its hash. Pure.

- The hash is of what a policy says: layout, comments and the order of keys do not count; what is left out does, as its
  default.
- Nothing here judges; `lynxgate.decision.compare` reads the policy itself.
"""

from __future__ import annotations

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import terms_of
from lynxgate.decision.policy import Policy
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Json, canonical_json


def digest_policy(policy: Policy) -> str:
    """SHA-256 of what a policy says: its parsed terms in canonical form, so that layout and comments do not count."""
    return digest_bytes(canonical_json(policy.model_dump(mode="json", exclude_none=True)))


def describe_policy(baseline: Baseline) -> dict[str, Json]:
    """The policy in force: its hash, the status, its keys with their defaults, the terms of all rows and each bucket.

    A key that sets no limit is left out. Where the baseline has metrics the terms of each follow; `None` where no entry
    is about it.
    """
    policy = baseline.policy
    settled = {name: policy.terms_of(name) for name in sorted(baseline.buckets)}
    shown: dict[str, Json] = {
        "sha256": digest_policy(policy),
        "status": str(baseline.status),
        "policy": policy.model_dump(mode="json", exclude_none=True),
        "all_rows": policy.overall_terms.model_dump(mode="json", exclude_none=True),
        "terms": {name: terms.model_dump(mode="json", exclude_none=True) for name, terms in settled.items()},
    }
    if baseline.metrics:
        found = {name: terms_of(policy.metrics, name) for name in sorted(baseline.metrics)}
        shown["metrics"] = {
            name: None if terms is None else terms.model_dump(mode="json", exclude_none=True)
            for name, terms in found.items()
        }
    return shown
