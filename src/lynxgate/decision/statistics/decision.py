"""The gate's two one-sided tests on paired outcomes: "not worse than the margin" and "worse than the margin".

Tango's statistic is only approximately normal: at a level of 5 % its exact false-pass rate reaches 6.8 % (268 examples
without disagreement, margin 1 pp). A false pass is the worse error of a gate, so the first test holds its level
exactly. Its p is never smaller than Tango's.

- Up to `EXACT_ROWS` examples, p is the larger of Tango's and the exact unconditional p: the largest probability, over
  every disagreement, of a statistic at least as extreme (method ``exact``).
- With more examples, the difference is moved towards the margin by a continuity correction of 1 example (half the
  widest step of the lattice) and by the largest possible skewness (method ``corrected``). `benchmarks/exact_level.py`
  prints the level that this really has.
- Where Tango's own p is already above the level, nothing more is computed: the answer would be the same.

The second test blocks, and with ``exact`` it holds its level in the same way: version 2 of the rules blocks by that.
Without it the test is Tango's as published, by which version 1 blocked. At the margin that exceeds its level: by losses
only in up to 13.7 % of gates at 5 %, under Holm among 200 buckets of 1,000 (`benchmarks.blocking`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lynxgate.decision.statistics.exact import size, worse_size
from lynxgate.decision.statistics.normal import check_margin, quantile, upper_tail
from lynxgate.decision.statistics.paired import Pairs, null_variance, tango_z

EXACT_ROWS = 10_000

Method = Literal["tango", "exact", "corrected"]


@dataclass(frozen=True)
class Test:
    """Evidence against a null hypothesis: Tango's Z (positive: above ``-margin``), the one-sided p, and its method.

    ``tango``: p is Tango's own, because no exact p was requested or because it is already above the level.
    """

    __test__ = False  # pytest would else collect a class of this name

    z: float
    p: float
    method: Method


def noninferiority(pairs: Pairs, margin: float, level: float = 1.0) -> Test:
    """Test the null hypothesis "worse by ``margin`` (a share) or more"; a small p proves non-inferiority.

    ``level``: a p above it is not computed exactly.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    return _test(pairs, margin, z, level, toward=1)


def inferiority(pairs: Pairs, margin: float, level: float = 1.0, *, exact: bool = False) -> Test:
    """Test the null hypothesis "worse by at most ``margin``"; a small p proves a regression beyond it.

    ``exact`` holds the level as `noninferiority` does, and misses more regressions. Only then ``level`` has an effect.

    Raises:
        ValueError: the margin is not in [0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    return _test(pairs, margin, z, level, toward=-1) if exact else Test(z, upper_tail(-z), "tango")


def noninferior(pairs: Pairs, margin: float, confidence: float = 0.95) -> bool:
    """Whether the candidate is proved to be less than ``margin`` worse, at one-sided ``confidence``.

    Raises:
        ValueError: the margin is not in [0, 1), or the confidence not in (0, 1).
    """
    level = _level(confidence)
    return noninferiority(pairs, margin, level).p < level


def proved_worse(pairs: Pairs, margin: float, confidence: float = 0.95, *, exact: bool = False) -> bool:
    """Whether the candidate is proved to be more than ``margin`` worse, at one-sided ``confidence``.

    For one bucket; for several, correct the p values of `inferiority` with `holm`.

    Raises:
        ValueError: the margin is not in [0, 1), or the confidence not in (0, 1).
    """
    level = _level(confidence)
    return inferiority(pairs, margin, level, exact=exact).p < level


def _level(confidence: float) -> float:
    quantile(confidence)  # raises for a confidence outside (0, 1)
    return 1 - confidence


def _test(pairs: Pairs, margin: float, z: float, level: float, toward: int) -> Test:
    """``toward`` is 1 for a test of being above ``-margin``, -1 for one of being below it."""
    p = upper_tail(toward * z)
    if p > level or p >= 0.5:
        return Test(z, p, "tango")
    if pairs.n > EXACT_ROWS:
        return Test(z, max(p, upper_tail(corrected_z(pairs, margin, toward))), "corrected")
    extreme = size if toward > 0 else worse_size
    return Test(z, max(p, min(extreme(pairs.n, margin, z)[0], 1.0)), "exact")


def skewness_bound(margin: float, toward: int) -> float:
    """Return the largest ratio of third to second cumulant of one example's difference at ``d = -margin``.

    ``toward`` (1 or -1) is the direction of the test. The ratio is monotone in the disagreement: it is ``2 margin``
    where the models disagree on all examples, and ``2 margin - 1`` where they disagree only by losses.
    """
    return 2 * margin if toward > 0 else max(1 - 2 * margin, 0.0)


def correction(margin: float, z: float, toward: int) -> float:
    """Return by how many examples (1 or more) a difference is moved towards ``-margin`` before it is compared with z.

    1 corrects for continuity. The rest is the first term of the Cornish-Fisher expansion, ``k3 (z^2 - 1) / 6``: E. A.
    Cornish and R. A. Fisher, Revue de l'Institut International de Statistique 5 (1938) 307-320.
    """
    return 1 + skewness_bound(margin, toward) * (max(z * z, 1.0) - 1) / 6


def corrected_z(pairs: Pairs, margin: float, toward: int) -> float:
    """Return the z that the observation just reaches under its own `correction`; positive in the direction ``toward``.

    It solves ``above = z spread + third (z^2 - 1)``, a quadratic in z, with the names of the function body.
    """
    above = toward * (pairs.gains - pairs.losses + pairs.n * margin) - 1
    spread = math.sqrt(pairs.n * null_variance(pairs.gains, pairs.losses, pairs.n, -margin))
    third = skewness_bound(margin, toward) / 6
    if above <= spread or not third:
        return above / spread if spread else 0.0
    # The root in the form 2 c / (b + sqrt(...)), which loses no digits when the skewness is very small.
    return 2 * (above + third) / (math.sqrt(spread * spread + 4 * third * (above + third)) + spread)
