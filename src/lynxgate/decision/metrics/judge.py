"""Judge metrics: figures with a direction (latency, size, throughput, cost), against the baseline and its policy.

Pure: no file, no clock, no environment. Exact: decimals become fractions; only the rank test's p is a float.

- Every metric of either side has a row, in code-point order. A metric that cannot be compared does not pass.
- Direction, unit and dependence on the machine come from the baseline, never from the candidate.
- A candidate that is at least as good as the baseline breaks no limit that compares with it. ``min`` and ``max`` always
  hold.
- A ratio to a baseline that is zero or negative has no meaning. A blocking limit of that kind is refused and not
  skipped; a warning limit warns as soon as the candidate is worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from lynxgate.decision.metrics.policy import (
    ABSOLUTE,
    RELATIVE,
    BaselineMetric,
    Direction,
    MetricPolicy,
    idle_globs,
    terms_of,
)
from lynxgate.decision.metrics.row import MetricRow, Outliers, Shift
from lynxgate.decision.metrics.samples import (
    TooFew,
    count_outliers,
    describe_outliers,
    describe_shift,
    drop_warmup,
    is_proved,
    measure_shift,
    summarise,
)
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics.class_rates import RATES, rate_floor_p
from lynxgate.errors import CannotJudge
from lynxgate.escape import visible
from lynxgate.figures import format_exactly, format_figure, format_points
from minieval.contract.report import ClassCounts, Metric

_Figures = tuple[Fraction, Fraction]  # the baseline's, the candidate's


def judge_metrics(
    policy: Mapping[str, MetricPolicy],
    baseline: Mapping[str, BaselineMetric],
    candidate: Mapping[str, Metric],
    *,
    fingerprints: tuple[str | None, str | None],
    permutes_ties: bool = True,
    classes: Mapping[str, ClassCounts] | None = None,
    in_groups: bool = False,
) -> tuple[MetricRow, ...]:
    """Return a row for every metric of either side; none where neither the policy nor the baseline names metrics.

    ``fingerprints`` identify the machine of the baseline and that of the candidate. ``permutes_ties`` is that of
    `lynxgate.decision.statistics.mann_whitney`. ``classes`` are the counts of the candidate's classes;
    ``in_groups`` is whether its rows come in groups, with which no rate of a class is proved.

    Raises:
        CannotJudge: the policy names metrics that neither side has, or a limit that would block an improvement.
    """
    if not policy and not baseline:
        return ()
    names = frozenset(baseline) | frozenset(candidate)
    if idle := idle_globs(policy, names):
        raise CannotJudge(f"policy.metrics: {idle[0]!r} matches no metric of either document; correct or remove it")
    comparisons = [
        _MetricComparison(
            name=name,
            terms=terms_of(policy, name),
            before=baseline.get(name),
            now=candidate.get(name),
            fingerprints=fingerprints,
            is_named=name in policy,
            permutes_ties=permutes_ties,
            classes=classes or {},
            in_groups=in_groups,
        )
        for name in sorted(names)
    ]
    return tuple(_judge(comparison) for comparison in comparisons)


@dataclass(frozen=True)
class _MetricComparison:
    """One metric before it is judged: its terms, and what each side measured.

    ``is_named``: the policy has an entry with this very name, not only a glob or `default` that matches.
    """

    name: str
    terms: MetricPolicy | None
    before: BaselineMetric | None
    now: Metric | None
    fingerprints: tuple[str | None, str | None]
    is_named: bool
    permutes_ties: bool
    classes: Mapping[str, ClassCounts]
    in_groups: bool

    @property
    def unit(self) -> str:
        return f" {visible(self.before.unit)}" if self.before and self.before.unit else ""

    @property
    def _stated(self) -> tuple[Fraction | None, Fraction | None]:
        before, now = (side.value if side else None for side in (self.before, self.now))
        return None if before is None else Fraction(before), None if now is None else Fraction(now)

    def row(
        self,
        outcome: Outcome,
        reason: str,
        measured: _Measured | None = None,
        warning: str | None = None,
        p_above_min: float | None = None,
    ) -> MetricRow:
        was, became = self._stated if measured is None else measured.figures
        return MetricRow(
            metric=self.name,
            tier=self.terms.tier if self.terms else "standard",
            outcome=outcome,
            direction=self.before.direction if self.before else None,
            unit=self.before.unit if self.before else None,
            baseline=None if was is None else format_exactly(was),
            candidate=None if became is None else format_exactly(became),
            change=None if was is None or became is None else format_exactly(became - was),
            limits={name: format_exactly(limit) for name, limit in self.terms.limits.items()} if self.terms else {},
            shift=measured.shift if measured else None,
            p_above_min=None if p_above_min is None else f"{p_above_min:.6f}",
            outliers_baseline=measured.outliers[0] if measured else None,
            outliers_candidate=measured.outliers[1] if measured else None,
            warning=warning,
            reason=reason,
        )


@dataclass(frozen=True)
class _Measured:
    """The figures that are compared, the baseline's first, and what the samples show where both sides have some."""

    figures: _Figures
    shift: Shift | None = None
    outliers: tuple[Outliers, Outliers] | tuple[None, None] = (None, None)

    def describe(self, unit: str) -> str:
        was, became = self.figures
        text = f"{format_figure(was)} -> {format_figure(became)}{unit}"
        ours, theirs = self.outliers
        far = "" if ours is None or theirs is None else describe_outliers(ours, theirs)
        notes = [note for note in ("" if self.shift is None else describe_shift(self.shift), far) if note]
        return f"{text} ({', '.join(notes)})" if notes else text


