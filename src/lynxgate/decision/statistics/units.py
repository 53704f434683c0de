"""Tests over bounded units: groups of rows, graded scores, and several trials of a row.

The unit of evidence is what was drawn independently: a row, or, where rows share a group, the group. A unit has a mean
difference ``d`` in [-1, 1] (candidate minus baseline) and a weight in (0, 1]. The null hypothesis is that the weighted
mean of ``d + margin`` is at most 0; rows inside a unit may depend on each other in any way.

- `gaffke_p` decides (N. Gaffke, Three test statistics for a nonparametric one-sided hypothesis on the mean of a
  nonnegative variable, Mathematical Methods of Statistics 14 (2005) 451-467): the chance that a sum of units, each
  weighted by an exponential variable, is not above a worst unit with a weight of its own. It is proved for one unit
  and for units of two values, and a conjecture in general.
- `betting_p` is proved (I. Waudby-Smith and A. Ramdas, Journal of the Royal Statistical Society B 86 (2024) 1-27), with
  bets that are fixed before the data, so that the order of the units does not matter. It needs more units.
- Both are monotone: a unit that rises never raises ``p``.
"""

from __future__ import annotations

import cmath
import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from lynxgate.decision.statistics.normal import check_margin

STEP = 0.05  # of the integral; the error against the binomial is 8e-13 up to 5,000 units
REACH = 24.0  # where the integral ends, unless its terms vanish before
NEGLIGIBLE = 1e-15
SLACK = 1e-6  # relative; a p value within it of the level is no proof
BETS = 5

