"""The rules `guard` and `noninferior` in version 1: Tango's test blocks, and groups go through a clustered test.

`lynxgate.decision.rules.paired` is the version that decides today, and describes what both have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from lynxgate.decision.former.search import examples_to_settle, p_within
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Rule, Tier
from lynxgate.decision.rules.bucket_comparison import (
    BucketComparison,
    describe_counts,
    describe_move,
    describe_scale,
    refuse_beyond_limits,
    refuse_incomparable,
    to_percent,
)
from lynxgate.decision.statistics import (
    Pairs,
    Score,
    cluster_pairs,
    clustered_interval,
    clustered_z,
    holm_adjusted,
    inferiority,
    quantile,
    tango_interval,
    unpaired_z,
    upper_tail,
)
from lynxgate.decision.verdict import BucketStatistics, Demand, Method, Row
from lynxgate.figures import format_exactly, format_interval
from minieval.contract.outcome_bits import unpack_outcomes

FEW_GROUPS = 30  # below it a cluster-robust variance tends to be too small
ONE_GROUP = "all its examples are of one group, and one group proves nothing"


@dataclass(frozen=True)
class Tested:
    """Both one-sided p values of a bucket: for being within its margin, and for being beyond it.

    ``beyond`` is corrected for the ``family`` of buckets that were tested together, ``alone`` is not. ``settled_by`` is
    the number of examples that would probably decide an undecided bucket.
    """

    within: float
    beyond: float
    alone: float
    settled_by: int | None
    family: int = 1


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
    margin = float(Fraction(comparison.terms.tolerance_pp) / 100)
    if (pairs := comparison.pairs) is not None:
        test, clusters = _test_pairs(pairs, margin, alpha), find_clusters(comparison)
        return test if clusters is None else _respect_groups(test, clusters, margin, alpha)
    if (scores := comparison.scores) is not None:
        return _test_scores(*scores, margin, alpha)
    return None


def _test_pairs(pairs: Pairs, margin: float, alpha: float) -> Tested:
    within, beyond = p_within(pairs, margin, alpha), inferiority(pairs, margin, alpha).p
    undecided = within >= alpha and beyond > alpha
    return Tested(within, beyond, beyond, examples_to_settle(pairs, margin, 1 - alpha) if undecided else None)


def _respect_groups(test: Tested, clusters: Sequence[Pairs], margin: float, alpha: float) -> Tested:
    """Repeat both tests on clusters; return the larger p of each pair, so that a proof must hold either way."""
    if len(clusters) < 2:
        # One group shows no variance between groups, so nothing is proved.
        return Tested(1.0, 1.0, 1.0, None)
    z, n = clustered_z(clusters, -margin), sum(cluster.n for cluster in clusters)
    within, beyond = max(test.within, upper_tail(z)), max(test.alone, upper_tail(-z))
    if within < alpha or beyond <= alpha:
        return Tested(within, beyond, beyond, None)
    # Z grows with sqrt(n), so n (z_alpha / Z)^2 examples would reach z_alpha; near the margin no number would.
    needed = math.ceil(n * (quantile(1 - alpha) / z) ** 2) if abs(z) > 1e-3 else None
    return Tested(within, beyond, beyond, None if needed is None else max(needed, test.settled_by or 0))


def _test_scores(baseline: Score, candidate: Score, margin: float, alpha: float) -> Tested:
    z = unpaired_z(baseline, candidate, -margin)
    within, beyond = upper_tail(z), upper_tail(-z)
    needed = math.ceil(candidate.n * (quantile(1 - alpha) / z) ** 2) if abs(z) > 1e-3 else None
    undecided = within >= alpha and beyond > alpha
    return Tested(within, beyond, beyond, needed if undecided else None)


def _judge(comparison: BucketComparison, test: Tested | None, demand: Demand, rule: Rule, alpha: float) -> Row:
    if incomparable := refuse_incomparable(comparison):
        return incomparable
    if not comparison.is_right_or_wrong:
        scale = describe_scale(comparison.now)
        return comparison.row(Outcome.UNMEASURED, f"rule {rule} cannot judge rows that are {scale} yet; use rule point")
    found = _describe_evidence(comparison)
    if test is None or found is None:
        needs = f"rule {rule} needs `n` and `correct` of both sides, and better `outcomes`; evaluate with minieval"
        return comparison.row(Outcome.UNMEASURED, needs)
    proofs = {"p_within": _write_p(test.within), "p_beyond": _write_p(test.beyond)}
    evidence = found.model_copy(update={**proofs, "examples_to_settle": test.settled_by})
    moved = _describe(comparison, evidence)
    if test.beyond <= alpha:
        outcome = Outcome.REGRESSED
        reason = f"{moved}: proved worse than the margin of {_margin(comparison)} (p {_short_p(test.beyond)})"
    elif limits := refuse_beyond_limits(comparison, moved):
        outcome, reason = limits
    elif test.within < alpha:
        outcome, reason = Outcome.HELD, f"{moved}: proved within {_margin(comparison)} (p {_short_p(test.within)})"
    else:
        doubt = ONE_GROUP if evidence.groups == 1 else _explain_doubt(comparison, test, alpha)
        outcome, reason = Outcome.INCONCLUSIVE, f"{moved}: {doubt}"
        if demand is Demand.NO_PROOF_OF_HARM:
            reason += f"; {rule} requires no proof of this bucket"
    return comparison.row(outcome, reason + _explain_weakness(comparison, evidence), demand=demand, evidence=evidence)


def _demand(rule: Rule, tier: Tier) -> Demand:
    return Demand.PROOF if rule is Rule.NONINFERIOR or tier is Tier.CRITICAL else Demand.NO_PROOF_OF_HARM


def _explain_doubt(comparison: BucketComparison, test: Tested, alpha: float) -> str:
    if test.alone <= alpha:
        alone = f"if it were the only bucket (p {_short_p(test.alone)})"
        return f"worse than {_margin(comparison)} {alone}, but not proved among {test.family} buckets"
    doubt = f"neither proved within {_margin(comparison)} (p {_short_p(test.within)}) nor proved beyond"
    if test.settled_by is None:
        return f"{doubt}, and no number of examples would settle a difference on the margin"
    return f"{doubt}; about {test.settled_by} examples would settle it"


def _explain_weakness(comparison: BucketComparison, evidence: BucketStatistics) -> str:
    if evidence.method is Method.PAIRED:
        return ""
    if evidence.method is Method.CLUSTERED and evidence.groups is not None:
        few = ", which are few: the interval is probably too narrow" if evidence.groups < FEW_GROUPS else ""
        return f" (in {evidence.groups} groups of examples{few})" if evidence.groups > 1 else ""
    apart = ", and takes examples of one group as independent" if comparison.groups is not None else ""
    return f" (unpaired, since {comparison.without_outcomes}: weaker, and of approximate level{apart})"


def _describe(comparison: BucketComparison, evidence: BucketStatistics) -> str:
    level = f"{100 * (2 * comparison.confidence - 1):.6g} %"
    return f"{describe_move(comparison)} ({level} interval {format_interval(evidence.difference_pp, signed=True)})"


def _margin(comparison: BucketComparison) -> str:
    return f"{format_exactly(comparison.terms.tolerance_pp)} pp"


def _write_p(p: float) -> str:
    return f"{p:.6f}"


def _short_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "below 0.0001"


def find_clusters(comparison: BucketComparison) -> tuple[Pairs, ...] | None:
    """Return gains and losses of each group; `None` without outcomes, or where no two examples share a group."""
    groups = comparison.groups
    if groups is None or comparison.pairs is None or len(set(groups)) == len(groups):
        return None
    n = len(groups)
    before, now = (side.outcomes or "" for side in (comparison.before, comparison.now) if side is not None)
    return cluster_pairs(unpack_outcomes(before, n), unpack_outcomes(now, n), groups)


def _describe_evidence(comparison: BucketComparison) -> BucketStatistics | None:
    """Return the statistics, with the smallest interval that has that of the clustered test in it."""
    found, clusters = describe_counts(comparison), find_clusters(comparison)
    if found is None or clusters is None or comparison.pairs is None:
        return found
    level = 2 * comparison.confidence - 1
    low, high = clustered_interval(clusters, level) if len(clusters) > 1 else (-1.0, 1.0)
    apart = tango_interval(comparison.pairs, level)
    widened = to_percent((min(low, apart[0]), max(high, apart[1])))
    return found.model_copy(update={"method": Method.CLUSTERED, "difference_pp": widened, "groups": len(clusters)})