def _judge(comparison: _MetricComparison) -> MetricRow:
    terms, before, now = comparison.terms, comparison.before, comparison.now
    if before is None:
        return comparison.row(Outcome.NEW, "the baseline has no such metric; add it there, or stop measuring it")
    if now is None:
        return comparison.row(Outcome.MISSING, "the evaluation has no such metric")
    if terms is None:
        return comparison.row(Outcome.UNMEASURED, "policy.metrics has no entry for it; add one, or a `default`")
    _refuse_misdirected(comparison.name, before, terms, named=comparison.is_named)
    if problem := _incomparable(comparison, terms, before, now):
        return comparison.row(Outcome.UNMEASURED, problem)
    try:
        measured = _measure(terms, before, now, permutes_ties=comparison.permutes_ties)
    except TooFew as error:
        return comparison.row(Outcome.UNMEASURED, str(error))
    return _judge_figures(comparison, terms, before.direction, measured)


def _judge_figures(
    comparison: _MetricComparison, terms: MetricPolicy, direction: Direction, measured: _Measured
) -> MetricRow:
    was, became = measured.figures
    ratios = [key for key in ("max_ratio", "max_pct") if terms.limit(key) is not None]
    if was <= 0 and ratios and direction != "info":
        reason = f"the baseline is {format_figure(was)}, and {ratios[0]} of that has no meaning; set max_abs instead"
        return comparison.row(Outcome.UNMEASURED, reason, measured)
    moved = f"{format_figure(was)} -> {format_figure(became)}{comparison.unit}"
    warned = next(_broken(direction, measured.figures, terms, prefix="warn_"), None)
    warning = None if warned is None else f"{moved}: {warned[1]}"
    description = measured.describe(comparison.unit)
    broken = next(_broken(direction, measured.figures, terms), None)
    if broken is None and terms.min_confidence is not None:
        outcome, reason, p = _prove_minimum(comparison, terms, float(terms.min_confidence))
        return comparison.row(outcome, f"{description}: {reason}", measured, warning, p)
    if broken is None:
        return comparison.row(Outcome.HELD, f"{description}: within its limits", measured, warning)
    name, text = broken
    if name in RELATIVE and terms.confidence is not None and measured.shift and not is_proved(measured.shift, terms):
        reason = f"{description}: {text}, but the samples do not prove it; measure more"
        return comparison.row(Outcome.INCONCLUSIVE, reason, measured, warning)
    return comparison.row(Outcome.REGRESSED, f"{description}: {text}", measured, warning)


def _prove_minimum(
    comparison: _MetricComparison, terms: MetricPolicy, confidence: float
) -> tuple[Outcome, str, float | None]:
    """Return whether the rows prove that a rate of a class is at least its minimum, why, and the p value."""
    kind, _, name = comparison.name.partition(".")
    rate, counts = RATES.get(kind), comparison.classes.get(name)
    if rate is None or counts is None:
        return Outcome.UNMEASURED, "min_confidence needs precision, recall or f1 of a class that the task gates", None
    if comparison.in_groups:
        return Outcome.UNMEASURED, "min_confidence takes rows as independent, and these come in groups", None
    least = terms.min or Decimal(0)
    p, floor = rate_floor_p(counts, rate, float(least)), format_exactly(least)
    if p <= 1 - confidence:
        return Outcome.HELD, f"proved at least {floor} (p {p:.4f}), and within its limits", p
    return Outcome.INCONCLUSIVE, f"not proved at least {floor} (p {p:.4f}); evaluate more rows", p


