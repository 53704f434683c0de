"""The rule `point`: a bucket holds when the candidate's figure is not below the baseline's by more than the tolerance.

- Arithmetic is exact. Where both sides have counts, only counts decide; else each side's accuracy as it was written.
  What is exactly at the tolerance is within it.
- Intervals are shown where there are counts; they decide nothing.
"""

from __future__ import annotations

from fractions import Fraction

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.rules.bucket_comparison import (
    BucketComparison,
    describe_evidence,
    describe_move,
    refuse_beyond_limits,
    refuse_incomparable,
)
from lynxgate.decision.verdict import Row
from lynxgate.figures import format_exactly


def judge(sides: BucketComparison) -> Row:
    """The row of one bucket."""
    if incomparable := refuse_incomparable(sides):
        return incomparable
    agreed, reached = sides.shares or (Fraction(1), Fraction(0))
    moved, tolerance = describe_move(sides), f"{format_exactly(sides.terms.tolerance_pp)} pp"
    evidence = describe_evidence(sides)
    if (reached - agreed) * 100 < -Fraction(sides.terms.tolerance_pp):
        return sides.row(Outcome.REGRESSED, f"{moved}, and the tolerance is {tolerance}", evidence=evidence)
    if beyond := refuse_beyond_limits(sides, moved):
        return sides.row(*beyond, evidence=evidence)
    return sides.row(Outcome.HELD, f"{moved}, within {tolerance}", evidence=evidence)
