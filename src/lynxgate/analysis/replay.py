"""Taking a stored verdict again from the documents it names. Pure.

- Equal means equal bytes. A document with another hash, or a verdict that says anything else, is an integrity failure.
- The tolerance that was given on the command line is the one the verdict records, and it is held to the same rules.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups, check_same_eval_set
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import CannotJudge, IntegrityFailure, Refused
from minieval.contract.digests import digest_bytes


def replay(
    verdict: bytes,
    evaluation: bytes,
    baseline: bytes,
    *,
    groups: Groups | None = None,
    where: str = "the verdict",
) -> Verdict:
    """The verdict, when the two documents give it again byte for byte; ``groups`` are those of the eval set.

    Raises:
        CannotJudge: one of the three is no valid document, or it respects groups and none are given.
        IntegrityFailure: it was made from other documents, or they give another verdict; the message says what differs.
    """
    stored = parse_verdict(verdict, where=where)
    for name, data, named in (
        ("evaluation", evaluation, stored.inputs.evaluation_sha256),
        ("baseline", baseline, stored.inputs.baseline_sha256),
    ):
        if (found := digest_bytes(data)) != named:
            raise IntegrityFailure(f"{where} was made from another {name}: it names SHA-256 {named}, this is {found}")
    if groups is not None:
        check_same_eval_set(groups, stored.inputs.eval_set_dvc_md5, stored.inputs.eval_set_sha256)
    if (expected := stored.inputs.groups_sha256) is None:
        groups = None  # it was taken without them, and is taken again as it was
    elif groups is None:
        raise CannotJudge(f"{where} respects the groups of its eval set; name the eval set with --eval-set")
    elif groups.sha256 != expected:
        raise IntegrityFailure(f"{where} names groups {expected}, and the eval set has {groups.sha256}")
    try:
        again, _, _ = decide_bytes(evaluation, baseline, _given_tolerance(stored), groups=groups)
    except Refused as error:
        raise IntegrityFailure(f"{where} cannot have been made from these documents: {error}") from error
    if again.to_json() != verdict:
        raise IntegrityFailure(f"{where} does not follow from its documents: {_first_difference(stored, again)}")
    return again


def _given_tolerance(stored: Verdict) -> Decimal | None:
    if stored.tolerance_pp == stored.policy_tolerance_pp:
        return None
    share = Fraction(stored.tolerance_pp)
    return Decimal(share.numerator) / share.denominator


def _first_difference(stored: Verdict, again: Verdict) -> str:
    before, now = stored.model_dump(mode="json", by_alias=True), again.model_dump(mode="json", by_alias=True)
    for table, name in (("rows", "bucket"), ("metrics", "metric")):
        for old, new in zip(before.get(table, ()), now.get(table, ()), strict=False):
            if old != new:
                keys = ", ".join(key for key in new if old.get(key) != new[key])
                return f"the {name} {new[name]!r} differs in {keys}"
    keys = ", ".join(key for key in now if before.get(key) != now[key])
    return f"it differs in {keys}" if keys else "the same answer is written in other bytes"
