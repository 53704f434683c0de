"""The truths that are simulated and the rules that are tried on them, for `benchmarks.decisions`.

- numpy draws the pairs and nothing else: `lynxgate.decision.statistics` takes every decision of `guard` and
  `noninferior`, once for each distinct outcome (gains, losses) that was drawn.
- Each cell has its own stream, seeded by `SEED`, the number of buckets, their size and the truth: a cell comes out
  the same whichever other cells are simulated.
- The naive rules are what tools do that judge each bucket by an interval from the data alone. They have no
  correction for the number of buckets and none for a variance that comes out as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from lynxgate.decision.statistics import Pairs, Score, inferiority, noninferior, quantile, tango_z, wilson
from lynxgate.decision.statistics.decision import EXACT_ROWS
from lynxgate.decision.statistics.exact import critical_z

SEED = 20_260_101
REPETITIONS = 4_000
RESAMPLES = 2_000
OVERALL_MARGIN = 0.01
BUCKET_MARGIN = 0.03
CONFIDENCE = 0.95
DISAGREEMENT = 0.10

Counts = Any  # numpy's integer arrays; comments name their shapes where they matter


@dataclass(frozen=True)
class Truth:
    """What the candidate really is: in how many buckets worse (`None`: in all), by how much, at which disagreement."""

    name: str
    drop: float = 0.0
    worse_buckets: int | None = 0
    disagreement: float = DISAGREEMENT
    disagreement_where_worse: float = DISAGREEMENT

    @property
    def is_equal(self) -> bool:
        """Whether blocking is the error; else passing is."""
        return self.drop == 0

    def rates(self, buckets: int) -> list[tuple[float, float]]:
        """True shares of gains and losses, a bucket each."""
        worse = buckets if self.worse_buckets is None else self.worse_buckets
        shares = [
            ((self.disagreement_where_worse, self.drop) if i < worse else (self.disagreement, 0.0))
            for i in range(buckets)
        ]
        return [((share - drop) / 2, (share + drop) / 2) for share, drop in shares]


EQUAL = Truth("equal")
ONE_WORSE = Truth("one bucket 8 pp worse", drop=0.08, worse_buckets=1)
ALL_WORSE = Truth("every bucket 2 pp worse", drop=0.02, worse_buckets=None)
TRUTHS = (EQUAL, ONE_WORSE, ALL_WORSE)
QUIET_EQUAL = Truth("equal, 1 % disagreement", disagreement=0.01)
QUIET_WORSE = Truth(
    "one bucket 8 pp worse, losses only",
    drop=0.08,
    worse_buckets=1,
    disagreement=0.01,
    disagreement_where_worse=0.08,
)
QUIET = (QUIET_EQUAL, QUIET_WORSE)


@dataclass(frozen=True)
class Cell:
    """One simulated situation."""

    buckets: int
    n: int
    truth: Truth
    repetitions: int = REPETITIONS

    def draw(self) -> tuple[Counts, Counts]:
        """Gains and losses, ``repetitions`` by ``buckets``."""
        kind = [*TRUTHS, *QUIET].index(self.truth)
        random = np.random.default_rng(np.random.SeedSequence([SEED, self.buckets, self.n, kind]))
        drawn = [
            random.multinomial(self.n, [gain, loss, 1 - gain - loss], size=self.repetitions)
            for gain, loss in self.truth.rates(self.buckets)
        ]
        pairs = np.stack(drawn, axis=1)
        return pairs[:, :, 0], pairs[:, :, 1]


@dataclass(frozen=True)
class Rate:
    """How often a rule erred, out of how many simulated gates."""

    errors: int
    repetitions: int

    @property
    def share(self) -> float:
        """Share of the gates."""
        return self.errors / self.repetitions

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share."""
        return wilson(Score(self.errors, self.repetitions))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class Rule:
    """A rule: from gains and losses (repetitions by buckets) of ``n`` examples a bucket to whether each gate passes."""

    name: str
    passes: Callable[[Counts, Counts, int], Counts] = field(repr=False)
    description: str = ""


