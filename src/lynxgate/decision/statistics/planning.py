"""Compute how many examples a decision needs: before anything is measured, and for an inconclusive row.

- Figures of power are normal approximations at the stated disagreement; chances are exact sums (`chance_of_holding`).
- `None` means that no number of examples, or no drop, is enough.
"""

from __future__ import annotations

import math
from functools import partial

from lynxgate.decision.statistics.decision import (
    EXACT_ROWS,
    correction,
    inferiority,
    noninferior,
    noninferiority,
)
from lynxgate.decision.statistics.exact import critical_z, holding_limits, holding_probability
from lynxgate.decision.statistics.normal import check_margin, quantile
from lynxgate.decision.statistics.paired import Pairs, tango_z

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


def _reach(confidence: float, power: float) -> float:
    """Return ``z_a + z_b``: the distance in standard errors that a test of this confidence detects with this power."""
    return max(quantile(confidence) + quantile(power), 0.0)


def examples_needed(disagreement: float, margin: float, confidence: float = 0.95, power: float = 0.8) -> int | None:
    """Return the examples with which an equal model is proved non-inferior with probability ``power``.

    ``(z_a + z_b)^2 pi / D^2``, with ``pi`` the disagreement and ``D`` the margin, both shares (compare J. Nam,
    Biometrics 53 (1997) 1422-1430); never fewer than `smallest_n_ever`.

    Raises:
        ValueError: a share is outside [0, 1], or a level outside (0, 1).
    """
    _check_share(disagreement)
    fewest = smallest_n_ever(margin, confidence)
    if fewest is None:
        return None
    return max(math.ceil(_reach(confidence, power) ** 2 * disagreement / margin**2), fewest)


def minimum_detectable_drop(
    n: int, disagreement: float, margin: float = 0.0, confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the smallest true drop (a share) that ``n`` examples prove beyond ``margin`` with probability ``power``.

    ``margin + (z_a + z_b) sqrt(pi / n)``, with ``pi`` the disagreement. A drop cannot be larger than the disagreement;
    where it would be, the disagreement is taken to be the drop itself, and the equation is solved for it.

    Raises:
        ValueError: ``n`` is below 1, or a share or a level is out of range.
    """
    _check_share(disagreement)
    check_margin(margin)
    if n < 1:
        raise ValueError(f"no comparison without an example (n = {n})")
    step = _reach(confidence, power) / math.sqrt(n)
    drop = margin + step * math.sqrt(disagreement)
    if drop > disagreement:
        # drop = margin + step sqrt(drop), a quadratic in sqrt(drop).
        drop = ((step + math.sqrt(step * step + 4 * margin)) / 2) ** 2
    return drop if drop <= 1 else None


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
    """Return the exact probability that ``n`` examples prove non-inferiority, for models with these true shares.

    ``difference`` is candidate minus baseline. At a difference of 0, one minus the result is how often the rule
    `noninferior` blocks an equal model by this bucket. At ``-margin`` the result is the rate of false passes.

    Raises:
        ValueError: a figure is out of range, or ``abs(difference) > disagreement``.
    """
    z = _critical(n, margin, confidence)
    limits = holding_limits(n, margin, z, correction(margin, z, 1) if n > EXACT_ROWS else 0.0)
    return holding_probability(limits, disagreement, difference)[0]


def chance_of_regression(
    n: int, margin: float, disagreement: float, difference: float = 0.0, confidence: float = 0.95
) -> float:
    """Return the exact probability that ``n`` examples prove a drop beyond ``margin``, for models with these shares.

    At a difference of 0 this is how often an equal model is blocked by this bucket. Among ``m`` buckets Holm's method
    proves the worst one only at ``1 - (1 - confidence) / m``: pass that confidence.

    Raises:
        ValueError: a figure is out of range, or ``abs(difference) > disagreement``.
    """
    check_margin(margin)
    if n < 1:
        raise ValueError(f"no comparison without an example (n = {n})")
    limits = holding_limits(n, margin, -quantile(confidence), strict=True)
    return max(1 - sum(holding_probability(limits, disagreement, difference)), 0.0)


def _critical(n: int, margin: float, confidence: float) -> float:
    quantile(confidence)
    return quantile(confidence) if n > EXACT_ROWS else critical_z(n, margin, 1 - confidence)


def _check_share(disagreement: float) -> None:
    if not 0 <= disagreement <= 1:
        raise ValueError(f"a disagreement is a share between 0 and 1, not {disagreement}")
