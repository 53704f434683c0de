"""The gate's two one-sided tests on paired outcomes: "not worse than the margin" and "worse than the margin".

Tango's statistic is only nearly normal: at 5 % its exact false-pass rate reaches 6.8 % (268 examples without
disagreement, margin 1 pp). To let a candidate through is the gate's graver error, so that test holds its level
exactly; it never undercuts Tango's p value, and

- up to `EXACT_ROWS` examples p is the larger of Tango's and the exact unconditional one: the largest probability,
  over every disagreement, of a statistic at least as extreme (method ``exact``);
- beyond, the difference is drawn towards the margin by half a lattice step at its widest (1 example) and by the
  skewness at its worst (method ``corrected``); `benchmarks/exact_level.py` prints what level that really has.
- A row that Tango's own p already leaves undecided is not computed further: the answer would be the same.

To block is judged by Tango's test as published unless ``exact`` is asked for: a candidate that really is worse by the
whole margin is then blocked somewhat more often than the level says, an equal one hardly ever, and fewer
regressions are missed.
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

    ``tango``: p is Tango's own, because more was not asked for or it already exceeds the level asked about.
    """

    __test__ = False  # the field's word; pytest would collect it

    z: float
    p: float
    method: Method


def noninferiority(pairs: Pairs, margin: float, level: float = 1.0) -> Test:
    """Test against "the candidate is worse by ``margin`` (a share) or more"; a small p proves it is not.

    ``level``: p values above it need not be more exact than "above it".

    Raises:
        ValueError: when the margin is not in [0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    return _judged(pairs, margin, z, level, toward=1)


def inferiority(pairs: Pairs, margin: float, level: float = 1.0, *, exact: bool = False) -> Test:
    """Test against "the candidate is worse by at most ``margin``"; a small p proves a regression beyond it.

    ``exact`` holds the level as `noninferiority` does, at the price of missing more regressions; ``level`` matters
    only then.

    Raises:
        ValueError: when the margin is not in [0, 1).
    """
    z = tango_z(pairs, -check_margin(margin))
    return _judged(pairs, margin, z, level, toward=-1) if exact else Test(z, upper_tail(-z), "tango")


def noninferior(pairs: Pairs, margin: float, confidence: float = 0.95) -> bool:
    """Whether the candidate is proved to be less than ``margin`` worse, at one-sided ``confidence``.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    level = _level(confidence)
    return noninferiority(pairs, margin, level).p < level


def proved_worse(pairs: Pairs, margin: float, confidence: float = 0.95, *, exact: bool = False) -> bool:
    """Whether the candidate is proved to be more than ``margin`` worse, at one-sided ``confidence``.

    One bucket alone; over several buckets put the p values of `inferiority` through `holm`.

    Raises:
        ValueError: when the margin is not in [0, 1) or the confidence not in (0, 1).
    """
    level = _level(confidence)
    return inferiority(pairs, margin, level, exact=exact).p < level


def _level(confidence: float) -> float:
    quantile(confidence)
    return 1 - confidence


def _judged(pairs: Pairs, margin: float, z: float, level: float, toward: int) -> Test:
    p = upper_tail(toward * z)
    if p > level or p >= 0.5:
        return Test(z, p, "tango")
    if pairs.n > EXACT_ROWS:
        return Test(z, max(p, upper_tail(corrected_z(pairs, margin, toward))), "corrected")
    extreme = size if toward > 0 else worse_size
    return Test(z, max(p, min(extreme(pairs.n, margin, z)[0], 1.0)), "exact")


def skewness_bound(margin: float, toward: int) -> float:
    """Largest third over second cumulant of one example's difference at ``d = -margin``, towards ``toward`` (1, -1).

    The ratio is monotone in the disagreement: it is ``2 margin`` where all disagree, ``2 margin - 1`` where only
    losses do.
    """
    return 2 * margin if toward > 0 else max(1 - 2 * margin, 0.0)


def correction(margin: float, z: float, toward: int) -> float:
    """How many examples the observed difference is drawn towards ``-margin`` before it is held to ``z``, 1 or more."""
    return 1 + skewness_bound(margin, toward) * (max(z * z, 1.0) - 1) / 6


def corrected_z(pairs: Pairs, margin: float, toward: int) -> float:
    """The z that the observation just reaches under its own `correction`; positive in the direction of ``toward``."""
    above = toward * (pairs.gains - pairs.losses + pairs.n * margin) - 1
    spread = math.sqrt(pairs.n * null_variance(pairs.gains, pairs.losses, pairs.n, -margin))
    third = skewness_bound(margin, toward) / 6
    if above <= spread or not third:
        return above / spread if spread else 0.0
    # The root of a quadratic, in the form that does not cancel when the skewness is minute.
    return 2 * (above + third) / (math.sqrt(spread * spread + 4 * third * (above + third)) + spread)