def each(decide: Callable[[Pairs], float | bool], gains: Counts, losses: Counts, n: int) -> Counts:
    """``decide`` of every entry, called once for each distinct outcome."""
    distinct, where = np.unique(gains.astype(np.int64) * (n + 1) + losses, return_inverse=True)
    answers = [decide(Pairs(n, int(code) // (n + 1), int(code) % (n + 1))) for code in distinct]
    return np.array(answers)[where].reshape(gains.shape)


@lru_cache(maxsize=256)
def _critical(n: int, margin: float, level: float = 1 - CONFIDENCE, toward: int = 1) -> float:
    return critical_z(n, margin, level, toward)


def holds(pairs: Pairs, margin: float) -> bool:
    """`noninferior` with its exact limit, computed once for each ``n``; outcomes near it are tested one by one."""
    if pairs.n > EXACT_ROWS:
        return noninferior(pairs, margin, CONFIDENCE)
    z = tango_z(pairs, -margin)
    if z <= quantile(CONFIDENCE):
        return False
    limit = _critical(pairs.n, margin)
    return noninferior(pairs, margin, CONFIDENCE) if abs(z - limit) < 1e-4 else z > limit


def passes_point(tolerance_pp: int) -> Callable[[Counts, Counts, int], Counts]:
    """No bucket falls by more than the tolerance, in whole numbers."""
    return lambda gains, losses, n: ((losses - gains) * 100 <= tolerance_pp * n).all(axis=1)


def blocks(gains: Counts, losses: Counts, n: int, *, exact: bool) -> Counts:
    """Some bucket is proved worse than its margin after Holm, by the exact test or by Tango's.

    Holm rejects one or more hypotheses exactly where the smallest p times their number is at most the level.
    """
    strict = (1 - CONFIDENCE) / gains.shape[1]
    limit = _critical(n, BUCKET_MARGIN, strict, -1) if exact else quantile(1 - strict)

    def is_worse(pairs: Pairs) -> bool:
        z = -tango_z(pairs, -BUCKET_MARGIN)
        # Near the limit the gate's own test decides.
        near = abs(z - limit) < 1e-4
        return inferiority(pairs, BUCKET_MARGIN, strict, exact=exact).p <= strict if near else z > limit

    return each(is_worse, gains, losses, n).any(axis=1)


def passes_guard(gains: Counts, losses: Counts, n: int, *, exact: bool = True) -> Counts:
    """Overall non-inferior, and no bucket proved worse than its margin after Holm (every bucket is `standard`)."""
    clear = ~blocks(gains, losses, n, exact=exact)
    together = each(
        lambda pairs: holds(pairs, OVERALL_MARGIN), gains.sum(axis=1), losses.sum(axis=1), n * gains.shape[1]
    )
    return clear & together


def passes_noninferior(gains: Counts, losses: Counts, n: int) -> Counts:
    """Every bucket is proved to be within its margin."""
    return each(lambda pairs: holds(pairs, BUCKET_MARGIN), gains, losses, n).all(axis=1)


def passes_t_interval(gains: Counts, losses: Counts, n: int) -> Counts:
    """Every bucket's one-sided t limit of the paired difference lies above minus the margin."""
    return (_t_limit(gains, losses, n) > -BUCKET_MARGIN).all(axis=1)


def passes_t_drop(gains: Counts, losses: Counts, n: int) -> Counts:
    """No bucket has a significantly negative paired t; not corrected for the number of buckets."""
    return (-_t_limit(losses, gains, n) >= 0).all(axis=1)


def passes_bootstrap(gains: Counts, losses: Counts, n: int) -> Counts:
    """Every bucket's one-sided percentile bootstrap limit lies above minus the margin."""
    return each(lambda pairs: bootstrap_limit(pairs) > -BUCKET_MARGIN, gains, losses, n).all(axis=1)


def bootstrap_limit(pairs: Pairs) -> float:
    """Lower 5 % percentile of the difference over resamples of the examples, with a seed of the outcome's own."""
    random = np.random.default_rng(np.random.SeedSequence([SEED, pairs.n, pairs.gains, pairs.losses]))
    shares = [pairs.gains / pairs.n, pairs.losses / pairs.n]
    drawn = random.multinomial(pairs.n, [*shares, max(1 - sum(shares), 0.0)], size=RESAMPLES)
    return float(np.quantile((drawn[:, 0] - drawn[:, 1]) / pairs.n, 1 - CONFIDENCE))


def _t_limit(gains: Counts, losses: Counts, n: int) -> Counts:
    mean = (gains - losses) / n
    variance = np.maximum((gains + losses) / n - mean**2, 0) * n / (n - 1)
    return mean - t_quantile(n - 1) * np.sqrt(variance / n)


@lru_cache(maxsize=256)
def t_quantile(freedom: int) -> float:
    """Student's one-sided quantile at `CONFIDENCE`, by bisection of its density's sum (Simpson's rule)."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def between(upper: float) -> float:
        x = np.linspace(0, upper, 2001)
        y = scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)
        return float((y[0] + y[-1] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum()) * (x[1] - x[0]) / 3)

    low, high = 0.0, 20.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if between(middle) < CONFIDENCE - 0.5 else (low, middle)
    return high


RULES = (
    Rule("point 1 pp", passes_point(1), "no bucket falls by more than 1 pp"),
    Rule("point 2 pp", passes_point(2), "no bucket falls by more than 2 pp, the default rule"),
    Rule(
        "guard",
        passes_guard,
        "overall proved within 1 pp, and no bucket proved to have fallen by more than 3 pp (exact test, Holm)",
    ),
    Rule("noninferior", passes_noninferior, "every bucket proved within 3 pp (exact level)"),
    Rule("t interval", passes_t_interval, "every bucket's 95 % t limit of the paired difference above -3 pp"),
    Rule("bootstrap", passes_bootstrap, f"the same with a percentile bootstrap of {RESAMPLES:,} resamples"),
    Rule("t drop", passes_t_drop, "no bucket with a significantly negative paired t at 5 %, uncorrected"),
)


Results = dict[Cell, dict[str, Rate]]
