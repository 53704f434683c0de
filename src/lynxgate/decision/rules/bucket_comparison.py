"""One bucket before it is judged: its terms, what each side measured, and how its row is built.

- Every rule decides alike what can be compared: a bucket of one side only, a placeholder, or another ``n`` cannot be.
- A minimum and a cap on negative flips hold under every rule; a cap cannot be judged without outcomes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Terms
from lynxgate.decision.statistics import (
    Pairs,
    Score,
    newcombe_unpaired,
    pair,
    tango_interval,
    wilson,
)
from lynxgate.decision.statistics.units import Proof, Unit, Units, units_interval, units_mean
from lynxgate.decision.verdict import BucketStatistics, Demand, Figure, Method, Row
from lynxgate.figures import format_exactly, format_percent, format_points
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Measured, Scale

_ROWS_OF = {Scale.RIGHT_OR_WRONG: "outcomes", Scale.TRIALS: "counts", Scale.GRADED: "scores"}


@dataclass(frozen=True)
class BucketComparison:
    """A bucket (or all rows) as the baseline and the evaluation have it; ``confidence`` is one-sided, in (0.5, 1).

    ``groups`` has the number of the group of each row, where the rule respects groups. A group counts as many rows as
    it has, and at most ``group_cap``. ``proof`` names the p value that decides about units. Each
    figure is needed several times, so it is computed once.
    """

    bucket: str
    terms: Terms
    before: Measured | None
    now: Measured | None
    confidence: float
    groups: tuple[int, ...] | None = None
    group_cap: int = 1
    proof: Proof = "gaffke"

    @cached_property
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

    @cached_property
    def is_right_or_wrong(self) -> bool:
        """Whether each row of both sides is right or wrong, which is what the tests and intervals are about."""
        return all(side is None or side.scale is Scale.RIGHT_OR_WRONG for side in (self.before, self.now))

    @cached_property
    def scores(self) -> tuple[Score, Score] | None:
        """Return the counts of right rows of both sides; `None` where one has only an accuracy, or another scale."""
        found = [
            Score(side.correct, side.n)
            for side in (self.before, self.now)
            if side is not None and self.is_right_or_wrong and side.correct is not None and side.n is not None
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    @cached_property
    def pairs(self) -> Pairs | None:
        """Return gains and losses on the same examples; `None` where a side has no outcomes."""
        if self.before is None or self.now is None or self.before.outcomes is None or self.now.outcomes is None:
            return None
        n = self.now.n or 0
        return pair(unpack_outcomes(self.before.outcomes, n), unpack_outcomes(self.now.outcomes, n), n)

    @cached_property
    def shares_groups(self) -> bool:
        """Whether two rows are of one group, so that rows are not independent."""
        return self.groups is not None and len(set(self.groups)) < len(self.groups)

    @cached_property
    def units(self) -> Units | None:
        """Return the units of evidence; `None` where a side has no outcomes, counts or scores.

        A unit is a group of rows, or a row, with the mean of candidate minus baseline.
        """
        moves = self._moves
        if moves is None:
            return None
        changes, full = moves
        if not self.shares_groups or self.groups is None:
            return Counter({Unit(change / full): count for change, count in Counter(changes).items()})
        sums: dict[int, list[int]] = {}
        for group, change in zip(self.groups, changes, strict=True):
            total = sums.setdefault(group, [0, 0])
            total[0] += change
            total[1] += 1
        return Counter(
            Unit(change / (n * full), min(n, self.group_cap) / self.group_cap) for change, n in sums.values()
        )

    @cached_property
    def _moves(self) -> tuple[list[int], int] | None:
        """Return the change of each row as a whole number, and the number that is a change from 0 to 1."""
        if self.before is None or self.now is None or self.before.n != self.now.n or self.now.n is None:
            return None
        before, now = self.before.marks, self.now.marks
        if before is None or now is None:
            return None
        return [new - old for old, new in zip(before, now, strict=True)], self.now.full_mark

    @cached_property
    def negative_flips(self) -> int | None:
        """Return the rows that were lost, or whose score fell by more than ``flip_drop``; `None` where unknown."""
        if self.is_right_or_wrong:
            return None if self.pairs is None else self.pairs.losses
        if self.terms.flip_drop is None or self._moves is None:
            return None
        changes, full = self._moves
        least = -Fraction(self.terms.flip_drop) * full
        return sum(change < least for change in changes)

    @cached_property
    def without_outcomes(self) -> str:
        """Return a clause that names the sides without outcomes (or counts, or scores) of each row."""
        missing = [
            name
            for name, side in (("baseline", self.before), ("evaluation", self.now))
            if side is not None and side.outcomes is None and side.counts is None and side.scores is None
        ]
        of = "outcomes" if self.now is None else _ROWS_OF[self.now.scale]
        return f"the {' and the '.join(missing)} {'has' if len(missing) == 1 else 'have'} no {of}"

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
            max_drop_pp=None if terms.max_drop_pp is None else format_exactly(terms.max_drop_pp),
            flip_drop=None if terms.flip_drop is None or self.is_right_or_wrong else format_exactly(terms.flip_drop),
            negative_flips=None if self.is_right_or_wrong or not compared else self.negative_flips,
            warn_pp=None if terms.warn_pp is None else format_exactly(terms.warn_pp),
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
    """Return outcome and reason where a limit on the figures themselves does not hold; else `None`.

    ``moved`` is the difference in words (`describe_move`).
    """
    terms = comparison.terms
    if below := _name_broken_floor(comparison):
        return Outcome.REGRESSED, f"{moved}, and {below}"
    if terms.max_negative_flip_rate is None:
        return None
    cap, n = Fraction(terms.max_negative_flip_rate), 0 if comparison.now is None else comparison.now.n
    if not comparison.is_right_or_wrong and terms.flip_drop is None:
        scale = describe_scale(comparison.now)
        return Outcome.UNMEASURED, f"max_negative_flip_rate needs flip_drop for rows that are {scale}"
    flips = comparison.negative_flips
    if flips is None or not n:
        rows = "outcomes" if comparison.now is None else _ROWS_OF[comparison.now.scale]
        needs = f"max_negative_flip_rate needs the {rows} of both sides, and {comparison.without_outcomes}"
        return Outcome.UNMEASURED, needs
    if (rate := Fraction(flips, n)) > cap:
        fell = "" if terms.flip_drop is None or comparison.is_right_or_wrong else f" (fell by over {terms.flip_drop})"
        lost = f"{flips} of {n} examples were lost{fell}"
        over = f"{format_percent(rate, cap)}, and at most {format_percent(cap)} may be"
        return Outcome.REGRESSED, f"{moved}; {lost}, {over}"
    return None


def _name_broken_floor(comparison: BucketComparison) -> str:
    """Return a clause where the bucket is below its minimum, or fell by more than it may; else an empty one."""
    terms, shares = comparison.terms, comparison.shares
    if shares is None:
        return ""
    if terms.min is not None and shares[1] < (floor := Fraction(terms.min)):
        return f"{format_percent(shares[1], floor)} is below the minimum of {format_percent(floor)}"
    if terms.max_drop_pp is not None and (shares[0] - shares[1]) * 100 > (most := Fraction(terms.max_drop_pp)):
        return f"it may fall by at most {format_exactly(most)} pp"
    return ""


def describe_evidence(comparison: BucketComparison) -> BucketStatistics | None:
    """Return the statistics of a bucket for a rule that proves something; `None` where nothing could be proved.

    Intervals have the two-sided level ``2 confidence - 1``, so that each end is one-sided at the confidence.
    """
    if (comparison.is_right_or_wrong and not comparison.shares_groups) or comparison.units is None:
        return describe_counts(comparison)
    units, level = comparison.units, 2 * comparison.confidence - 1
    counts, pairs = describe_counts(comparison), comparison.pairs
    grouped = comparison.shares_groups
    return BucketStatistics(
        method=Method.UNITS,
        gains=None if pairs is None else pairs.gains,
        losses=None if pairs is None else pairs.losses,
        baseline_percent=None if counts is None else counts.baseline_percent,
        candidate_percent=None if counts is None else counts.candidate_percent,
        difference_pp=to_percent(units_interval(units, level, proof=comparison.proof)),
        groups=units.total() if grouped else None,
        groups_difference_pp=f"{100 * units_mean(units) + 0.0:.4f}" if grouped else None,
        units=units.total(),
    )


def describe_counts(comparison: BucketComparison) -> BucketStatistics | None:
    """Return the statistics of independent rows that are right or wrong; `None` where a side has no counts."""
    if (scores := comparison.scores) is None:
        return None
    pairs, level = comparison.pairs, 2 * comparison.confidence - 1
    interval = newcombe_unpaired(*scores, level) if pairs is None else tango_interval(pairs, level)
    return BucketStatistics(
        method=Method.UNPAIRED if pairs is None else Method.PAIRED,
        gains=None if pairs is None else pairs.gains,
        losses=None if pairs is None else pairs.losses,
        baseline_percent=to_percent(wilson(scores[0], level)),
        candidate_percent=to_percent(wilson(scores[1], level)),
        difference_pp=to_percent(interval),
    )


def describe_move(comparison: BucketComparison) -> str:
    """Return the difference as text, never rounded to a tolerance that it missed; empty without figures."""
    if (shares := comparison.shares) is None:
        return ""
    return f"{format_points((shares[1] - shares[0]) * 100, -Fraction(comparison.terms.tolerance_pp))} pp"


def to_percent(interval: tuple[float, float]) -> tuple[str, str]:
    """Return the ends of an interval of shares in percent, with four decimals."""
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
