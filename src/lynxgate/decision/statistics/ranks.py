"""Mann-Whitney's U test on samples of a metric (latencies, sizes): are the candidate's worse?

Source: H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18 (1947) 50-60.

- The test is one-sided. The side is the worse direction and never depends on the data.
- Exact for up to `EXACT_SAMPLES` samples on each side: with ties, every choice of the candidate's samples among all is
  counted (a permutation test). Else normal with tie and continuity correction.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lynxgate.decision.statistics.normal import upper_tail

EXACT_SAMPLES = 20
_SLOT = 40  # bits: there are at most C(40, 20) choices, which is below 2^38


@dataclass(frozen=True)
class RankTest:
    """U is the number of pairs in which the candidate's sample is the worse one, ties half; p is one-sided.

    ``share`` is U divided by the number of pairs: 0.5 without a shift, 1 when every candidate sample is worse.
    """

    u: float
    p: float
    share: float
    method: Literal["exact", "normal"]


def mann_whitney(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    worse: Literal["higher", "lower"],
    permutes_ties: bool = True,
) -> RankTest:
    """Test whether the candidate's samples are shifted towards ``worse``; a small p proves that they are.

    Without ``permutes_ties`` samples with ties go through the normal approximation, as in version 1 of the rules.

    Raises:
        ValueError: a side has no sample, or a sample is not finite.
    """
    if not baseline or not candidate:
        raise ValueError("both sides need at least one sample")
    if not all(map(math.isfinite, [*baseline, *candidate])):
        raise ValueError("samples are finite numbers")
    sign = 1 if worse == "higher" else -1
    m, n = len(candidate), len(baseline)
    ours, theirs = [sign * x for x in candidate], [sign * x for x in baseline]
    u, ties = _u(ours, theirs)
    if max(m, n) <= EXACT_SAMPLES and (permutes_ties or not ties):
        p = _permutation_tail(ours, theirs) if ties else _exact_tail(m, n, round(u))
        return RankTest(u, p, u / (m * n), "exact")
    # Normal approximation: the variance of U is smaller by the ties, and 0.5 corrects for continuity.
    total = m + n
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    p = upper_tail((u - m * n / 2 - 0.5) / math.sqrt(variance)) if variance > 0 else 1.0
    return RankTest(u, p, u / (m * n), "normal")


def _u(candidate: list[float], baseline: list[float]) -> tuple[float, int]:
    """Return U of the candidate, and the sum over groups of t equal samples of ``t^3 - t``."""
    pooled = sorted([(x, True) for x in candidate] + [(x, False) for x in baseline])
    rank_sum, ties, start = 0.0, 0, 0
    while start < len(pooled):
        end = start
        while end < len(pooled) and pooled[end][0] == pooled[start][0]:
            end += 1
        # Equal samples share the mean of their ranks, (start + 1 + end) / 2 with ranks from 1.
        same = end - start
        rank_sum += sum(ours for _, ours in pooled[start:end]) * (start + 1 + end) / 2
        ties += same**3 - same
        start = end
    m = len(candidate)
    return rank_sum - m * (m + 1) / 2, ties


def _exact_tail(m: int, n: int, u: int) -> float:
    """Return P(U >= u) without a shift, from the number of orders of the samples that give each U.

    These numbers are the coefficients of the Gaussian binomial, the product over i = 1..m of
    ``(1 - q^(n + i)) / (1 - q^i)``.
    """
    ways = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        # Multiply by (1 - q^(n + i)), then divide by (1 - q^i), in place.
        for j in range(m * n, n + i - 1, -1):
            ways[j] -= ways[j - n - i]
        for j in range(i, m * n + 1):
            ways[j] += ways[j - i]
    return sum(ways[u:]) / math.comb(m + n, m)


def _permutation_tail(candidate: list[float], baseline: list[float]) -> float:
    """Return P(rank sum >= the candidate's) over all choices of its samples among those of both sides.

    The number of choices of k samples with each sum of doubled ranks is a polynomial. It is kept as one whole number,
    with a slot of `_SLOT` bits for each sum, so that adding a rank is a shift.
    """
    pooled, m = sorted(candidate + baseline), len(candidate)
    # Twice the mean rank of each sample: the ranks of its first and of its last equal.
    doubled = [bisect_left(pooled, x) + 1 + bisect_right(pooled, x) for x in pooled]
    rank_sum = sum(bisect_left(pooled, x) + 1 + bisect_right(pooled, x) for x in candidate)
    ways = [1] + [0] * m
    for rank in doubled:
        for k in range(m, 0, -1):
            ways[k] += ways[k - 1] << (_SLOT * rank)
    above = ways[m] >> (_SLOT * rank_sum)
    count = 0
    while above:
        count += above & ((1 << _SLOT) - 1)
        above >>= _SLOT
    return count / math.comb(len(pooled), m)
