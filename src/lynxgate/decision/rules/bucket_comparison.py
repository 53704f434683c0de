"""One bucket before it is judged: its terms, what each side measured, and the row that comes of it.

- What can be compared is settled here, alike for every rule: a bucket on one side only, a placeholder and another ``n``
  are no evidence.
- A minimum and a cap on negative flips hold under every rule; a cap without outcomes cannot be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Terms
from lynxgate.decision.statistics import (
    Pairs,
    Score,
    cluster_pairs,
    clustered_interval,
    newcombe_unpaired,
    pair,
    tango_interval,
    wilson,
)
from lynxgate.decision.verdict import BucketStatistics, Demand, Figure, Method, Row
from lynxgate.figures import format_exactly, format_percent, format_points
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Measured


@dataclass(frozen=True)
class BucketComparison:
    """A bucket (or all rows) as the baseline and the evaluation have it; ``confidence`` is one-sided, in (.5, 1).

    ``groups`` has the group of each row, where the rule respects groups.
    """

    bucket: str
    terms: Terms
    before: Measured | None
    now: Measured | None
    confidence: float
    groups: tuple[int, ...] | None = None

    @property
    def shares(self) -> tuple[Fraction, Fraction] | None:
        """Both accuracies, from figures of one kind wherever both sides have one; `None` for a placeholder."""
        if self.before is None or self.now is None:
            return None
        if self.before.correct is not None and self.now.correct is not None:
            shares = (_counted(self.before), _counted(self.now))
        else:
            shares = (_written(self.before), _written(self.now))
        first, second = shares
        return None if first is None or second is None else (first, second)

    @property
    def scores(self) -> tuple[Score, Score] | None:
        """The counts of both sides; `None` where one has only an accuracy."""
        found = [
            Score(side.correct, side.n)
            for side in (self.before, self.now)
            if side is not None and side.correct is not None and side.n is not None
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    @property
    def pairs(self) -> Pairs | None:
        """Gains and losses over the same examples; `None` where a side has no outcomes."""
        if self.before is None or self.now is None or self.before.outcomes is None or self.now.outcomes is None:
            return None
        n = self.now.n or 0
        return pair(unpack_outcomes(self.before.outcomes, n), unpack_outcomes(self.now.outcomes, n), n)

    @property
    def clusters(self) -> tuple[Pairs, ...] | None:
        """Gains and losses of each group; `None` without outcomes, or where no two examples share a group."""
        if self.groups is None or self.pairs is None or len(set(self.groups)) == len(self.groups):
            return None
        n = len(self.groups)
        before, now = (side.outcomes or "" for side in (self.before, self.now) if side is not None)
        return cluster_pairs(unpack_outcomes(before, n), unpack_outcomes(now, n), self.groups)

    @property
    def without_outcomes(self) -> str:
        """Who has none, for a sentence."""
        missing = [
            name
            for name, side in (("baseline", self.before), ("evaluation", self.now))
            if side is not None and side.outcomes is None
        ]
        return f"the {' and the '.join(missing)} {'has' if len(missing) == 1 else 'have'} no outcomes"

    def row(
        self,
        outcome: Outcome,
        reason: str,
        *,
        demand: Demand | None = None,
        evidence: BucketStatistics | None = None,
    ) -> Row:
        """The row of this bucket."""
        shares, terms = self.shares, self.terms
        compared = evidence is not None or outcome in (Outcome.HELD, Outcome.REGRESSED, Outcome.INCONCLUSIVE)
        return Row(
            bucket=self.bucket,
            tier=terms.tier,
            outcome=outcome,
            baseline=_figure(self.before),
            candidate=_figure(self.now),
            difference_pp=format_exactly((shares[1] - shares[0]) * 100) if shares and compared else None,
            tolerance_pp=format_exactly(terms.tolerance_pp),
            min=None if terms.min is None else format_exactly(terms.min),
            reason=reason,
            max_negative_flip_rate=(
                None if terms.max_negative_flip_rate is None else format_exactly(terms.max_negative_flip_rate)
            ),
            demand=demand,
            evidence=evidence,
        )


def refuse_incomparable(sides: BucketComparison) -> Row | None:
    """The row of a bucket that has nothing to compare; `None` where both sides have figures of one ``n``."""
    before, now = sides.before, sides.now
    if before is None:
        return sides.row(Outcome.NEW, "the baseline has no such bucket; rebaseline")
    if now is None:
        return sides.row(Outcome.MISSING, "the evaluation has no such bucket")
    if sides.shares is None:
        return sides.row(Outcome.UNMEASURED, "the baseline has a placeholder; rebaseline")
    if before.n is not None and now.n is not None and before.n != now.n:
        reason = f"n is {before.n} in the baseline and {now.n} in the evaluation, on one eval set; rebaseline"
        return sides.row(Outcome.UNMEASURED, reason)
    return None


def refuse_beyond_limits(sides: BucketComparison, moved: str) -> tuple[Outcome, str] | None:
    """Whether the bucket is below its minimum, or flips more than its cap; ``moved`` says how far it moved."""
    terms, shares, pairs = sides.terms, sides.shares, sides.pairs
    if shares is not None and terms.min is not None and shares[1] < (floor := Fraction(terms.min)):
        below = f"{format_percent(shares[1], floor)} is below the minimum of {format_percent(floor)}"
        return Outcome.REGRESSED, f"{moved}, and {below}"
    if terms.max_negative_flip_rate is None:
        return None
    cap = Fraction(terms.max_negative_flip_rate)
    if pairs is None:
        needs = f"max_negative_flip_rate needs the outcomes of both sides, and {sides.without_outcomes}"
        return Outcome.UNMEASURED, needs
    if (rate := Fraction(pairs.losses, pairs.n)) > cap:
        lost = f"{pairs.losses} of {pairs.n} examples were lost"
        over = f"{format_percent(rate, cap)}, and at most {format_percent(cap)} may be"
        return Outcome.REGRESSED, f"{moved}; {lost}, {over}"
    return None


def describe_evidence(sides: BucketComparison) -> BucketStatistics | None:
    """What every rule can say of the counts and outcomes; `None` where a side has no counts."""
    if (scores := sides.scores) is None:
        return None
    pairs, clusters, level = sides.pairs, sides.clusters, 2 * sides.confidence - 1
    interval = newcombe_unpaired(*scores, level) if pairs is None else tango_interval(pairs, level)
    method = Method.UNPAIRED if pairs is None else Method.PAIRED
    if clusters is not None:
        interval, method = _widen(interval, clusters, level), Method.CLUSTERED
    return BucketStatistics(
        method=method,
        gains=None if pairs is None else pairs.gains,
        losses=None if pairs is None else pairs.losses,
        baseline_percent=_hundredfold(wilson(scores[0], level)),
        candidate_percent=_hundredfold(wilson(scores[1], level)),
        difference_pp=_hundredfold(interval),
        groups=None if clusters is None else len(clusters),
    )


def describe_move(sides: BucketComparison) -> str:
    """The difference in words, never rounded onto a tolerance that it missed."""
    if (shares := sides.shares) is None:
        return ""
    return f"{format_points((shares[1] - shares[0]) * 100, -Fraction(sides.terms.tolerance_pp))} pp"


def _widen(interval: tuple[float, float], clusters: tuple[Pairs, ...], level: float) -> tuple[float, float]:
    """An interval that holds the groups' own; one group says nothing of what another would do."""
    low, high = clustered_interval(clusters, level) if len(clusters) > 1 else (-1.0, 1.0)
    return min(low, interval[0]), max(high, interval[1])


def _hundredfold(interval: tuple[float, float]) -> tuple[str, str]:
    low, high = (f"{100 * end + 0.0:.4f}" for end in interval)
    return low, high


def _counted(side: Measured) -> Fraction | None:
    return None if side.correct is None or side.n is None else Fraction(side.correct, side.n)


def _written(side: Measured) -> Fraction | None:
    return _counted(side) if side.accuracy is None else Fraction(side.accuracy)


def _figure(side: Measured | None) -> Figure | None:
    if side is None:
        return None
    accuracy = None if side.accuracy is None else format_exactly(side.accuracy)
    return Figure(n=side.n, correct=side.correct, accuracy=accuracy)
