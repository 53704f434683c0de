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
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lynxgate.decision.statistics.normal import check_margin, quantile
from lynxgate.decision.statistics.paired import root

STEP = 0.05  # of the integral; the error against the binomial is 8e-13 up to 5,000 units
REACH = 24.0  # where the integral ends, unless its terms vanish before
NEGLIGIBLE = 1e-15
SLACK = 1e-6  # relative; a p value within it of the level is no proof
BETS = 5
_CHUNK = 16  # factors of one product, few enough that it does not overflow
_MOST = 10**9  # units; a larger number is reported as never

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
    return _test_above(units, check_margin(margin))


def units_beyond(units: Units, margin: float) -> UnitTest:
    """Test the null hypothesis "worse by at most ``margin``"; a small p proves a regression beyond it.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    return _test_above(_mirror(units), -check_margin(margin))


def units_interval(units: Units, confidence: float, *, proof: Proof = "gaffke") -> tuple[float, float]:
    """Return the two-sided interval of the weighted mean difference: what neither test rejects at its end.

    Each end is one-sided at ``(1 + confidence) / 2``, and accurate to 1e-9.

    Raises:
        ValueError: the confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence between 0 and 1 is needed, not {confidence}")
    alpha = (1 - confidence) / 2
    return _lower_limit(units, alpha, proof), 0.0 - _lower_limit(_mirror(units), alpha, proof)


def units_mean(units: Units) -> float:
    """Return the weighted mean difference of the units."""
    weight = sum(unit.weight * count for unit, count in units.items())
    return sum(unit.weight * unit.difference * count for unit, count in units.items()) / weight


@lru_cache(maxsize=1024)  # the buckets of a policy have few margins
def fewest_units(margin: float, alpha: float, *, proof: Proof = "gaffke") -> int | None:
    """Return the fewest units of weight 1 that can prove anything within ``margin`` if they do not differ.

    `None` at a margin of 0, or where more than 10^9 would be needed. Without a difference every unit multiplies
    Gaffke's p by ``1 - margin``.

    Raises:
        ValueError: the margin is not in [0, 1), or ``alpha`` not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a level between 0 and 1 is needed, not {alpha}")
    if not check_margin(margin):
        return None
    return _first(lambda n: units_within(Counter({Unit(0.0): n}), margin).p(proof) <= alpha, 1)


def units_to_settle(
    units: Units, margin: float, alpha: float, *, proof: Proof = "gaffke", family: int = 1
) -> int | None:
    """Estimate how many units in all would decide, if they stayed as those observed.

    A normal approximation of Gaffke's test at even odds; ``theorem`` is computed with repeated units. A regression has
    to be proved at ``alpha / family``. `None` where the mean lies on the margin, or 10^9 units would not be enough.

    Raises:
        ValueError: the margin is not in [0, 1), or ``alpha`` not in (0, 1).
    """
    n, mean = units.total(), units_mean(units) + check_margin(margin)
    fewest = 1
    if mean <= 0:
        units, margin, alpha = _mirror(units), -margin, alpha / family
    else:
        fewest = fewest_units(margin, alpha, proof=proof) or 1
    values = _shift(units, margin)
    mean = sum(value * count for value, count in values.items()) / n
    if mean <= 0:
        return None
    if proof == "theorem":
        # Each copy of the units multiplies the wealth of each gambler by the same factor.
        def is_settled(total: int) -> bool:
            return _betting_p(values, margin, total / n) * (1 + SLACK) <= alpha
    else:
        variance = sum((value - mean) ** 2 * count for value, count in values.items()) / n
        z, worst = quantile(1 - alpha), 1 - margin

        def is_settled(total: int) -> bool:
            return total * mean >= worst + z * math.sqrt(total * (variance + mean * mean) + worst * worst)

    return _first(is_settled, max(n + 1, fewest))


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """Return the smallest number from ``start`` on that ``holds``; `None`: too large. Once true, it stays true."""
    low, high = start - 1, start
    while not holds(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _test_above(units: Units, margin: float) -> UnitTest:
    """Test "the mean is at most ``-margin``", for a margin in (-1, 1)."""
    values = _shift(units, margin)
    return UnitTest(gaffke_p(values, 1 - margin), betting_p(values, margin))


def _lower_limit(units: Units, alpha: float, proof: Proof) -> float:
    """Return the mean below which every mean is rejected at ``alpha``, in [-1, 1]."""
    z, lowest, highest = quantile(1 - alpha), -1 + 1e-9, 1 - 1e-9

    def excess(mean: float) -> float:
        # On the scale of the normal distribution p is almost straight, so that few steps are needed.
        p = _test_above(units, -mean).p(proof)
        return -quantile(min(max(p, 1e-300), 1 - 1e-15)) - z

    mean = units_mean(units)
    weight = sum(unit.weight * count for unit, count in units.items())
    squares = sum((unit.weight * (unit.difference - mean)) ** 2 * count for unit, count in units.items())
    # A standard error, and the share of a unit that Gaffke's test adds.
    guess = mean - z * (math.sqrt(squares) + 1) / weight
    high = min(max(mean, lowest), highest)
    for low in (max(mean - 2 * (mean - guess), lowest), lowest):
        if low < high and excess(low) > 0:
            return root(excess, low, high, accuracy=1e-9)
    return -1.0


def _mirror(units: Units) -> Units:
    mirrored: Units = Counter()
    for unit, count in units.items():
        mirrored[Unit(-unit.difference, unit.weight)] += count
    return mirrored


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
    return _betting_p(values, margin, 1.0)


def _betting_p(values: Counter[float], margin: float, copies: float) -> float:
    counted = sorted(values.items())
    logs = [copies * sum(count * _log1p(bet * value) for value, count in counted) for bet in _bets(margin)]
    highest = max(logs)
    if highest == -math.inf:
        return 1.0
    mean = sum(math.exp(each - highest) for each in logs) / len(logs)
    return min(1.0, math.exp(min(-highest - math.log(mean), 0.0)))


def _bets(margin: float) -> list[float]:
    """Return the fixed bets: the margin over variances from that of units that never differ to 0.5.

    For the mirrored hypothesis the smallest unit is ``-(1 + margin)``, which bounds the bets. A margin of 0 names no
    scale, so the bets are spread.
    """
    size = abs(margin)
    if not size:
        return [0.5 / 4**k for k in range(BETS)]
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
    single = [value for value, count in weights if count == 1]
    chunks = [single[i : i + _CHUNK] for i in range(0, len(single), _CHUNK)]
    repeated = [(value, count) for value, count in weights if count > 1]
    total, j = cosine / 2, 1
    while (x := j * STEP) <= REACH:
        z = saddle + width * complex(sine * (math.cosh(x) - 1), cosine * math.sinh(x))
        # A product has one logarithm; which branch it is on does not matter, since it is exponentiated.
        logarithm = -cmath.log(z) - at_saddle - sum(count * cmath.log(1 + z * value) for value, count in repeated)
        logarithm -= sum(cmath.log(math.prod([1 + z * value for value in chunk])) for chunk in chunks)
        term: complex = cmath.exp(logarithm) * complex(cosine * math.cosh(x), -sine * math.sinh(x))
        total += term.real
        if abs(term) < NEGLIGIBLE:
            break
        j += 1
    return float(min(max(STEP * width / math.pi * math.exp(at_saddle) * total, 0.0), 1.0))


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
