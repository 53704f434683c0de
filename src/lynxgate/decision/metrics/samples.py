"""Samples of a metric: the figure taken of them, how many lie far out, and whether they shifted the wrong way.

- The first samples are the warm-up and are dropped where the policy says how many; at least one is left of each side.
- No other sample is dropped: those far out are counted and shown.
- Figures are exact; the rank test's p is rounded to six decimals before anything is decided by it.
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
    """So few samples are left of one side that nothing can be said."""


def drop_warmup(samples: Samples, terms: MetricPolicy, whose: str) -> tuple[Fraction, ...]:
    """The samples that count.

    Raises:
        TooFew: when fewer are left than the policy asks for, or none.
    """
    kept = tuple(Fraction(value) for value in samples[terms.warmup or 0 :])
    if len(kept) < (needed := terms.min_samples or 1):
        after = f" after a warm-up of {terms.warmup}" if terms.warmup else ""
        raise TooFew(f"{whose} has {len(kept)} samples{after}, and the policy needs {needed}; measure more")
    return kept


def summarise(samples: Sequence[Fraction], statistic: Statistic) -> Fraction:
    """One exact figure of samples; a percentile is the smallest sample that so many percent do not exceed.

    Raises:
        ValueError: without a sample.
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
            return ordered[-(-n * _QUANTILES[statistic] // 100) - 1]


def count_outliers(samples: Sequence[Fraction]) -> Outliers:
    """The samples outside Tukey's fences: more than 1.5 hinge spreads below the lower or above the upper hinge.

    The hinges are the medians of the lower and the upper half; with an odd number the middle sample is in both.

    Raises:
        ValueError: without a sample.
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
    baseline: Sequence[Fraction], candidate: Sequence[Fraction], *, worse: Literal["higher", "lower"]
) -> Shift:
    """Whether the candidate's samples moved in the worse direction (Mann-Whitney, one-sided)."""
    test = mann_whitney([float(x) for x in baseline], [float(x) for x in candidate], worse=worse)
    p, share = (format_exactly(Fraction(round(value * 10**6), 10**6)) for value in (test.p, test.share))
    return Shift(n_baseline=len(baseline), n_candidate=len(candidate), p=p, share=share, method=test.method)


def is_proved(shift: Shift, terms: MetricPolicy) -> bool:
    """Whether the shift is proved at the policy's confidence; at the level itself it is not."""
    return terms.confidence is not None and Fraction(shift.p) < 1 - Fraction(terms.confidence)


def describe_shift(shift: Shift) -> str:
    """The numbers of samples and p; and the least p there can be, where that is not small."""
    least = 1 / math.comb(shift.n_baseline + shift.n_candidate, shift.n_baseline)
    few = f", at best {least:.3f}" if shift.method == "exact" and least > 0.01 else ""
    return f"n {shift.n_baseline} and {shift.n_candidate}, Mann-Whitney p {shift.p}{few}"


def describe_outliers(baseline: Outliers, candidate: Outliers) -> str:
    """How many of each side lie outside the fences; empty where none does."""
    ours, theirs = (each.low + each.high for each in (baseline, candidate))
    return f"outliers {ours} and {theirs}" if ours or theirs else ""


def _median(ordered: Sequence[Fraction]) -> Fraction:
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
