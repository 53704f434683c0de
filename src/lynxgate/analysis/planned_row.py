"""What one bucket can detect, under assumptions, before anything is evaluated. Pure.

- Chances are sums over a binomial or trinomial distribution, and the examples needed and the smallest drop are solved
  with them (`lynxgate.decision.statistics.planning`).
- A bucket with trials or graded scores, and one whose rows come in groups, is planned by units
  (`lynxgate.decision.statistics.unit_planning`), as if each moved by everything or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.policy import Rule, Terms, Tier
from lynxgate.decision.statistics import (
    chance_of_holding,
    chance_of_regression,
    examples_needed,
    minimum_detectable_drop,
    smallest_n_ever,
    upper_tail,
)
from lynxgate.decision.statistics.exact import probability_within
from lynxgate.decision.statistics.planning import find_smallest_drop
from lynxgate.decision.statistics.unit_planning import (
    unit_chance_of_holding,
    unit_chance_of_regression,
    units_needed,
)
from lynxgate.decision.statistics.units import fewest_units
from minieval.contract.report import Measured, Scale


@dataclass(frozen=True)
class Grouping:
    """How rows come in groups: as many rows a group, whose changes have this correlation (0 to 1) inside a group."""

    rows: int = 1
    correlation: float = 1.0

    def spread(self, disagreement: float) -> float:
        """Return the variance of a group's mean change, if rows gain or lose everything or nothing."""
        return disagreement * (self.correlation + (1 - self.correlation) / self.rows)


ALONE = Grouping()


@dataclass(frozen=True)
class PlannedRow:
    """What one bucket can detect. Figures are shares, except ``margin_pp`` (percentage points).

    A figure is `None` where it cannot be computed, or where no value is enough.

    ``smallest_drop``: the smallest loss that is proved beyond the margin with the plan's power. ``blocks_equal``: the
    chance that this bucket alone blocks an equal model (0 for an advisory bucket). ``identical_passes``: whether a
    model with identical answers is proved within the margin; if not, only a model that gains can be. ``needed``: the
    number of examples with which an equal model is proved within the margin with the plan's power.
    """

    bucket: str
    tier: Tier
    n: int | None
    margin_pp: float
    smallest_drop: float | None
    blocks_equal: float | None
    identical_passes: bool | None
    needed: int | None


@dataclass(frozen=True)
class Sample:
    """The examples of a bucket: how many, and whether each is right or wrong."""

    n: int | None
    right_or_wrong: bool = True

    @classmethod
    def of(cls, figures: Measured) -> Sample:
        """Return the sample of a bucket of the baseline."""
        return cls(figures.n, figures.scale is Scale.RIGHT_OR_WRONG)


def sum_of_chances(rows: Iterable[PlannedRow]) -> float:
    """Return the sum of the rows' chances to block an equal model, at most 1."""
    return min(math.fsum(row.blocks_equal or 0.0 for row in rows), 1.0)


@dataclass(frozen=True)
class Assumptions:
    """What a planned row assumes: the rule, its one-sided confidence, two shares, and how rows come in groups."""

    rule: Rule
    confidence: float
    disagreement: float
    power: float
    grouping: Grouping = ALONE


def plan_row(bucket: str, terms: Terms, sample: Sample, family: int, assumed: Assumptions) -> PlannedRow:
    """Return what a bucket can detect among ``family`` buckets that may block."""
    points = Fraction(terms.tolerance_pp)
    if sample.n is None:
        return PlannedRow(bucket, terms.tier, None, float(points), None, None, None, None)
    proof = bucket == ALL_ROWS or assumed.rule is Rule.NONINFERIOR or terms.tier is Tier.CRITICAL
    if assumed.rule is Rule.POINT:
        found = _plan_point(sample, points / 100, assumed)
    elif sample.right_or_wrong and assumed.grouping.rows == 1:
        found = _plan_examples(sample.n, float(points / 100), family, proof=proof, assumed=assumed)
    else:
        found = _plan_units(sample.n, float(points / 100), family, proof=proof, assumed=assumed)
    blocks = 0.0 if terms.tier is Tier.ADVISORY else found.blocks_equal
    return PlannedRow(
        bucket, terms.tier, sample.n, float(points), found.drop, blocks, found.identical_passes, found.needed
    )


class _Detected(NamedTuple):
    drop: float | None
    blocks_equal: float
    identical_passes: bool | None = None
    needed: int | None = None


def _plan_point(sample: Sample, tolerance: Fraction, assumed: Assumptions) -> _Detected:
    n = sample.n or 0
    chance = partial(chance_of_falling if sample.right_or_wrong else _chance_of_mean_falling, n, tolerance)
    drop = find_smallest_drop(chance, assumed.disagreement, assumed.power)
    return _Detected(drop, chance(assumed.disagreement))


def _chance_of_mean_falling(n: int, tolerance: Fraction, disagreement: float, difference: float = 0.0) -> float:
    """Return about the chance that a mean score falls by more than ``tolerance``, as a normal sum."""
    deviation = math.sqrt(max(disagreement - difference**2, 0.0) / n)
    return upper_tail((float(tolerance) + difference) / deviation) if deviation else float(-difference > tolerance)


def _plan_examples(n: int, margin: float, family: int, *, proof: bool, assumed: Assumptions) -> _Detected:
    confidence, disagreement, power = assumed.confidence, assumed.disagreement, assumed.power
    strict = 1 - (1 - confidence) / family
    if proof:
        blocks = 1 - chance_of_holding(n, margin, disagreement, 0.0, confidence)
    else:
        blocks = chance_of_regression(n, margin, disagreement, 0.0, strict)
    smallest = smallest_n_ever(margin, confidence)
    return _Detected(
        minimum_detectable_drop(n, disagreement, margin, strict, power),
        blocks,
        smallest is not None and n >= smallest,
        examples_needed(disagreement, margin, confidence, power),
    )


def _plan_units(n: int, margin: float, family: int, *, proof: bool, assumed: Assumptions) -> _Detected:
    confidence, grouping = assumed.confidence, assumed.grouping
    spread, units = grouping.spread(assumed.disagreement), max(n // grouping.rows, 1)
    strict = 1 - (1 - confidence) / family
    if proof:
        blocks = 1 - unit_chance_of_holding(units, margin, spread, 0.0, confidence)
    else:
        blocks = unit_chance_of_regression(units, margin, spread, 0.0, strict)

    def sees(disagreement: float, difference: float) -> float:
        return unit_chance_of_regression(units, margin, grouping.spread(disagreement), difference, strict)

    fewest, needed = fewest_units(margin, 1 - confidence), units_needed(spread, margin, confidence, assumed.power)
    return _Detected(
        find_smallest_drop(sees, assumed.disagreement, assumed.power),
        blocks,
        fewest is not None and units >= fewest,
        None if needed is None else needed * grouping.rows,
    )


def chance_of_falling(n: int, tolerance: Fraction, disagreement: float, difference: float = 0.0) -> float:
    """Return the exact chance that a model falls by more than ``tolerance`` (a share) on ``n`` examples.

    ``difference`` is the true one, 0 for an equal model.
    """

    # With m disagreeing examples, of which l are losses, the model falls by (2 l - m) / n. It stays within the
    # tolerance while l <= (m + n tolerance) / 2.
    over, under = n * tolerance.numerator, tolerance.denominator

    def limits_between(first: int, last: int) -> list[int]:
        return [min(m, (m * under + over) // (2 * under)) for m in range(first, last + 1)]

    inside, unseen = probability_within(n, limits_between, disagreement, difference)
    return max(1 - inside - unseen, 0.0)
