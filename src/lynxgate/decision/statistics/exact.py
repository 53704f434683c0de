"""Exact probabilities of Tango's statistic, as sums over every outcome (gains, losses) of n examples.

The region of the statistic is summed by the number of disagreements ``m``, which is binomial. Given ``m``, the losses
are binomial with a share that does not depend on ``m``, and the largest loss inside the region grows by 0 or 1 from
``m`` to ``m + 1``. One pass over ``m`` therefore gives the whole double sum.

- `size` is the supremum over the one parameter that the null hypothesis leaves open, the disagreement. The statistic
  is monotone in gains and losses, so a composite null hypothesis is worst at its boundary ``d = -margin``.
- Numbers of disagreements more than eight standard deviations from their mean are counted as inside the region: an
  error of at most 1e-9 that can only make the test stricter.
- The supremum is searched on a grid finer than the scale on which the function varies, with both ends, then refined
  at each local maximum. This is not a proof between grid points; tests compare it with a grid that is twenty times
  finer.
- The statistic is monotone in gains and losses, so the regions of two outcomes contain each other, and p is monotone as
  far as the suprema are found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from lynxgate.decision.statistics.normal import check_margin, quantile
from lynxgate.decision.statistics.paired import root

SLACK = 1e-9  # outcomes whose statistic equals the limit up to rounding are all on one side of it
_NEGLIGIBLE = 1e-12  # terms below this share of a sum are left out
_NEVER = 40.0  # no sum of floats resolves a smaller probability
_GOLDEN = (math.sqrt(5) - 1) / 2
_REFINEMENTS = 18  # to 1e-4 of a standard deviation, and f to 1e-9


def holding_limits(n: int, margin: float, z: float, correction: float = 0.0, *, strict: bool = False) -> list[int]:
    """Return for each number of disagreements 0..n the most losses with ``tango_z >= z`` at ``d0 = -margin``; -1: none.

    With ``strict`` the condition is ``> z``. ``correction`` is that of `tango_z`, in examples.
    """
    return _limits_between(n, margin, z, 0, n, correction=correction, strict=strict)


def _limits_between(
    n: int, margin: float, z: float, first: int, last: int, *, correction: float, strict: bool
) -> list[int]:
    limit = z + SLACK if strict else z - SLACK
    low, losses = -1, first
    while low < losses:
        middle = (low + losses + 1) // 2
        if middle < 0 or _holds(n, first, middle, margin, limit=limit, correction=correction):
            low = middle
        else:
            losses = middle - 1
    limits = [losses]
    for m in range(first + 1, last + 1):
        # One more disagreement admits the same number of losses, or one more.
        if losses < m and _holds(n, m, losses + 1, margin, limit=limit, correction=correction):
            losses += 1
        limits.append(losses)
    return limits


def _holds(n: int, m: int, losses: int, margin: float, *, limit: float, correction: float) -> bool:
    # `tango_z` at d0 = -margin, inlined: this is the innermost loop of every exact figure.
    b = -m - (2 * n - m + 2 * losses) * margin
    e = math.sqrt(8 * n * losses * margin * (1 + margin))
    p = (math.sqrt(max(-b - e, 0.0)) * math.sqrt(e - b) - b) / (4 * n)
    spread = math.sqrt(max(n * (2 * p - margin * (1 + margin)), 0.0))
    above = m - 2 * losses + n * margin
    if correction:
        above = math.copysign(max(abs(above) - correction, 0.0), above)
    return above >= limit * spread if spread else above > 0 or limit <= 0 == above


def holding_probability(limits: Sequence[int], disagreement: float, difference: float) -> tuple[float, float]:
    """Return the probability of the outcomes within ``limits``, and of the outcomes that were not summed.

    ``limits`` come from `holding_limits`; ``disagreement`` and ``difference`` are the true shares.

    Raises:
        ValueError: ``abs(difference) <= disagreement <= 1`` does not hold.
    """
    return probability_within(len(limits) - 1, lambda first, last: limits[first : last + 1], disagreement, difference)


def holding_chance(
    n: int,
    margin: float,
    z: float,
    disagreement: float,
    difference: float,
    *,
    correction: float = 0.0,
    strict: bool = False,
) -> tuple[float, float]:
    """Return `holding_probability` of `holding_limits`, in a time that grows with ``sqrt(n)``.

    Raises:
        ValueError: as `holding_probability`.
    """
    return probability_within(
        n,
        lambda first, last: _limits_between(n, margin, z, first, last, correction=correction, strict=strict),
        disagreement,
        difference,
    )


def probability_within(
    n: int, limits_between: Callable[[int, int], Sequence[int]], disagreement: float, difference: float
) -> tuple[float, float]:
    """Return `holding_probability` of limits that are computed for the numbers of disagreements first..last.

    Raises:
        ValueError: as `holding_probability`.
    """
    if not abs(difference) <= disagreement <= 1:
        raise ValueError(f"models that differ by {difference} cannot disagree on {disagreement} of the examples")
    # Of the disagreements, losses have the share (disagreement - difference) / 2 / disagreement.
    share = min((1 - difference / disagreement) / 2, 1.0) if disagreement else 0.5
    if 1 - disagreement < 1e-14:
        disagreement = 1.0  # an agreement is less likely than what is summed, and powers of its chance underflow
    mean = n * disagreement
    reach = 8 * math.sqrt(mean * (1 - disagreement)) + 20
    first, last = max(0, math.floor(mean - reach)), min(n, math.ceil(mean + reach))
    if disagreement in (0.0, 1.0):
        first = last = round(mean)
    inside, seen = _sum_by_disagreements(n, limits_between(first, last), disagreement, share, first)
    return min(inside, 1.0), max(1 - seen, 0.0)


def _sum_by_disagreements(
    n: int, limits: Sequence[int], disagreement: float, share: float, first: int
) -> tuple[float, float]:
    """Return the sums over m of P(m disagreements) P(losses within the limit | m), and of P(m), by recurrence.

    ``limits`` are those of ``first`` and more disagreements. This is the innermost loop of every supremum.
    """
    k, gain = limits[0], 1 - share
    odds = disagreement / (1 - disagreement) if disagreement < 1 else 0.0
    weight = _binomial(n, disagreement, first)
    # ``point`` is P(losses = k | m), ``below`` is P(losses <= k | m).
    point = _binomial(first, share, k)
    below = _lower_sum(first, share, k, point)
    inside, seen = weight * below, weight
    for m, limit in enumerate(limits[1:], first + 1):
        weight *= (n - m + 1) / m * odds
        # One more disagreement under the same limit: the mass at k moves out with chance ``share``. Then the limit may
        # grow by one.
        below -= share * point
        point *= m / (m - k) * gain
        if limit > k:
            k += 1
            point = point * (m + 1 - k) / k * share / gain if k and gain else _binomial(m, share, k)
            below += point
        inside += weight * below
        seen += weight
    return inside, seen


def _binomial(n: int, share: float, k: int) -> float:
    """Return P(X = k) for X binomial with n trials."""
    if k < 0 or k > n:
        return 0.0
    if share in (0.0, 1.0):
        return float(k == n * share)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))


def _lower_sum(n: int, share: float, k: int, point: float) -> float:
    """Return P(X <= k) for X binomial with n trials; ``point`` is P(X = k)."""
    if k < 0:
        return 0.0
    if k >= n or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    if k > n * share:
        # Above the mean the other tail is the shorter sum.
        return 1 - _lower_sum(n, 1 - share, n - k - 1, _binomial(n, 1 - share, n - k - 1))
    total, odds = 0.0, (1 - share) / share
    for losses in range(k, -1, -1):
        total += point
        point *= losses / (n - losses + 1) * odds
        if point < total * _NEGLIGIBLE:
            break
    return total


def supremum(f: Callable[[float], float], n: int, margin: float) -> tuple[float, float]:
    """Return the largest value of ``f`` over disagreements in [margin, 1], and where it is; ``f`` sums ``n`` examples.

    ``disagreement = margin + (1 - margin) sin^2(angle)``. The Fisher information of ``n`` trinomial examples at
    ``d = -margin`` is then between ``2 n (1 - margin)`` and ``4 n (1 - margin)`` for every angle, so the arc length of
    the trinomial (compare F. J. Anscombe, Biometrika 35 (1948) 246-254) grows almost evenly with the angle. The grid
    has a point in each standard deviation, and both ends. It is halved, and then each local maximum refined, wherever
    a hill could pass the highest point. The room allowed for that is eight times the rise of a parabola.
    """
    count = max(math.ceil(math.pi * math.sqrt(n * (1 - margin))), 8)
    step = math.pi / 2 / count

    def share_of(angle: float) -> float:
        # The upper end is exact: the sine of a rounded arc would be slightly off.
        return 1.0 if angle >= step * count else min(margin + (1 - margin) * math.sin(angle) ** 2, 1.0)

    def at(angle: float) -> tuple[float, float]:
        return angle, f(share_of(angle))

    points = [at(i * step) for i in range(count + 1)]
    highest, room = max(height for _, height in points), _bend(points)
    points += [
        at((i + 0.5) * step)
        for i in range(count)
        if max(points[i][1], points[i + 1][1]) + max(room[i], room[i + 1]) > highest
    ]
    points.sort()
    angle, highest = max(points, key=lambda point: point[1])
    room = _bend(points)
    for i, (_, height) in enumerate(points):
        around = points[max(i - 1, 0) : i + 2]
        if height == max(each for _, each in around) and height + room[i] > highest:
            found = _refine(at, around[0][0], around[-1][0])
            angle, highest = max((angle, highest), found, key=lambda point: point[1])
    return highest, share_of(angle)


def _bend(points: Sequence[tuple[float, float]]) -> list[float]:
    """Return the second difference at each point, without its sign; at an end, that of its neighbour."""
    heights = [height for _, height in points]
    inner = [abs(a + c - 2 * b) for a, b, c in zip(heights, heights[1:], heights[2:], strict=False)]
    return [inner[0], *inner, inner[-1]]


def _refine(at: Callable[[float], tuple[float, float]], low: float, high: float) -> tuple[float, float]:
    """Return the highest point between ``low`` and ``high``, by golden section (one maximum)."""
    left, right = at(high - _GOLDEN * (high - low)), at(low + _GOLDEN * (high - low))
    for _ in range(_REFINEMENTS):
        if left[1] > right[1]:
            high, right = right[0], left
            left = at(high - _GOLDEN * (high - low))
        else:
            low, left = left[0], right
            right = at(low + _GOLDEN * (high - low))
    return max(left, right, key=lambda point: point[1])


@lru_cache(maxsize=4096)
def size(n: int, margin: float, z: float, correction: float = 0.0) -> tuple[float, float]:
    """Return the largest probability of ``tango_z >= z`` when the candidate is truly ``margin`` worse, and where.

    ``n`` examples; ``margin`` is a share; "where" is the disagreement. This is the exact false-pass rate of a gate that
    passes at ``z``.

    Raises:
        ValueError: ``n`` is below 1, or the margin is outside [0, 1).
    """
    _check(n, margin)
    limits = holding_limits(n, margin, z, correction)
    return supremum(lambda share: sum(holding_probability(limits, share, -margin)), n, margin)


@lru_cache(maxsize=4096)
def worse_size(n: int, margin: float, z: float, correction: float = 0.0) -> tuple[float, float]:
    """Return the largest probability of ``tango_z <= z`` when the candidate is only ``margin`` worse, and where.

    This is the exact false-block rate of a gate that takes ``z`` as proof of a regression.

    Raises:
        ValueError: ``n`` is below 1, or the margin is outside [0, 1).
    """
    _check(n, margin)
    limits = holding_limits(n, margin, z, correction, strict=True)
    return supremum(lambda share: 1 - holding_probability(limits, share, -margin)[0], n, margin)


@lru_cache(maxsize=1024)
def critical_z(n: int, margin: float, alpha: float, toward: int = 1) -> float:
    """Return the smallest limit, at least the normal quantile, at which Tango's statistic holds the level exactly.

    ``toward`` 1: `size` of the limit is at most ``alpha``. ``toward`` -1: `worse_size` of minus the limit is. The
    result is at most 1e-5 too large, never too small; infinite where rounding alone exceeds the level.

    Raises:
        ValueError: ``n`` is below 1, the margin is outside [0, 1), or the level is outside (0, 1).
    """
    normal = quantile(1 - alpha)

    def level(limit: float) -> float:
        return (size(n, margin, limit) if toward > 0 else worse_size(n, margin, -limit))[0]

    if level(normal) <= alpha:
        return normal
    low, high = normal, normal + 0.1
    while level(high) > alpha:
        low, high = high, high + 2 * (high - normal)
        if high > _NEVER:
            return math.inf
    found = root(lambda limit: level(limit) - alpha, low, high, accuracy=3e-6)
    # The level falls in steps, and the root may lie on either side of one.
    while level(found) > alpha:
        found += 3e-6
    return found


def _check(n: int, margin: float) -> None:
    check_margin(margin)
    if n < 1:
        raise ValueError(f"no comparison without an example (n = {n})")