def _refuse_misdirected(name: str, before: BaselineMetric, terms: MetricPolicy, *, named: bool) -> None:
    """Refuse a limit that would block an improvement, and a relative limit on a figure without a worse side."""
    idle = {"lower": ("min", "warn_min"), "higher": ("max", "warn_max"), "info": ()}[before.direction]
    if before.direction == "info" and named:
        # Only an entry of its own is refused: a glob or `default` may match a figure that is for information.
        idle = tuple(prefix + key for prefix in ("", "warn_") for key in RELATIVE)
    for key in idle:
        if terms.limit(key) is not None:
            if before.direction == "info":
                why = f"is for information, so {key} has no effect"
            else:
                why = f"is better {before.direction}, so {key} would block an improvement"
            raise CannotJudge(f"policy.metrics: {name!r} {why}; remove it, or name the metric")


def _incomparable(
    comparison: _MetricComparison, terms: MetricPolicy, before: BaselineMetric, now: Metric
) -> str | None:
    """Return why the two figures cannot be compared; `None` where they can."""
    if before.value is None:
        return "the baseline has a placeholder; rebaseline"
    if before.unit is not None and now.unit != before.unit:
        found = "no unit" if now.unit is None else f"unit {visible(now.unit)}"
        return f"the baseline's unit is {visible(before.unit)}, and the evaluation names {found}"
    agreed, found_here = comparison.fingerprints
    if before.machine and not terms.across_machines and (agreed is None or agreed != found_here):
        state = "unknown on one side" if agreed is None or found_here is None else "another one"
        return f"it depends on the machine, and the environment is {state}; measure both on equal machines"
    needs = [key for key, value in (("statistic", terms.statistic), ("confidence", terms.confidence)) if value]
    for side, samples in (("baseline", before.samples), ("evaluation", now.samples)):
        if needs and samples is None:
            return f"policy.metrics needs samples for {needs[0]}, and the {side} has none"
    return None


def _measure(terms: MetricPolicy, before: BaselineMetric, now: Metric, *, permutes_ties: bool) -> _Measured:
    was, became = Fraction(before.value or 0), Fraction(now.value)
    if before.samples is None or now.samples is None:
        return _Measured((was, became))
    ours = drop_warmup(before.samples, terms, "the baseline")
    theirs = drop_warmup(now.samples, terms, "the evaluation")
    if terms.statistic is not None:
        was, became = summarise(ours, terms.statistic), summarise(theirs, terms.statistic)
    outliers = count_outliers(ours), count_outliers(theirs)
    if before.direction == "info":
        return _Measured((was, became), None, outliers)
    worse: Literal["higher", "lower"] = "higher" if before.direction == "lower" else "lower"
    shift = measure_shift(ours, theirs, worse=worse, permutes_ties=permutes_ties)
    return _Measured((was, became), shift, outliers)


def _broken(
    direction: Direction, figures: _Figures, terms: MetricPolicy, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Return each broken limit with its name and a clause about it; limits that need no baseline come first."""
    was, became = figures
    for name in ABSOLUTE:
        limit = terms.limit(prefix + name)
        if limit is None:
            continue
        if name == "min" and became < Fraction(limit):
            yield name, f"below {prefix}min {format_exactly(limit)}"
        elif name == "max" and became > Fraction(limit):
            yield name, f"above {prefix}max {format_exactly(limit)}"
    if direction == "info":
        return
    # As (low, high): the candidate is worse exactly where high > low, whichever direction is better.
    pair = (was, became) if direction == "lower" else (became, was)
    for name in RELATIVE:
        limit = terms.limit(prefix + name)
        if limit is not None and (text := _exceeds(name, pair, was, Fraction(limit))):
            yield name, f"{text}, and {prefix}{name} is {format_exactly(limit)}"


def _exceeds(name: str, pair: _Figures, was: Fraction, limit: Fraction) -> str | None:
    """Return a clause about how far the candidate is beyond a relative limit; `None` where it is within it."""
    low, high = pair
    if high <= low:
        return None
    if name == "max_abs":
        return f"worse by {_apart(high - low, limit)}" if high - low > limit else None
    if was <= 0:
        # Only a warning limit reaches this line: `_judge_figures` has refused a blocking one.
        return f"worse, and a share of {format_figure(was)} has no meaning"
    if name == "max_pct":
        percent = (high - low) / was * 100
        return f"worse by {_apart(percent, limit)} %" if percent > limit else None
    if low <= 0:
        return "worse by more than any ratio"
    return f"worse by a ratio of {_apart(high / low, limit)}" if high / low > limit else None


def _apart(value: Fraction, limit: Fraction) -> str:
    return format_points(value, limit).removeprefix("+")
