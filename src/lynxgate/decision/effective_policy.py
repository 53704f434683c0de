"""The effective policy: every key with the value in force, the terms of each bucket, and the policy's hash. Pure.

- The hash is of the parsed terms. Layout, comments and the order of keys do not change it; a key that is left out
  counts with its default.
- Nothing here judges; `lynxgate.decision.compare` reads the policy itself.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import terms_of
from lynxgate.decision.policy import Policy
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Json, canonical_json


def digest_policy(policy: Policy) -> str:
    """Return the SHA-256 of a policy's parsed terms in canonical form; 2, 2.0 and 2.00 are one value."""
    return digest_bytes(canonical_json(_write_numbers(policy.model_dump(exclude_none=True))))


def digest_policy_as_written(policy: Policy) -> str:
    """Return the SHA-256 by which gates on an eval set are counted: 2 and 2.0 differ in it, as they always did."""
    return digest_bytes(canonical_json(policy.model_dump(mode="json", exclude_none=True)))


def _write_numbers(value: object) -> Json:
    """Return a value as JSON, each number in the form that a baseline of `init` has: 2.0, 0.95."""
    if isinstance(value, dict):
        return {key: _write_numbers(entry) for key, entry in value.items()}
    if isinstance(value, Decimal):
        text = format(value.normalize(), "f")
        return text if "." in text else f"{text}.0"
    return str(value) if isinstance(value, StrEnum) else value


def describe_policy(baseline: Baseline) -> dict[str, Json]:
    """Return the policy in force: its hash, the status, its keys with their defaults, and the terms of each bucket.

    A key that sets no limit is left out. Where the baseline has metrics, the terms of each follow; `None` where no
    entry of the policy matches it.
    """
    policy = baseline.policy
    terms_by_bucket = {name: policy.terms_of(name) for name in sorted(baseline.buckets)}
    shown: dict[str, Json] = {
        "sha256": digest_policy(policy),
        "status": str(baseline.status),
        "policy": policy.model_dump(mode="json", exclude_none=True),
        "all_rows": policy.overall_terms.model_dump(mode="json", exclude_none=True),
        "terms": {name: terms.model_dump(mode="json", exclude_none=True) for name, terms in terms_by_bucket.items()},
    }
    if baseline.metrics:
        found = {name: terms_of(policy.metrics, name) for name in sorted(baseline.metrics)}
        shown["metrics"] = {
            name: None if terms is None else terms.model_dump(mode="json", exclude_none=True)
            for name, terms in found.items()
        }
    return shown
