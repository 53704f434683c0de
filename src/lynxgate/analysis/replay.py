"""Check that a stored verdict follows from the documents it names, by making the decision again. Pure.

- A verdict of this version of the gate must be equal byte for byte. Of another version, and of a `lynxgate.verdict/1`,
  the decision must be equal and the sentences may differ (`lynxgate.decision.same_decision`).
- A document with another hash, or another decision, is an integrity failure.
- The tolerance from the command line is read from the verdict, and the same rules apply to it.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from lynxgate.decision.decide import decide_bytes_again
from lynxgate.decision.groups import Groups, check_groups_of
from lynxgate.decision.same_decision import find_difference, written_by
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import CannotJudge, IntegrityFailure, Refused
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_json


def replay(
    verdict: bytes,
    evaluation: bytes,
    baseline: bytes,
    *,
    groups: Groups | None = None,
    where: str = "the verdict",
) -> Verdict:
    """Make the decision again from the two documents and return its verdict, in this version's words.

    ``groups`` are the groups of the eval set.

    Raises:
        CannotJudge: one of the three is not a valid document, or the verdict respects groups and none are given.
        IntegrityFailure: the verdict was made from other documents, or they give another verdict; the message names
            what differs.
    """
    stored = parse_verdict(verdict, where=where)
    for name, data, named in (
        ("evaluation", evaluation, stored.inputs.evaluation_sha256),
        ("baseline", baseline, stored.inputs.baseline_sha256),
    ):
        if (found := digest_bytes(data)) != named:
            raise IntegrityFailure(f"{where} was made from another {name}: it names SHA-256 {named}, this is {found}")
    if groups is not None:
        check_groups_of(groups, stored.inputs.eval_set_dvc_md5, stored.inputs.eval_set_sha256)
    if (expected := stored.inputs.groups_sha256) is None:
        groups = None  # it was taken without them, and is taken again as it was
    elif groups is None:
        raise CannotJudge(f"{where} respects the groups of its eval set; name the eval set with --eval-set")
    elif groups.sha256 != expected:
        raise IntegrityFailure(f"{where} names groups {expected}, and the eval set has {groups.sha256}")
    try:
        again, _, _ = decide_bytes_again(
            evaluation, baseline, _given_tolerance(stored), groups=groups, version=stored.rule_version
        )
    except Refused as error:
        raise IntegrityFailure(f"{where} cannot have been made from these documents: {error}") from error
    if difference := find_difference(parse_json(verdict, where=where), again):
        raise IntegrityFailure(f"{where} does not follow from its documents: {difference}")
    if written_by(stored) == written_by(again) and again.to_json() != verdict:
        raise IntegrityFailure(f"{where} does not follow from its documents: the same answer is written in other bytes")
    return again


def _given_tolerance(stored: Verdict) -> Decimal | None:
    if stored.tolerance_pp == stored.policy_tolerance_pp:
        return None
    share = Fraction(stored.tolerance_pp)
    return Decimal(share.numerator) / share.denominator
