"""The rule `point`: a bucket holds when the candidate is not below the baseline by more than the tolerance.

- Arithmetic is exact. Where both sides have counts, only counts decide; else each side's accuracy as it was written.
  A difference equal to the tolerance is within it.
- Intervals are shown where there are counts; they decide nothing.
"""

from __future__ import annotations

from fractions import Fraction

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.rules.bucket_comparison import (
    BucketComparison,
    describe_counts,
    describe_move,
    refuse_beyond_limits,
    refuse_incomparable,
)
from lynxgate.decision.verdict import Row
from lynxgate.figures import format_exactly


def judge(comparison: BucketComparison) -> Row:
    """Judge one bucket by its figures."""
    if incomparable := refuse_incomparable(comparison):
        return incomparable
    # `refuse_incomparable` has made sure that there are shares; without them this would regress.
    agreed, reached = comparison.shares or (Fraction(1), Fraction(0))
    moved, tolerance = describe_move(comparison), f"{format_exactly(comparison.terms.tolerance_pp)} pp"
    evidence = describe_counts(comparison)
    if (reached - agreed) * 100 < -Fraction(comparison.terms.tolerance_pp):
        return comparison.row(Outcome.REGRESSED, f"{moved}, and the tolerance is {tolerance}", evidence=evidence)
    if beyond := refuse_beyond_limits(comparison, moved):
        return comparison.row(*beyond, evidence=evidence)
    return comparison.row(Outcome.HELD, f"{moved}, within {tolerance}", evidence=evidence)
