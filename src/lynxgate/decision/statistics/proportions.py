"""Intervals for one accuracy, and for the difference of two accuracies, paired and unpaired.

Sources: E. B. Wilson, JASA 22 (1927) 209-212; R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872 (one),
873-890 (unpaired, method 10 there), 2635-2650 (paired, method 10 there).

- The unpaired interval is used when outcomes are missing. It ignores that both models answered the same examples, so it
  is wider than the paired one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from lynxgate.decision.statistics.normal import two_sided_quantile
from lynxgate.decision.statistics.paired import root

_FARTHEST = 1e3  # z; the p of a larger one is 0 in double precision


@dataclass(frozen=True)
class Score:
    """``correct`` examples out of ``n``.

    Raises:
        ValueError: there is no example, or ``correct`` is not in 0..n.
    """

    correct: int
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"no accuracy without an example (n = {self.n})")
        if not 0 <= self.correct <= self.n:
            raise ValueError(f"{self.correct} of {self.n} examples cannot be correct")

    @property
    def accuracy(self) -> float:
        """Share of correct examples."""
        return self.correct / self.n


@lru_cache(maxsize=4096)  # small buckets have the same counts many times
def wilson(score: Score, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided Wilson score interval of an accuracy; never outside [0, 1], never of width zero.

    Raises:
        ValueError: the confidence is not in (0, 1).
    """
    return _wilson(score, two_sided_quantile(confidence))


def _wilson(score: Score, z: float) -> tuple[float, float]:
    n, right, wrong = score.n, score.correct, score.n - score.correct
    centre = right + z * z / 2
    half = z * math.sqrt(right * wrong / n + z * z / 4)
    # Where nothing or everything is correct, one end is exactly 0 or 1; rounding would miss it.
    low = 0.0 if right == 0 else max((centre - half) / (n + z * z), 0.0)
    high = 1.0 if wrong == 0 else min((centre + half) / (n + z * z), 1.0)
    return low, high


def newcombe_unpaired(baseline: Score, candidate: Score, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of the difference of accuracies, as if measured on different examples.

    The difference is candidate minus baseline; Newcombe's method 10, which combines two Wilson intervals.

    Raises:
        ValueError: the confidence is not in (0, 1).
    """
    return _unpaired(baseline, candidate, two_sided_quantile(confidence))


def _unpaired(baseline: Score, candidate: Score, z: float) -> tuple[float, float]:
    p, q = candidate.accuracy, baseline.accuracy
    (p_low, p_high), (q_low, q_high) = _wilson(candidate, z), _wilson(baseline, z)
    return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def unpaired_z(baseline: Score, candidate: Score, d0: float) -> float:
    """Return the z whose unpaired Newcombe interval just reaches ``d0``; positive when the candidate is better.

    It replaces `tango_z` where outcomes are missing; its one-sided p is `upper_tail` of it.

    Raises:
        ValueError: ``d0`` is not in [-1, 1].
    """
    if not -1 <= d0 <= 1:
        raise ValueError(f"a difference of accuracies lies between -1 and 1, not at {d0}")
    observed = candidate.accuracy - baseline.accuracy
    if observed == d0:
        return 0.0
    if observed > d0:
        return root(lambda z: _unpaired(baseline, candidate, z)[0] - d0, 0.0, _FARTHEST)
    return -root(lambda z: d0 - _unpaired(baseline, candidate, z)[1], 0.0, _FARTHEST)


def newcombe_paired(
    both_right: int, gains: int, losses: int, both_wrong: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the two-sided interval of the difference of accuracies on the same examples (Newcombe's square and add).

    Tests compare it with `tango_interval`; the gate decides by Tango's.

    Raises:
        ValueError: a count is negative, there is no example, or the confidence is outside (0, 1).
    """
    if min(both_right, gains, losses, both_wrong) < 0:
        raise ValueError("counts of examples are not negative")
    n = both_right + gains + losses + both_wrong
    z = two_sided_quantile(confidence)
    candidate, baseline = Score(both_right + gains, n), Score(both_right + losses, n)
    p, q = candidate.accuracy, baseline.accuracy
    (p_low, p_high), (q_low, q_high) = _wilson(candidate, z), _wilson(baseline, z)
    phi = _correlation(both_right, gains, losses, both_wrong)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))

    return p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low)


def _correlation(a: int, b: int, c: int, d: int) -> float:
    """Return phi of the fourfold table; 0 where a margin is empty.

    A positive phi is corrected for continuity: its numerator is reduced by half of n, at most to 0 (Newcombe 1998).
    """
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if not margins:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        reduced = max(cross - (a + b + c + d) / 2, 0.0)
        return reduced / math.sqrt(margins)
    return cross / math.sqrt(margins)