Proof = Literal["gaffke", "theorem"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The mean difference of a unit, in [-1, 1], and its weight, in (0, 1]."""

    difference: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of range.
        """
        if not -1 <= self.difference <= 1 or not 0 < self.weight <= 1:
            raise ValueError(f"a unit has a difference in [-1, 1] and a weight in (0, 1], not {self}")


Units = Counter[Unit]  # how often each unit occurs: equal ones are computed once


@dataclass(frozen=True, slots=True)
class UnitTest:
    """The p values of one hypothesis: the conjectured one, and the proved one."""

    gaffke: float
    theorem: float

    def p(self, proof: Proof) -> float:
        """Return the p value that decides; it is a proof at ``alpha`` when it is at most ``alpha / (1 + SLACK)``."""
        return (self.gaffke if proof == "gaffke" else self.theorem) * (1 + SLACK)


def units_within(units: Units, margin: float) -> UnitTest:
    """Test the null hypothesis "worse by ``margin`` (a share) or more"; a small p proves non-inferiority.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    shifted = _shift(units, check_margin(margin))
    return UnitTest(gaffke_p(shifted, 1 - margin), betting_p(shifted, margin))


def units_beyond(units: Units, margin: float) -> UnitTest:
    """Test the null hypothesis "worse by at most ``margin``"; a small p proves a regression beyond it.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    mirrored: Counter[float] = Counter()
    for value, count in _shift(units, check_margin(margin)).items():
        mirrored[-value] += count
    return UnitTest(gaffke_p(mirrored, 1 + margin), betting_p(mirrored, -margin))


def fewest_units(margin: float, alpha: float, *, proof: Proof = "gaffke") -> int | None:
    """Return the fewest units of weight 1 that can prove anything within ``margin``; `None` at a margin of 0.

    Without a difference every unit multiplies Gaffke's p by ``1 - margin``.

    Raises:
        ValueError: the margin is not in [0, 1), or ``alpha`` not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a level between 0 and 1 is needed, not {alpha}")
    if not check_margin(margin):
        return None
    n = max(math.ceil(math.log(alpha) / math.log1p(-margin)), 1)
    while units_within(Counter({Unit(0.0): n}), margin).p(proof) > alpha:
        n += 1
    return n


def gaffke_p(values: Counter[float], worst: float) -> float:
    """Return ``P(sum of y E <= worst E_0)``, all E independent standard exponential variables.

    ``values`` counts the ``y``; ``worst`` is above 0. Exact up to about 1e-12, by the integral of the characteristic
    function along a path through its saddle point.
    """
    kept = {value: count for value, count in values.items() if value}
    if all(value < 0 for value in kept):
        return 1.0
    if all(value > 0 for value in kept):
        return math.exp(-sum(count * math.log1p(value / worst) for value, count in kept.items()))
    weights = Counter(kept)
    weights[-worst] += 1
    if sum(value * count for value, count in weights.items()) < 0:
        return 1 - _chance_below_zero(sorted((-value, count) for value, count in weights.items()))
    return _chance_below_zero(sorted(weights.items()))


def betting_p(values: Counter[float], margin: float) -> float:
    """Return the proved p value of units ``y = d + margin``; a negative ``margin`` is that of the mirrored hypothesis.

    The wealth of a gambler is a product over the units of ``1 + b y``, and never negative; p is one over the mean of
    the wealth of `BETS` gamblers, each with a bet of its own.
    """
    logs = [sum(count * _log1p(bet * value) for value, count in sorted(values.items())) for bet in _bets(margin)]
    highest = max(logs)
    if highest == -math.inf:
        return 1.0
    mean = sum(math.exp(each - highest) for each in logs) / len(logs)
    return min(1.0, math.exp(min(-highest - math.log(mean), 0.0)))


def _bets(margin: float) -> list[float]:
    """Return the fixed bets: the margin over variances from that of units that never differ to 0.5.

    For the mirrored hypothesis the smallest unit is ``-(1 + margin)``, which bounds the bets.
    """
    size = abs(margin)
    if not size:
        return [0.0]
    largest = 1 / (1 - size) if margin > 0 else 1 / (1 + size)
    smallest = min(2 * size, largest)
    ratio = (smallest / largest) ** (1 / (BETS - 1))
    return [largest * ratio**k for k in range(BETS)]


def _log1p(value: float) -> float:
    return math.log1p(value) if value > -1 else -math.inf


def _shift(units: Units, margin: float) -> Counter[float]:
    shifted: Counter[float] = Counter()
    for unit, count in units.items():
        shifted[unit.weight * (unit.difference + margin)] += count
    return shifted


def _chance_below_zero(weights: list[tuple[float, int]]) -> float:
    """Return ``P(sum of w E <= 0)`` for weights of both signs, ascending, with their counts; their sum is not negative.

    The transform of the sum's distribution is ``f(z) = 1 / (z product of (1 + z w))``. The path is a hyperbola through
    the saddle point of ``f``, bent by its skewness.
    """
    saddle = _find_saddle(weights)
    slopes = [(value / (1 + saddle * value), count) for value, count in weights]
    width = (saddle**-2 + sum(count * slope**2 for slope, count in slopes)) ** -0.5
    third = -2 * saddle**-3 - 2 * sum(count * slope**3 for slope, count in slopes)
    sine = min(max(third * width**3 / 3, -0.5), 0.5)
    cosine = math.sqrt(1 - sine * sine)
    at_saddle = -math.log(saddle) - sum(count * math.log1p(saddle * value) for value, count in weights)
    total, j = cosine / 2, 1
    while (x := j * STEP) <= REACH:
        z = saddle + width * complex(sine * (math.cosh(x) - 1), cosine * math.sinh(x))
        logarithm = -cmath.log(z) - sum(count * cmath.log(1 + z * value) for value, count in weights) - at_saddle
        term = cmath.exp(logarithm) * complex(cosine * math.cosh(x), -sine * math.sinh(x))
        total += float(term.real)
        if abs(term) < NEGLIGIBLE:
            break
        j += 1
    return min(max(STEP * width / math.pi * math.exp(at_saddle) * total, 0.0), 1.0)


def _find_saddle(weights: list[tuple[float, int]]) -> float:
    """Return where ``f`` is smallest between 0 and its pole at ``-1 / min w``; the slope of its logarithm increases."""

    def slope(z: float) -> float:
        return -1 / z - sum(count * value / (1 + z * value) for value, count in weights)

    low, high = 0.0, -1 / weights[0][0]
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if slope(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
