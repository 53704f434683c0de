"""The exact p of version 1: its search for the largest probability over every disagreement, and what follows from it.

The sums are those of `lynxgate.decision.statistics.exact`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from lynxgate.decision.statistics import Pairs, proved_worse, quantile, tango_z, upper_tail
from lynxgate.decision.statistics.decision import EXACT_ROWS, corrected_z
from lynxgate.decision.statistics.exact import holding_limits, holding_probability
from lynxgate.decision.statistics.normal import check_margin

_MOST = 10**9  # examples; a larger number is reported as never


def p_within(pairs: Pairs, margin: float, level: float) -> float:
    """Return the p value of the null hypothesis "worse by ``margin`` (a share) or more".

    ``level``: a p above it is not computed exactly.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    p = upper_tail(z)
    if p > level or p >= 0.5:
        return p
    if pairs.n > EXACT_ROWS:
        return max(p, upper_tail(corrected_z(pairs, margin, 1)))
    return max(p, min(_size(pairs.n, margin, z), 1.0))


def examples_to_settle(pairs: Pairs, margin: float, confidence: float = 0.95) -> int | None:
    """Estimate how many examples in all would decide this row, if its rates of gains and losses stayed as observed.

    Z grows with ``sqrt(n)``, so the estimate starts at ``n (z / Z)^2`` and grows in steps of 3 % until the gate's
    own test decides. `None` when the observation lies on the margin, or so near that 10^9 examples would not be enough.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    decides = _noninferior if z > 0 else proved_worse
    grown = max((quantile(confidence) / z) ** 2, 1.0) if z else math.inf
    while pairs.n * grown <= _MOST:
        scaled = Pairs(
            max(math.ceil(pairs.n * grown), pairs.n + 1), round(pairs.gains * grown), round(pairs.losses * grown)
        )
        if decides(scaled, margin, confidence):
            return scaled.n
        grown *= 1.03
    return None


def _noninferior(pairs: Pairs, margin: float, confidence: float) -> bool:
    return p_within(pairs, margin, 1 - confidence) < 1 - confidence


@lru_cache(maxsize=4096)
def _size(n: int, margin: float, z: float) -> float:
    limits = holding_limits(n, margin, z)
    return _supremum(lambda share: sum(holding_probability(limits, share, -margin)), n, margin)[0]


def _supremum(f: Callable[[float], float], n: int, margin: float) -> tuple[float, float]:
    """Return the largest value of ``f`` over disagreements in [margin, 1], and where it is; ``f`` sums ``n`` examples.

    The grid is even in ``asin(sqrt(disagreement))``, and its two highest points are searched more finely. Near the
    margin, where gains are rare, it misses peaks.
    """
    low, high = math.asin(math.sqrt(margin)), math.pi / 2
    count = max(math.ceil((high - low) * 2 * math.sqrt(n)), 8)
    step = (high - low) / count

    def share_of(angle: float) -> float:
        # The ends are exact: the sine of a rounded arc would be slightly off.
        if angle <= low:
            return margin
        if angle >= high:
            return 1.0
        return min(max(math.sin(angle) ** 2, margin), 1.0)

    def at(angle: float) -> tuple[float, float]:
        return f(share_of(angle)), angle

    hills = sorted((at(low + i * step) for i in range(count + 1)), reverse=True)
    # The highest point, and the highest one that is not its neighbour.
    peaks = hills[:1] + [hill for hill in hills if abs(hill[1] - hills[0][1]) > 1.5 * step][:1]
    for index, peak in enumerate(peaks):
        best, fine = peak, step
        while fine > step / 20:
            fine /= 3
            best = max([best] + [at(best[1] + shift * fine) for shift in (-2, -1, 1, 2)])
        peaks[index] = best
    value, angle = max(peaks)
    return value, share_of(angle)
