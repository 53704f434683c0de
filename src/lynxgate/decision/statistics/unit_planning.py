"""Compute how many units a decision about units needs, and what a number of units sees, before anything is measured.

The test is Gaffke's (`lynxgate.decision.statistics.units`). A unit is a row with trials or a graded score, or a group
of rows. Units are taken to differ as strongly as their disagreement allows: each gains or loses everything, or nothing.

- With ``y = d + D`` for a unit that moves by ``d``, margin ``D``, ``c = 1 - D``, ``mu`` and ``v`` the mean and variance
  of ``y``: Gaffke's p at even odds is near that of a normal sum, so ``N`` units prove with chance
  ``Phi((N mu - c - z_a sqrt(N (v + mu^2) + c^2)) / sqrt(N v))``.
- Where fewer than `FEW` units are expected to move, every outcome is summed, with the test itself.
- "Beyond" is the same with ``-y`` and ``c = 1 + D``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lynxgate.decision.statistics.normal import check_margin, quantile, upper_tail
from lynxgate.decision.statistics.units import Unit, fewest_units, units_beyond, units_within

FEW = 4  # N v below which the normal sum is too rough
_NEGLIGIBLE = 1e-6
_MOST = 10**8  # units; a larger need is reported as never


def unit_chance_of_holding(
    n: int, margin: float, variance: float, difference: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the probability that ``n`` units of weight 1 prove a candidate within ``margin`` (a share).

    ``variance`` is that of a unit's move, of which ``difference`` is the mean.

    Raises:
        ValueError: the margin is not in [0, 1), or the confidence not in (0, 1).
    """
    return _chance(n, _Test(1, check_margin(margin), 1 - confidence), variance, difference)


def unit_chance_of_regression(
    n: int, margin: float, variance: float, difference: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the probability that ``n`` units prove a candidate worse than ``margin``, as `unit_chance_of_holding`."""
    return _chance(n, _Test(-1, check_margin(margin), 1 - confidence), variance, difference)


@lru_cache(maxsize=256)
def units_needed(variance: float, margin: float, confidence: float = 0.95, power: float = 0.8) -> int | None:
    """Return about the fewest units with which an equal model is proved within ``margin`` with chance ``power``.

    `None` at a margin of 0, or where more than 10^8 would be needed.

    Raises:
        ValueError: the margin is not in [0, 1), or a level not in (0, 1).
    """
    fewest = fewest_units(margin, 1 - confidence)
    quantile(power)
    if fewest is None:
        return None
    low, high = fewest - 1, fewest
    while unit_chance_of_holding(high, margin, variance, 0.0, confidence) < power:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > max(1, low // 500):
        middle = (low + high) // 2
        enough = unit_chance_of_holding(middle, margin, variance, 0.0, confidence) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


@dataclass(frozen=True)
class _Test:
    """The test of being within ``margin`` (``toward`` 1) or beyond it (-1), at the level ``alpha``."""

    toward: int
    margin: float
    alpha: float

    def proves(self, n: int, gains: int, losses: int) -> bool:
        units = +Counter({Unit(1.0): gains, Unit(-1.0): losses, Unit(0.0): n - gains - losses})
        test = units_within if self.toward > 0 else units_beyond
        return test(units, self.margin).p("gaffke") <= self.alpha


def _chance(n: int, test: _Test, variance: float, difference: float) -> float:
    if n * variance < FEW:
        return sum(
            chance for gains, losses, chance in _outcomes(n, variance, difference) if test.proves(n, gains, losses)
        )
    mean, worst = test.toward * (difference + test.margin), 1 - test.toward * test.margin
    needed = worst + quantile(1 - test.alpha) * math.sqrt(n * (variance + mean * mean) + worst * worst)
    return upper_tail((needed - n * mean) / math.sqrt(n * variance))


def _outcomes(n: int, variance: float, difference: float) -> Iterator[tuple[int, int, float]]:
    """Yield (gains, losses, probability) of ``n`` units that move by 1, -1 or 0; all but 10^-6 of the probability."""
    moving = min(max(variance + difference * difference, abs(difference)), 1.0)
    gain, loss = max((moving + difference) / 2, 0.0), max((moving - difference) / 2, 0.0)
    for moved, at_all in _binomial(n, moving):
        for gains, share in _binomial(moved, gain / (gain + loss) if moving else 0.0):
            yield gains, moved - gains, at_all * share


def _binomial(n: int, share: float) -> Iterator[tuple[int, float]]:
    if share in (0.0, 1.0):
        yield round(n * share), 1.0
        return
    spread = 6 * math.sqrt(n * share * (1 - share)) + 6
    for k in range(max(0, math.floor(n * share - spread)), min(n, math.ceil(n * share + spread)) + 1):
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        chance = math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
        if chance > _NEGLIGIBLE / (n + 1):
            yield k, chance
