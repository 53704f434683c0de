"""Check that two things are about the same eval set: the one rule and the one sentence for it. Pure.

- An eval set is named by DVC's md5 and, where it is known, by its SHA-256. MD5 has collisions, so both are compared
  wherever both sides have them.
- A hash that a side does not have is not compared: what a missing hash means is for the caller to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.decision.baseline import Baseline
from lynxgate.errors import IntegrityFailure
from minieval.contract.report import EvalSetIdentity


@dataclass(frozen=True)
class EvalSetOf:
    """The eval set of ``subject`` (as "the evaluation"), by its hashes in hex digits."""

    subject: str
    dvc_md5: str | None
    sha256: str | None


def of_baseline(baseline: Baseline) -> EvalSetOf:
    """Return the eval set that a baseline names."""
    return EvalSetOf("the baseline", baseline.eval_set_dvc_hash, baseline.eval_set_sha256)


def of_identity(subject: str, identity: EvalSetIdentity) -> EvalSetOf:
    """Return the eval set with ``identity``, as that of ``subject``."""
    return EvalSetOf(subject, identity.dvc_md5, identity.sha256)


def check_same_eval_set(first: EvalSetOf, second: EvalSetOf, *, advice: str) -> None:
    """Check that both are about the same eval set; ``advice`` ends the sentence of the error.

    Raises:
        IntegrityFailure: a hash that both have differs.
    """
    for kind, one, other in (
        ("DVC md5", first.dvc_md5, second.dvc_md5),
        ("SHA-256", first.sha256, second.sha256),
    ):
        if one is not None and other is not None and one != other:
            raise IntegrityFailure(
                f"not the same eval set: {first.subject} is on {kind} {one}, {second.subject} on {other}; {advice}"
            )
