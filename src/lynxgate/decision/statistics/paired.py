"""Compare two models on the same examples: the counts, Tango's score test and its interval.

Sources: T. Tango, Statistics in Medicine 17 (1998) 891-908; J. Nam, Biometrics 53 (1997) 1422-1430.

- ``d = (gains - losses) / n`` is candidate minus baseline, a share of the examples; ``d0`` is its value under the
  null hypothesis, so non-inferiority within a margin is tested at ``d0 = -margin``.
- The variance is the one estimated *under* ``d0``. It does not vanish when the models never disagree, so that a
  small bucket without disagreement proves nothing.
- Only counts enter. Counts of shards can be added, so any engine may have counted them.
- `tango_z` is Tango's statistic as published; `lynxgate.decision.statistics.decision` adds the exact level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from lynxgate.decision.statistics.normal import two_sided_quantile


@dataclass(frozen=True)
class Pairs:
    """Two models on the same ``n`` examples: gains (only the candidate is right) and losses (only the baseline is).

    Raises:
        ValueError: there is no example, a count is negative, or there are more changes than examples.
    """

    n: int
    gains: int
    losses: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"no comparison without an example (n = {self.n})")
        if self.gains < 0 or self.losses < 0 or self.gains + self.losses > self.n:
            raise ValueError(f"{self.gains} gains and {self.losses} losses do not fit into {self.n} examples")

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(self.n + other.n, self.gains + other.gains, self.losses + other.losses)

    @property
    def difference(self) -> float:
        """The candidate's accuracy minus the baseline's, in [-1, 1]."""
        return (self.gains - self.losses) / self.n

    @property
    def churn(self) -> float:
        """Share of examples on which exactly one of the two is right."""
        return (self.gains + self.losses) / self.n

    @property
    def negative_flip_rate(self) -> float:
        """Share of examples that the baseline had right and the candidate has wrong."""
        return self.losses / self.n


def pair(baseline_bits: int, candidate_bits: int, n: int) -> Pairs:
    """Count gains and losses from two bitsets over the same ``n`` rows (bit set: right).

    Raises:
        ValueError: there is no row, or a bitset is negative or longer than ``n``.
    """
    if min(baseline_bits, candidate_bits) < 0 or max(baseline_bits, candidate_bits) >> n:
        raise ValueError(f"a bitset does not fit into {n} rows")
    gains = (candidate_bits & ~baseline_bits).bit_count()
    losses = (baseline_bits & ~candidate_bits).bit_count()
    return Pairs(n, gains, losses)


def null_variance(gains: int, losses: int, n: int, d0: float) -> float:
    """Return the variance of one example's difference under ``d = d0``, with the probability of a loss estimated there.

    Tango (1998): ``2 p + d0 (1 - d0)``, where ``p`` is the larger root of ``2 n p^2 + b p + c = 0``.
    """
    if d0 > 0:
        # Exchange the models: the variance is the same, and for d0 <= 0 no subtraction below loses digits.
        gains, losses, d0 = losses, gains, -d0
    b = -gains - losses + (2 * n - gains + losses) * d0
    c = -losses * d0 * (1 - d0)
    # sqrt(b^2 - 4 a c) as sqrt(-b - e) sqrt(-b + e) with e = sqrt(4 a c): the square of a very small margin would be 0.
    e = math.sqrt(8 * n * c)
    p = (math.sqrt(max(-b - e, 0.0)) * math.sqrt(e - b) - b) / (4 * n)
    return max(2 * p + d0 * (1 - d0), 0.0)


def tango_z(pairs: Pairs, d0: float, correction: float = 0.0) -> float:
    """Return Tango's score statistic for ``d = d0``; positive when the candidate is better than ``d0``.

    ``correction``, in examples, moves the observed difference towards ``d0``, at most up to it. At ``d0`` of -1 or 1
    the variance is zero: Z is 0 when the observation equals ``d0``, else infinite.

    Raises:
        ValueError: ``d0`` is not in [-1, 1].
    """
    if not -1 <= d0 <= 1:
        raise ValueError(f"a difference of accuracies lies between -1 and 1, not at {d0}")
    above = pairs.gains - pairs.losses - pairs.n * d0
    above = math.copysign(max(abs(above) - correction, 0.0), above)
    spread = math.sqrt(pairs.n * null_variance(pairs.gains, pairs.losses, pairs.n, d0))
    if spread:
        return above / spread
    return math.copysign(math.inf, above) if above else 0.0


@lru_cache(maxsize=4096)  # small buckets have the same counts many times
def tango_interval(pairs: Pairs, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided score interval of ``d``: all ``d0`` with ``abs(tango_z)`` within the normal quantile.

    The 90 % interval belongs to a one-sided test at 5 %.

    Raises:
        ValueError: ``confidence`` is not in (0, 1).
    """
    z = two_sided_quantile(confidence)
    # The upper limit is minus the lower limit with the models exchanged.
    upper = -_lower_limit(pairs.n, pairs.losses, pairs.gains, z)
    return _lower_limit(pairs.n, pairs.gains, pairs.losses, z), upper


def _lower_limit(n: int, gains: int, losses: int, z: float) -> float:
    net = gains - losses
    # In these two cases the equation has a closed solution, and the search would start at its singular end.
    if gains == n:
        return (n - z * z) / (n + z * z)
    if gains == losses == 0:
        return -z * z / (n + z * z)

    def above(d0: float) -> float:
        return net - n * d0 - z * math.sqrt(n * null_variance(gains, losses, n, d0))

    return root(above, -1.0, net / n)


def root(f: Callable[[float], float], low: float, high: float, *, accuracy: float = 1e-15) -> float:
    """Return where ``f`` falls through zero between ``low`` and ``high``; ``low`` when it is not positive there.

    The result is at most ``accuracy`` away, beside the rounding of floats.

    T. R. Chandrupatla's method (Advances in Engineering Software 28 (1997) 145-149): inverse quadratic interpolation
    where that is safe, else bisection, so that it ends for any shape of ``f``.
    """
    a, fa, b, fb = high, f(high), low, f(low)
    if fb <= 0:
        return low
    if fa >= 0:
        return high
    # a is the newest point, b the other end of the bracket, c the point before. The next point is a + part (b - a).
    c, fc, part = a, fa, 0.5
    for _ in range(200):
        x = a + part * (b - a)
        fx = f(x)
        if (fx > 0) == (fa > 0):
            c, fc = a, fa
        else:
            c, b, fc, fb = b, a, fb, fa
        a, fa = x, fx
        nearest = a if abs(fa) < abs(fb) else b
        finest = (2e-16 * abs(nearest) + accuracy) / abs(b - a)
        if finest > 0.5 or fa == 0:
            return nearest
        part = 0.5
        along, down = (a - b) / (c - b), (fa - fb) / (fc - fb)
        # Chandrupatla's criterion: inverse quadratic interpolation stays inside the bracket.
        if 1 - math.sqrt(1 - along) < down < math.sqrt(along):
            part = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        part = min(max(part, finest), 1 - finest)
    return nearest
