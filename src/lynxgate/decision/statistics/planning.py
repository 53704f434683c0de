"""Compute how many examples a decision needs: before anything is measured, and for an inconclusive row.

- Figures of power are solved with the chances that the gate's own tests have: sums over every outcome, in a time that
  grows with the square root of the number of examples.
- `None` means that no number of examples, or no drop, is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

from lynxgate.decision.statistics.decision import (
    EXACT_ROWS,
    correction,
    inferiority,
    noninferior,
    noninferiority,
)
from lynxgate.decision.statistics.exact import critical_z, holding_chance
from lynxgate.decision.statistics.normal import check_margin, quantile
from lynxgate.decision.statistics.paired import Pairs, tango_z

SHARP_ROWS = 500  # up to here the critical z of a plan is that of this very number of examples
_MOST_EXACT = 10**8  # examples; a larger need is left as the normal approximation
_STRIDE = 1.01
_MOST = 10**9  # examples; a larger number is reported as never


def smallest_n_tango(margin: float, confidence: float = 0.95) -> int | None:
    """Return the fewest examples at which Tango's test passes without disagreement: ``n > z^2 (1 - D) / D``.

    ``D`` is the margin, a share.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    if not check_margin(margin):
        return None
    z = max(quantile(confidence), 0.0)
    return math.floor(z * z * (1 - margin) / margin) + 1


def smallest_n_ever(margin: float, confidence: float = 0.95) -> int | None:
    """Return the fewest examples with which a bucket can be proved non-inferior by the gate's own test (`noninferior`).

    Without a disagreement the exact test needs at least about ``ln(1 - confidence) / ln(1 - margin)`` examples: with
    fewer, a candidate that is worse by the margin shows no loss with a chance above the level.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    fewest = smallest_n_tango(margin, confidence)
    if fewest is None:
        return None
    n = max(fewest, math.ceil(math.log(1 - confidence) / math.log1p(-margin)))
    while n <= EXACT_ROWS:
        if noninferior(Pairs(n, 0, 0), margin, confidence):
            return n
        n += 1
    # Beyond `EXACT_ROWS` the test is a formula and monotone in n: double, then bisect.
    low, high = n - 1, n
    while not noninferior(Pairs(high, 0, 0), margin, confidence):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if noninferior(Pairs(middle, 0, 0), margin, confidence) else (middle, high)
    return high


@lru_cache(maxsize=256)
def examples_needed(disagreement: float, margin: float, confidence: float = 0.95, power: float = 0.8) -> int | None:
    """Return about the fewest examples with which an equal model is proved non-inferior with chance ``power``.

    The search starts at ``(z_a + z_b)^2 pi / D^2``, with ``pi`` the disagreement and ``D`` the margin, both shares
    (compare J. Nam, Biometrics 53 (1997) 1422-1430), and goes on with `chance_of_holding`. That chance rises in small
    steps up and down; the result has at least the power. Never fewer than `smallest_n_ever`.

    Raises:
        ValueError: a share is outside [0, 1], or a level outside (0, 1).
    """
    _check_share(disagreement)
    reach, fewest = max(quantile(confidence) + quantile(power), 0.0), smallest_n_ever(margin, confidence)
    if fewest is None:
        return None

    n = max(math.ceil(reach**2 * disagreement / margin**2), fewest)
    if n > _MOST_EXACT:
        return n
    # The critical z changes little with n, and costs the most: the search uses that of its start, twice.
    for _ in range(2):
        n = _search(partial(_has_power, margin, _critical(n, margin, confidence, 1), disagreement, power), n, fewest)
    while chance_of_holding(n, margin, disagreement, 0.0, confidence) < power:
        n = math.ceil(n * _STRIDE)
    return n


def _has_power(margin: float, z: float, disagreement: float, power: float, n: int) -> bool:
    return _holding_chance(n, margin, z, disagreement, 0.0) >= power


def _search(holds: Callable[[int], bool], n: int, fewest: int) -> int:
    """Return about the smallest number, at least ``fewest``, that ``holds``; ``n`` is a guess."""
    while n > fewest and holds(n):
        n = max(math.floor(n / _STRIDE), fewest)
    while not holds(n):
        n = math.ceil(n * _STRIDE)
    return n


def minimum_detectable_drop(
    n: int, disagreement: float, margin: float = 0.0, confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the smallest true drop (a share) that ``n`` examples prove beyond ``margin`` with chance ``power``.

    A drop cannot be larger than the disagreement; where it would be, the disagreement is taken to be the drop itself.
    `None` where even the largest drop is not proved. Accurate to 1e-4.

    Raises:
        ValueError: ``n`` is below 1, or a share or a level is out of range.
    """
    check_margin(margin)
    quantile(confidence)
    return find_smallest_drop(
        lambda share, difference: chance_of_regression(n, margin, share, difference, confidence), disagreement, power
    )


