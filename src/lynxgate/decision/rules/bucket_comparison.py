"""One bucket before it is judged: its terms, what each side measured, and how its row is built.

- Every rule decides alike what can be compared: a bucket of one side only, a placeholder, or another ``n`` cannot be.
- A minimum and a cap on negative flips hold under every rule; a cap cannot be judged without outcomes.
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
from minieval.contract.report import Measured, Scale


@dataclass(frozen=True)
class BucketComparison:
    """A bucket (or all rows) as the baseline and the evaluation have it; ``confidence`` is one-sided, in (0.5, 1).

    ``groups`` has the number of the group of each row, where the rule respects groups.
    """

    bucket: str
    terms: Terms
    before: Measured | None
    now: Measured | None
    confidence: float
    groups: tuple[int, ...] | None = None

    @property
    def shares(self) -> tuple[Fraction, Fraction] | None:
        """Return both accuracies or mean scores, exact; `None` for a placeholder.

        Counts are used only where both sides have them.
        """
        if self.before is None or self.now is None:
            return None
        # A rounded accuracy must not be compared with an exact count: 0.9308 is not 632 / 679.
        shares = (self.before.counted, self.now.counted)
        if None in shares:
            shares = (self.before.written, self.now.written)
        first, second = shares
        return None if first is None or second is None else (first, second)

    @property
    def is_right_or_wrong(self) -> bool:
        """Whether each row of both sides is right or wrong, which is what the tests and intervals are about."""
        return all(side is None or side.scale is Scale.RIGHT_OR_WRONG for side in (self.before, self.now))

    @property
    def scores(self) -> tuple[Score, Score] | None:
        """Return the counts of right rows of both sides; `None` where one has only an accuracy, or another scale."""
        found = [
            Score(side.correct, side.n)
            for side in (self.before, self.now)
            if side is not None and self.is_right_or_wrong and side.correct is not None and side.n is not None
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    @property
    def pairs(self) -> Pairs | None:
        """Return gains and losses on the same examples; `None` where a side has no outcomes."""
        if self.before is None or self.now is None or self.before.outcomes is None or self.now.outcomes is None:
            return None
        n = self.now.n or 0
        return pair(unpack_outcomes(self.before.outcomes, n), unpack_outcomes(self.now.outcomes, n), n)

    @property
    def clusters(self) -> tuple[Pairs, ...] | None:
        """Return gains and losses of each group; `None` without outcomes, or where no two examples share a group."""
        if self.groups is None or self.pairs is None or len(set(self.groups)) == len(self.groups):
            return None
        n = len(self.groups)
        before, now = (side.outcomes or "" for side in (self.before, self.now) if side is not None)
        return cluster_pairs(unpack_outcomes(before, n), unpack_outcomes(now, n), self.groups)

    @property
    def without_outcomes(self) -> str:
        """Return a clause that names the sides without outcomes."""
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
        """Build the row of this bucket."""
        shares, terms = self.shares, self.terms
        # A difference is stated only where the two sides were compared.
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


def refuse_incomparable(comparison: BucketComparison) -> Row | None:
    """Return the row of a bucket that cannot be compared; `None` where both sides have figures of one ``n``."""
    before, now = comparison.before, comparison.now
    if before is None:
        return comparison.row(Outcome.NEW, "the baseline has no such bucket; rebaseline")
    if now is None:
        return comparison.row(Outcome.MISSING, "the evaluation has no such bucket")
    if comparison.shares is None:
        return comparison.row(Outcome.UNMEASURED, "the baseline has a placeholder; rebaseline")
    if (before.scale, before.trials) != (now.scale, now.trials):
        scales = f"{describe_scale(before)} in the baseline and {describe_scale(now)} in the evaluation"
        return comparison.row(Outcome.UNMEASURED, f"its rows are {scales}; rebaseline")
    if before.n is not None and now.n is not None and before.n != now.n:
        reason = f"n is {before.n} in the baseline and {now.n} in the evaluation, on one eval set; rebaseline"
        return comparison.row(Outcome.UNMEASURED, reason)
    return None


def refuse_beyond_limits(comparison: BucketComparison, moved: str) -> tuple[Outcome, str] | None:
    """Return outcome and reason where the bucket is below its minimum or flips more than its cap; else `None`.

    ``moved`` is the difference in words (`describe_move`).
    """
    terms, shares, pairs = comparison.terms, comparison.shares, comparison.pairs
    if shares is not None and terms.min is not None and shares[1] < Fraction(terms.min):
        floor = Fraction(terms.min)
        below = f"{format_percent(shares[1], floor)} is below the minimum of {format_percent(floor)}"
        return Outcome.REGRESSED, f"{moved}, and {below}"
    if terms.max_negative_flip_rate is None:
        return None
    cap = Fraction(terms.max_negative_flip_rate)
    if not comparison.is_right_or_wrong:
        return (
            Outcome.UNMEASURED,
            f"max_negative_flip_rate cannot judge rows that are {describe_scale(comparison.now)} yet",
        )
    if pairs is None:
        needs = f"max_negative_flip_rate needs the outcomes of both sides, and {comparison.without_outcomes}"
        return Outcome.UNMEASURED, needs
    if (rate := Fraction(pairs.losses, pairs.n)) > cap:
        lost = f"{pairs.losses} of {pairs.n} examples were lost"
        over = f"{format_percent(rate, cap)}, and at most {format_percent(cap)} may be"
        return Outcome.REGRESSED, f"{moved}; {lost}, {over}"
    return None


def describe_evidence(comparison: BucketComparison) -> BucketStatistics | None:
    """Return the statistics that every rule shows; `None` where a side has no counts.

    Intervals have the two-sided level ``2 confidence - 1``, so that each end is one-sided at the confidence.
    """
    if (scores := comparison.scores) is None:
        return None
    pairs, clusters, level = comparison.pairs, comparison.clusters, 2 * comparison.confidence - 1
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


def describe_move(comparison: BucketComparison) -> str:
    """Return the difference as text, never rounded to a tolerance that it missed; empty without figures."""
    if (shares := comparison.shares) is None:
        return ""
    return f"{format_points((shares[1] - shares[0]) * 100, -Fraction(comparison.terms.tolerance_pp))} pp"


def _widen(interval: tuple[float, float], clusters: tuple[Pairs, ...], level: float) -> tuple[float, float]:
    """Return the smallest interval with both ``interval`` and the clustered one; with one group, all differences."""
    low, high = clustered_interval(clusters, level) if len(clusters) > 1 else (-1.0, 1.0)
    return min(low, interval[0]), max(high, interval[1])


def _hundredfold(interval: tuple[float, float]) -> tuple[str, str]:
    # Adding 0.0 turns -0.0 into 0.0, so that equal intervals have equal text.
    low, high = (f"{100 * end + 0.0:.4f}" for end in interval)
    return low, high


def describe_scale(side: Measured | None) -> str:
    """Return how the rows of a side are scored, in words."""
    if side is None or side.scale is not Scale.TRIALS:
        return str(Scale.RIGHT_OR_WRONG if side is None else side.scale)
    return f"right or wrong in each of {side.trials} trials"


def _figure(side: Measured | None) -> Figure | None:
    if side is None:
        return None
    accuracy, mean = (None if each is None else format_exactly(each) for each in (side.accuracy, side.mean))
    return Figure(n=side.n, correct=side.correct, accuracy=accuracy, trials=side.trials, points=side.points, mean=mean)
