"""The rules `guard` and `noninferior`: what the outcomes of both models on the same examples prove.

- A bucket holds when it is proved to be less than its margin worse, at the policy's confidence, by a test whose level
  is exact. It regressed when it is proved to be more than its margin worse. Holm's method keeps the chance of one false
  proof among all buckets that may block at the level. In all other cases a bucket is inconclusive.
- ``noninferior`` requires the first proof of every bucket that is not advisory. ``guard`` requires it of critical
  buckets and of all rows together; the other buckets must only not be proved worse.
- Independent rows that are right or wrong go through the exact test of counts. Rows in groups, graded scores and
  several trials of a row go through the test over bounded units (`lynxgate.decision.statistics.units`): a unit is a
  group, or a row, and a group counts as at most ``group_cap`` rows.
- Without outcomes the two sides are compared as if on different examples. The row names that, and that it is weaker.
  Rows in groups prove nothing then.
- Floats decide here, unlike under `point`; a p value within rounding of the level would be a coincidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Rule, Tier
from lynxgate.decision.rules.bucket_comparison import (
    BucketComparison,
    describe_evidence,
    describe_move,
    describe_scale,
    refuse_beyond_limits,
    refuse_incomparable,
)
from lynxgate.decision.statistics import (
    examples_to_settle,
    holm_adjusted,
    inferiority,
    noninferiority,
    quantile,
    unpaired_z,
    upper_tail,
)
from lynxgate.decision.statistics.units import fewest_units, units_beyond, units_to_settle, units_within
from lynxgate.decision.verdict import BucketStatistics, Demand, Method, Row
from lynxgate.figures import format_exactly, format_interval, format_points


@dataclass(frozen=True)
class Tested:
    """Both one-sided p values of a bucket: for being within its margin, and for being beyond it.

    ``beyond`` is corrected for the ``family`` of buckets that were tested together, ``alone`` is not. ``theorem``
    is the proved p of being within, where units were tested.
    """

    within: float
    beyond: float
    alone: float
    family: int = 1
    theorem: float | None = None


def judge_buckets(rule: Rule, buckets: Sequence[BucketComparison], alpha: float) -> tuple[Row, ...]:
    """Judge all buckets and return their rows in the same order; ``alpha`` is the level of each proof, in (0, 0.5)."""
    tested = [None if refuse_incomparable(comparison) else run_tests(comparison, alpha) for comparison in buckets]
    corrected = correct_together([comparison.terms.tier for comparison in buckets], tested)
    return tuple(
        _judge(comparison, test, _demand(rule, comparison.terms.tier), rule, alpha)
        for comparison, test in zip(buckets, corrected, strict=True)
    )


def judge_all_rows(rule: Rule, comparison: BucketComparison, alpha: float) -> Row:
    """Judge the aggregate, which is one test and needs no correction."""
    test = None if refuse_incomparable(comparison) else run_tests(comparison, alpha)
    return _judge(comparison, test, Demand.PROOF, rule, alpha)


def correct_together(tiers: Sequence[Tier], tested: Sequence[Tested | None]) -> list[Tested | None]:
    """Correct ``beyond`` by Holm's method over the buckets that may block; an advisory bucket keeps its own p."""
    family = {
        index: test.alone
        for index, (tier, test) in enumerate(zip(tiers, tested, strict=True))
        if test is not None and tier is not Tier.ADVISORY
    }
    adjusted = dict(zip(family, holm_adjusted(list(family.values())), strict=True))
    return [
        replace(test, beyond=adjusted[index], family=len(family)) if test is not None and index in adjusted else test
        for index, test in enumerate(tested)
    ]


def run_tests(comparison: BucketComparison, alpha: float) -> Tested | None:
    """Run both tests on a bucket whose sides are comparable; `None` where a side has no counts."""
    margin = _share(comparison)
    if (pairs := comparison.pairs) is not None and not comparison.shares_groups:
        beyond = inferiority(pairs, margin, alpha, exact=True).p
        return Tested(noninferiority(pairs, margin, alpha).p, beyond, beyond)
    if (units := comparison.units) is not None:
        within, beyond = units_within(units, margin), units_beyond(units, margin).p(comparison.proof)
        beyond = min(beyond, 1.0)
        return Tested(min(within.p(comparison.proof), 1.0), beyond, beyond, theorem=within.theorem)
    if (scores := comparison.scores) is None:
        return None
    if comparison.shares_groups:
        return Tested(1.0, 1.0, 1.0)  # the variance between groups is not known
    z = unpaired_z(*scores, -margin)
    return Tested(upper_tail(z), upper_tail(-z), upper_tail(-z))


def _share(comparison: BucketComparison) -> float:
    """Return the margin as a share."""
    return float(Fraction(comparison.terms.tolerance_pp) / 100)


def _judge(comparison: BucketComparison, test: Tested | None, demand: Demand, rule: Rule, alpha: float) -> Row:
    if incomparable := refuse_incomparable(comparison):
        return incomparable
    found = describe_evidence(comparison)
    if test is None or found is None:
        return comparison.row(Outcome.UNMEASURED, _name_needs(comparison, rule))
    evidence = _add_proofs(found, comparison, test, alpha)
    moved = _describe(comparison, evidence)
    if test.beyond <= alpha:
        outcome = Outcome.REGRESSED
        reason = f"{moved}: proved worse than the margin of {_margin(comparison)} (p {_short_p(test.beyond)})"
    elif limits := refuse_beyond_limits(comparison, moved):
        outcome, reason = limits
    elif test.within < alpha:
        outcome, reason = Outcome.HELD, f"{moved}: proved within {_margin(comparison)} (p {_short_p(test.within)})"
    else:
        outcome, reason = Outcome.INCONCLUSIVE, f"{moved}: {_explain_doubt(comparison, evidence, test, alpha)}"
        if demand is Demand.NO_PROOF_OF_HARM:
            reason += f"; {rule} requires no proof of this bucket"
    return comparison.row(outcome, reason + _explain_weakness(comparison, evidence), demand=demand, evidence=evidence)


