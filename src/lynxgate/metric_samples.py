"""Samples of a metric: the figure taken of them, and whether the candidate's shifted the wrong way.

- The first samples are the warm-up and are dropped where the policy says how many; at least one is left of each side.
- Figures are exact; the rank test's p is rounded to six decimals before anything is decided by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from lynxgate.metric_policy import MetricPolicy, Statistic
from lynxgate.statistics import mann_whitney
from lynxgate.verdict import Exact
from lynxgate.words import write_exactly
from minieval.files import Document
from minieval.report import Positive, Samples

_QUANTILES = {"p90": 90, "p95": 95, "p99": 99}


class Shift(Document):
    """The samples of both sides after the warm-up: how many, and whether the candidate's moved the wrong way.

    ``p`` is one-sided, six decimals; ``share`` of the pairs has the candidate worse (ties half): 0.5 is no shift.
    """

    n_baseline: Positive
    n_candidate: Positive
    p: Exact
    share: Exact
    method: Literal["exact", "normal"]


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
            return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        case "min":
            return ordered[0]
        case "max":
            return ordered[-1]
        case _:
            return ordered[-(-n * _QUANTILES[statistic] // 100) - 1]


def measure_shift(
    baseline: Sequence[Fraction], candidate: Sequence[Fraction], *, worse: Literal["higher", "lower"]
) -> Shift:
    """Whether the candidate's samples moved in the worse direction (Mann-Whitney, one-sided)."""
    test = mann_whitney([float(x) for x in baseline], [float(x) for x in candidate], worse=worse)
    p, share = (write_exactly(Fraction(round(value * 10**6), 10**6)) for value in (test.p, test.share))
    return Shift(n_baseline=len(baseline), n_candidate=len(candidate), p=p, share=share, method=test.method)


def is_proved(shift: Shift, terms: MetricPolicy) -> bool:
    """Whether the shift is proved at the policy's confidence; at the level itself it is not."""
    return terms.confidence is not None and Fraction(shift.p) < 1 - Fraction(terms.confidence)


def describe_shift(shift: Shift) -> str:
    """The numbers of samples and p; and the least p there can be, where that is not small."""
    least = 1 / math.comb(shift.n_baseline + shift.n_candidate, shift.n_baseline)
    few = f", at best {least:.3f}" if shift.method == "exact" and least > 0.01 else ""
    return f"n {shift.n_baseline} and {shift.n_candidate}, Mann-Whitney p {shift.p}{few}"
