"""The decision: one evaluation against one baseline, bucket by bucket. Pure: no file, no clock, no environment.

- Arithmetic is exact. Where both sides have counts, only counts decide; else each side's accuracy as it was written.
  What is exactly at the tolerance is within it.
- Every bucket of either side has a row. None is skipped, and what cannot be compared is no pass.
- Whatever the aggregate says, one bucket out of its tolerance keeps the candidate out.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from lynxgate.baseline import Baseline, Status
from lynxgate.errors import CannotJudge, IntegrityFailure, Refused
from lynxgate.policy import ISOLATIONS, Policy, Terms, Tier
from lynxgate.verdict import SCHEMA, Condition, Figure, Inputs, Outcome, Row, Verdict, parse_verdict
from lynxgate.words import write_exactly, write_percent, write_points
from minieval.report import Evaluation, Measured

__all__ = ["Inputs", "Outcome", "Verdict", "compare", "parse_verdict"]

ALL_ROWS = "all rows"


def compare(
    evaluation: Evaluation, baseline: Baseline, *, inputs: Inputs, tolerance_pp: Decimal | None = None
) -> Verdict:
    """Judge an evaluation by a baseline.

    ``tolerance_pp`` (percentage points) stands in for the policy's general ``tolerance_pp``; what the policy says of
    single buckets, or of the aggregate, stays.

    Raises:
        IntegrityFailure: the two were measured on different eval sets.
        Refused: ``tolerance_pp`` would loosen an active policy.
        CannotJudge: the policy speaks of buckets that neither side has.
    """
    policy = _apply_tolerance(baseline, tolerance_pp)
    conditions = [_check_eval_set(evaluation, baseline)]
    if policy.min_isolation is not None:
        conditions.append(_check_isolation(evaluation, policy.min_isolation))
    names = sorted(evaluation.buckets.keys() | baseline.buckets.keys())
    if idle := policy.idle_globs(names):
        raise CannotJudge(f"policy.buckets: {idle[0]!r} matches no bucket of either document; correct or remove it")
    return Verdict(
        schema=SCHEMA,
        rule=policy.rule,
        status=baseline.status,
        tolerance_pp=write_exactly(policy.tolerance_pp),
        policy_tolerance_pp=write_exactly(baseline.policy.tolerance_pp),
        inputs=inputs,
        candidate=evaluation.candidate,
        baseline=baseline.source,
        conditions=tuple(conditions),
        aggregate=_judge_aggregate(policy, baseline.aggregate, evaluation.aggregate),
        rows=tuple(
            _judge(name, policy.terms_of(name), baseline.buckets.get(name), evaluation.buckets.get(name))
            for name in names
        ),
    )


def _apply_tolerance(baseline: Baseline, tolerance_pp: Decimal | None) -> Policy:
    if tolerance_pp is None:
        return baseline.policy
    reviewed = baseline.policy.tolerance_pp
    if baseline.status is Status.ACTIVE and tolerance_pp > reviewed:
        raise Refused(
            f"a tolerance of {write_exactly(tolerance_pp)} pp would loosen the active policy, which says "
            f"{write_exactly(reviewed)} pp; change the baseline by its own pull request, or name a smaller one"
        )
    return baseline.policy.model_copy(update={"tolerance_pp": tolerance_pp})


def _check_eval_set(evaluation: Evaluation, baseline: Baseline) -> Condition:
    if baseline.eval_set_dvc_hash is None:
        reason = "the baseline has a placeholder for the hash of its eval set, so the two may differ"
        return Condition(name="eval set", outcome=Outcome.UNMEASURED, reason=reason)
    pairs = [("DVC md5", evaluation.eval_set.dvc_md5, baseline.eval_set_dvc_hash)]
    if evaluation.eval_set.sha256 and baseline.eval_set_sha256:
        pairs.append(("SHA-256", evaluation.eval_set.sha256, baseline.eval_set_sha256))
    for kind, measured, agreed in pairs:
        if measured != agreed:
            raise IntegrityFailure(
                f"the eval set is not the agreed one: the evaluation was made on {kind} {measured}, the baseline on "
                f"{agreed}; evaluate on the baseline's eval set, or rebaseline (lynxgate baseline rebaseline)"
            )
    reason = f"both sides were measured on DVC md5 {baseline.eval_set_dvc_hash}"
    return Condition(name="eval set", outcome=Outcome.HELD, reason=reason)


def _check_isolation(evaluation: Evaluation, required: str) -> Condition:
    found = evaluation.evaluator.isolation if evaluation.evaluator else None
    if found in ISOLATIONS and ISOLATIONS.index(found) >= ISOLATIONS.index(required):
        return Condition(name="isolation", outcome=Outcome.HELD, reason=f"{found}, and the policy asks for {required}")
    said = "names none" if found is None else f"names {found!r}"
    reason = f"the policy asks for {required} and the evaluation {said}; evaluate again under {required}"
    return Condition(name="isolation", outcome=Outcome.UNMEASURED, reason=reason)


def _judge_aggregate(policy: Policy, before: Measured | None, now: Measured | None) -> Row | None:
    gate = policy.overall_tolerance_pp
    if gate is None and before is None and now is None:
        return None
    tier = Tier.ADVISORY if gate is None else Tier.STANDARD
    terms = Terms(tier=tier, tolerance_pp=policy.tolerance_pp if gate is None else gate, min=None)
    if before is None or now is None:
        reason = f"the {'baseline' if before is None else 'evaluation'} has no aggregate"
        return _row(ALL_ROWS, terms, (before, now), Outcome.UNMEASURED, reason)
    return _judge(ALL_ROWS, terms, before, now)


def _judge(bucket: str, terms: Terms, before: Measured | None, now: Measured | None) -> Row:
    if before is None:
        return _row(bucket, terms, (before, now), Outcome.NEW, "the baseline has no such bucket; rebaseline")
    if now is None:
        return _row(bucket, terms, (before, now), Outcome.MISSING, "the evaluation has no such bucket")
    shares = _comparable(before, now)
    if shares is None:
        return _row(bucket, terms, (before, now), Outcome.UNMEASURED, "the baseline has a placeholder; rebaseline")
    if before.n is not None and now.n is not None and before.n != now.n:
        reason = f"n is {before.n} in the baseline and {now.n} in the evaluation, on one eval set; rebaseline"
        return _row(bucket, terms, (before, now), Outcome.UNMEASURED, reason)
    agreed, reached = shares
    difference, limit = (reached - agreed) * 100, -Fraction(terms.tolerance_pp)
    moved, tolerance = f"{write_points(difference, limit)} pp", f"{write_exactly(terms.tolerance_pp)} pp"
    if difference < limit:
        outcome, reason = Outcome.REGRESSED, f"{moved}, and the tolerance is {tolerance}"
    elif terms.min is not None and reached < (floor := Fraction(terms.min)):
        outcome = Outcome.REGRESSED
        reason = f"{moved}, and {write_percent(reached, floor)} is below the minimum of {write_percent(floor)}"
    else:
        outcome, reason = Outcome.HELD, f"{moved}, within {tolerance}"
    return _row(bucket, terms, (before, now), outcome, reason, difference=difference)


def _comparable(before: Measured, now: Measured) -> tuple[Fraction, Fraction] | None:
    """Both accuracies, from figures of one kind wherever both sides have one; `None` for a placeholder."""
    if before.correct is not None and now.correct is not None:
        shares = (_counted(before), _counted(now))
    else:
        shares = (_written(before), _written(now))
    first, second = shares
    return None if first is None or second is None else (first, second)


def _counted(side: Measured) -> Fraction | None:
    return None if side.correct is None or side.n is None else Fraction(side.correct, side.n)


def _written(side: Measured) -> Fraction | None:
    return _counted(side) if side.accuracy is None else Fraction(side.accuracy)


def _row(
    bucket: str,
    terms: Terms,
    sides: tuple[Measured | None, Measured | None],
    outcome: Outcome,
    reason: str,
    *,
    difference: Fraction | None = None,
) -> Row:
    before, now = sides
    return Row(
        bucket=bucket,
        tier=terms.tier,
        outcome=outcome,
        baseline=_figure(before),
        candidate=_figure(now),
        difference_pp=None if difference is None else write_exactly(difference),
        tolerance_pp=write_exactly(terms.tolerance_pp),
        min=None if terms.min is None else write_exactly(terms.min),
        reason=reason,
    )


def _figure(side: Measured | None) -> Figure | None:
    if side is None:
        return None
    accuracy = None if side.accuracy is None else write_exactly(side.accuracy)
    return Figure(n=side.n, correct=side.correct, accuracy=accuracy)