def _demand(rule: Rule, tier: Tier) -> Demand:
    return Demand.PROOF if rule is Rule.NONINFERIOR or tier is Tier.CRITICAL else Demand.NO_PROOF_OF_HARM


def _name_needs(comparison: BucketComparison, rule: Rule) -> str:
    if comparison.is_right_or_wrong:
        return f"rule {rule} needs `n` and `correct` of both sides, and better `outcomes`; evaluate with minieval"
    scale = describe_scale(comparison.now)
    return f"rule {rule} needs each row of both sides ({scale}), and {comparison.without_outcomes}"


def _add_proofs(found: BucketStatistics, comparison: BucketComparison, test: Tested, alpha: float) -> BucketStatistics:
    """Return the statistics with the p values, and with the number that would settle an undecided bucket."""
    proofs: dict[str, str | int | None] = {"p_within": _write_p(test.within), "p_beyond": _write_p(test.beyond)}
    if test.family > 1:
        proofs["p_beyond_alone"] = _write_p(test.alone)
    if test.theorem is not None:
        proofs["p_within_theorem"] = _write_p(test.theorem)
    if test.within >= alpha and test.beyond > alpha:
        key = "examples_to_settle" if found.method is not Method.UNITS else "units_to_settle"
        proofs[key] = _settle(comparison, test, alpha)
    return found.model_copy(update=proofs)


def _settle(comparison: BucketComparison, test: Tested, alpha: float) -> int | None:
    margin = _share(comparison)
    if (pairs := comparison.pairs) is not None and not comparison.shares_groups:
        return examples_to_settle(pairs, margin, 1 - alpha, test.family)
    if (units := comparison.units) is not None:
        return units_to_settle(units, margin, alpha, proof=comparison.proof, family=test.family)
    if (scores := comparison.scores) is None or comparison.shares_groups:
        return None
    z = unpaired_z(*scores, -margin)
    level = alpha if z > 0 else alpha / test.family
    # Z grows with sqrt(n), so n (z_alpha / Z)^2 examples would reach z_alpha; near the margin no number would.
    return math.ceil(scores[1].n * (quantile(1 - level) / z) ** 2) if abs(z) > 1e-3 else None


def _explain_doubt(comparison: BucketComparison, evidence: BucketStatistics, test: Tested, alpha: float) -> str:
    if comparison.shares_groups and evidence.method is Method.UNPAIRED:
        return "its examples are in groups, which prove nothing without the outcomes of both sides"
    if test.alone <= alpha:
        alone = f"if it were the only bucket (p {_short_p(test.alone)})"
        return f"worse than {_margin(comparison)} {alone}, but not proved among {test.family} buckets"
    doubt = f"neither proved within {_margin(comparison)} (p {_short_p(test.within)}) nor proved beyond"
    noun = "examples" if evidence.groups is None else "groups"
    settled_by = evidence.units_to_settle if evidence.method is Method.UNITS else evidence.examples_to_settle
    if settled_by is None:
        return f"{doubt}, and no number of {noun} would settle a difference on the margin"
    return f"{doubt}; about {settled_by} {noun} would settle it{_name_fewest(comparison, evidence, noun, alpha)}"


def _name_fewest(comparison: BucketComparison, evidence: BucketStatistics, noun: str, alpha: float) -> str:
    """Return a clause where there are fewer units than any proof needs that is not helped by gains."""
    fewest = fewest_units(_share(comparison), alpha, proof=comparison.proof)
    if evidence.units is None or fewest is None or evidence.units >= fewest:
        return ""
    few = f"1 {noun.removesuffix('s')} is" if evidence.units == 1 else f"{evidence.units} {noun} are"
    return f" ({few} too few: without a difference it takes {fewest})"


def _explain_weakness(comparison: BucketComparison, evidence: BucketStatistics) -> str:
    if evidence.groups is not None:
        cap = comparison.group_cap
        each = "each counts once" if cap == 1 else f"each counts as its rows, at most {cap}"
        return f" (in {evidence.groups} groups of examples, of which {each})"
    if evidence.method is not Method.UNPAIRED:
        return ""
    return f" (unpaired, since {comparison.without_outcomes}: weaker, and of approximate level)"


def _describe(comparison: BucketComparison, evidence: BucketStatistics) -> str:
    level = f"{100 * (2 * comparison.confidence - 1):.6g} %"
    interval = f"{level} interval {format_interval(evidence.difference_pp, signed=True)}"
    if evidence.groups_difference_pp is None:
        return f"{describe_move(comparison)} ({interval})"
    over_groups = format_points(Fraction(evidence.groups_difference_pp), -Fraction(comparison.terms.tolerance_pp))
    return f"{describe_move(comparison)} ({over_groups} pp as groups count, {interval})"


def _margin(comparison: BucketComparison) -> str:
    return f"{format_exactly(comparison.terms.tolerance_pp)} pp"


def _write_p(p: float) -> str:
    return f"{p:.6f}"


def _short_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "below 0.0001"