def find_smallest_drop(chance: Callable[[float, float], float], disagreement: float, power: float) -> float | None:
    """Return the smallest drop with a ``chance`` (of a disagreement and a difference) of at least ``power``.

    Raises:
        ValueError: the disagreement is outside [0, 1], or the power outside (0, 1).
    """
    _check_share(disagreement)
    quantile(power)

    def sees(drop: float) -> bool:
        return chance(max(disagreement, drop), -drop) >= power

    if not sees(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if sees(middle) else (middle, high)
    return high


def examples_to_settle(pairs: Pairs, margin: float, confidence: float = 0.95, family: int = 1) -> int | None:
    """Estimate how many examples in all would decide this row, if its rates of gains and losses stayed as observed.

    Z grows with ``sqrt(n)``, so the estimate starts at ``n (z / Z)^2`` and grows in steps of 3 % until the gate's
    own test decides. Among a ``family`` of buckets Holm's method proves the worst one only at a level divided by their
    number, so a regression has to be proved at that. `None` when the observation lies on the margin, or so near that
    10^9 examples would not be enough.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    level = 1 - confidence if z > 0 else (1 - confidence) / family
    test = noninferiority if z > 0 else partial(inferiority, exact=True)
    grown = max((quantile(1 - level) / z) ** 2, 1.0) if z else math.inf
    while pairs.n * grown <= _MOST:
        scaled = Pairs(
            max(math.ceil(pairs.n * grown), pairs.n + 1), round(pairs.gains * grown), round(pairs.losses * grown)
        )
        if test(scaled, margin, level).p < level:
            return scaled.n
        grown *= 1.03
    return None


def chance_of_holding(
    n: int, margin: float, disagreement: float, difference: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the probability that ``n`` examples prove non-inferiority, for models with these true shares.

    ``difference`` is candidate minus baseline. At a difference of 0, one minus the result is how often the rule
    `noninferior` blocks an equal model by this bucket. At ``-margin`` the result is the rate of false passes. Exact up
    to `SHARP_ROWS` examples and above `EXACT_ROWS`, at most half a percentage point too small between them.

    Raises:
        ValueError: a figure is out of range, or ``abs(difference) > disagreement``.
    """
    return _holding_chance(n, margin, _critical(n, margin, confidence, 1), disagreement, difference)


def _holding_chance(n: int, margin: float, z: float, disagreement: float, difference: float) -> float:
    moved = correction(margin, z, 1) if n > EXACT_ROWS else 0.0
    return holding_chance(n, margin, z, disagreement, difference, correction=moved)[0]


def chance_of_regression(
    n: int, margin: float, disagreement: float, difference: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the probability that ``n`` examples prove a drop beyond ``margin``, for models with these shares.

    At a difference of 0 this is how often an equal model is blocked by this bucket. Among ``m`` buckets Holm's method
    proves the worst one only at ``1 - (1 - confidence) / m``: pass that confidence. As accurate as `chance_of_holding`.

    Raises:
        ValueError: a figure is out of range, or ``abs(difference) > disagreement``.
    """
    z = _critical(n, margin, confidence, -1)
    moved = correction(margin, z, -1) if n > EXACT_ROWS else 0.0
    return max(1 - sum(holding_chance(n, margin, -z, disagreement, difference, correction=moved, strict=True)), 0.0)


def _critical(n: int, margin: float, confidence: float, toward: int) -> float:
    """Return the z at which the gate decides; above `SHARP_ROWS` that of so many, which is a little larger."""
    check_margin(margin)
    if n < 1:
        raise ValueError(f"no comparison without an example (n = {n})")
    if n > EXACT_ROWS:
        return quantile(confidence)
    return critical_z(min(n, SHARP_ROWS), margin, 1 - confidence, toward)


def _check_share(disagreement: float) -> None:
    if not 0 <= disagreement <= 1:
        raise ValueError(f"a disagreement is a share between 0 and 1, not {disagreement}")
