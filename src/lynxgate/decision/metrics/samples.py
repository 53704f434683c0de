"""Summarise the samples of a metric: one figure, the number of outliers, and whether the candidate's are worse.

- The first samples are the warm-up. They are dropped where the policy sets their number; each side keeps at least one.
- No other sample is dropped: outliers are counted and shown.
- Figures are exact. The p of the rank test is rounded to six decimals before it decides, so that equal verdicts are
  equal bytes on machines whose floats differ in the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

from lynxgate.decision.metrics.policy import MetricPolicy, Statistic
from lynxgate.decision.metrics.row import Outliers, Shift
from lynxgate.decision.statistics import mann_whitney
from lynxgate.figures import format_exactly
from minieval.contract.fields import Samples

_QUANTILES: Final = {"p90": 90, "p95": 95, "p99": 99}
_FENCE: Final = Fraction(3, 2)  # hinge spreads beyond the nearer hinge: J. W. Tukey, Exploratory Data Analysis (1977)


class TooFew(ValueError):
    """One side has fewer samples than are needed."""


def drop_warmup(samples: Samples, terms: MetricPolicy, whose: str) -> tuple[Fraction, ...]:
    """Return the samples after the warm-up, in their order.

    Raises:
        TooFew: fewer are left than the policy needs, or none.
    """
    kept = tuple(Fraction(value) for value in samples[terms.warmup or 0 :])
    if len(kept) < (needed := terms.min_samples or 1):
        after = f" after a warm-up of {terms.warmup}" if terms.warmup else ""
        raise TooFew(f"{whose} has {len(kept)} samples{after}, and the policy needs {needed}; measure more")
    return kept


def summarise(samples: Sequence[Fraction], statistic: Statistic) -> Fraction:
    """Return one exact figure of the samples, in their unit.

    A percentile q is the smallest sample that at least q percent of the samples do not exceed (the nearest rank, method
    1 of R. J. Hyndman and Y. Fan, The American Statistician 50 (1996) 361-365), so it is one of the samples.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("no figure without a sample")
    ordered = sorted(samples)
    n = len(ordered)
    match statistic:
        case "mean":
            return sum(ordered, Fraction(0)) / n
        case "median":
            return _median(ordered)
        case "min":
            return ordered[0]
        case "max":
            return ordered[-1]
        case _:
            # The nearest rank is the ceiling of n q / 100, counted from 1. -(-a // b) is that ceiling in whole
            # numbers; with floats, 0.95 * 20 could be just above 19 and give rank 20.
            rank = -(-n * _QUANTILES[statistic] // 100)
            return ordered[rank - 1]


def count_outliers(samples: Sequence[Fraction]) -> Outliers:
    """Count the samples outside Tukey's fences: over 1.5 hinge spreads below the lower or above the upper hinge.

    The hinges are the medians of the lower and the upper half; of an odd number the middle sample is in both.
    Source: J. W. Tukey, Exploratory Data Analysis (1977).

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("no fences without a sample")
    ordered = sorted(samples)
    half = (len(ordered) + 1) // 2
    lower, upper = _median(ordered[:half]), _median(ordered[-half:])
    reach = _FENCE * (upper - lower)
    return Outliers(
        low=sum(value < lower - reach for value in ordered), high=sum(value > upper + reach for value in ordered)
    )


def measure_shift(
    baseline: Sequence[Fraction],
    candidate: Sequence[Fraction],
    *,
    worse: Literal["higher", "lower"],
    permutes_ties: bool = True,
) -> Shift:
    """Test whether the candidate's samples are worse (Mann-Whitney, one-sided)."""
    ours, theirs = ([float(x) for x in side] for side in (baseline, candidate))
    test = mann_whitney(ours, theirs, worse=worse, permutes_ties=permutes_ties)
    p, share = (format_exactly(Fraction(round(value * 10**6), 10**6)) for value in (test.p, test.share))
    return Shift(n_baseline=len(baseline), n_candidate=len(candidate), p=p, share=share, method=test.method)


def is_proved(shift: Shift, terms: MetricPolicy) -> bool:
    """Whether the shift is proved at the policy's confidence: p is below the level, not equal to it."""
    return terms.confidence is not None and Fraction(shift.p) < 1 - Fraction(terms.confidence)


def describe_shift(shift: Shift) -> str:
    """Return the numbers of samples and p, and the least possible p where that is not small."""
    # Of the C(n + m, n) equally likely orders of the samples one is the most extreme, so p cannot be below 1 / C.
    least = 1 / math.comb(shift.n_baseline + shift.n_candidate, shift.n_baseline)
    few = f", at best {least:.3f}" if shift.method == "exact" and least > 0.01 else ""
    return f"n {shift.n_baseline} and {shift.n_candidate}, Mann-Whitney p {shift.p}{few}"


def describe_outliers(baseline: Outliers, candidate: Outliers) -> str:
    """Return how many samples of each side lie outside the fences; empty where none does."""
    ours, theirs = (each.low + each.high for each in (baseline, candidate))
    return f"outliers {ours} and {theirs}" if ours or theirs else ""


def _median(ordered: Sequence[Fraction]) -> Fraction:
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
