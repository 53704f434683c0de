"""Check that the figures of one document agree with each other: what can be derived is derived and compared. Pure.

- Called where a decision is taken, and never by the parsers: a document that was written before stays readable.
- Only what follows for every evaluator is checked. A row may be in several buckets; all buckets are parts of all rows.
- Statistics of samples (mean, median, a percentile) lie between the smallest and the largest sample, whichever one the
  evaluator states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import BaselineMetric
from lynxgate.decision.policy import Policy, Tier
from lynxgate.errors import CannotJudge
from lynxgate.figures import format_figure
from minieval.contract.report import ACCURACY_SLACK, Evaluation, Measured, Metric, Scale

ROUNDING = Fraction(1, 1000)  # of the largest sample: how far a stated value may be rounded


def check_evaluation(evaluation: Evaluation) -> None:
    """Check that no stated figure of an evaluation differs from one that follows from its other figures.

    Raises:
        CannotJudge: one does; the message names both figures.
    """
    for problem in _find_in_evaluation(evaluation):
        raise CannotJudge(f"the evaluation contradicts itself: {problem}; evaluate again")


def check_baseline(baseline: Baseline) -> None:
    """Check the figures of a baseline as `check_evaluation` does those of an evaluation.

    The medians of buckets do not add up to the median of all rows, so that sum is not checked for a median.

    Raises:
        CannotJudge: a stated figure differs from a derived one.
    """
    measured = {name: each for name, each in baseline.buckets.items() if each.is_measured}
    is_median = baseline.source.median_of is not None
    in_buckets = _find_in_buckets(measured, baseline.aggregate, is_median=is_median)
    for problem in (*in_buckets, *_find_in_metrics(baseline.metrics)):
        raise CannotJudge(f"the baseline contradicts itself: {problem}; rebaseline")


def check_sizes(policy: Policy, evaluation: Evaluation, baseline: Baseline) -> None:
    """Check that the evaluation states `n` wherever the baseline does: without it, another `n` would go unnoticed.

    An advisory bucket never blocks, so it may leave `n` out.

    Raises:
        CannotJudge: a bucket (or all rows, where they are gated) has no `n`, and the baseline's has one.
    """
    sides = [
        (f"bucket {name!r}", baseline.buckets.get(name), evaluation.buckets[name])
        for name in sorted(evaluation.buckets)
        if policy.terms_of(name).tier is not Tier.ADVISORY
    ]
    if policy.gates_all_rows and evaluation.aggregate is not None:
        sides.append(("the aggregate", baseline.aggregate, evaluation.aggregate))
    for name, before, now in sides:
        if before is not None and before.n is not None and now.n is None:
            raise CannotJudge(
                f"{name} has n {before.n} in the baseline, and the evaluation states no n, so the two may differ; "
                "evaluate again with n and correct"
            )


def _find_in_evaluation(evaluation: Evaluation) -> Iterator[str]:
    rows, whole = evaluation.eval_set.rows, evaluation.aggregate
    sizes = {f"bucket {name!r}": each.n for name, each in evaluation.buckets.items()}
    if rows is not None:
        if whole is not None and whole.n not in (None, rows):
            yield f"eval_set.rows is {rows}, and the aggregate has n {whole.n}"
        for name, n in sizes.items():
            if n is not None and n > rows:
                yield f"eval_set.rows is {rows}, and {name} has n {n}"
        if (groups := evaluation.eval_set.groups) is not None and groups > rows:
            yield f"eval_set.rows is {rows}, and eval_set.groups is {groups}"
    yield from _find_in_answers(evaluation)
    yield from _find_in_buckets(evaluation.buckets, whole, is_median=False)
    yield from _find_in_classes(evaluation)
    yield from _find_in_metrics(evaluation.metrics)


def _find_in_answers(evaluation: Evaluation) -> Iterator[str]:
    """Yield what the number of missing answers contradicts; a missing answer is wrong."""
    missing, rows, whole = evaluation.missing_answers, evaluation.eval_set.rows, evaluation.aggregate
    if missing is None:
        return
    if rows is not None and missing > rows:
        yield f"eval_set.rows is {rows}, and missing_answers is {missing}"
    if whole is None or whole.scale is Scale.GRADED or whole.correct is None or whole.reachable is None:
        return
    if whole.correct + missing > whole.reachable:  # a row with a missing answer has at least one that is wrong
        yield (
            f"the aggregate has {whole.correct} of {whole.reachable} {_unit(whole)}, and missing_answers is {missing}"
        )


def _find_in_classes(evaluation: Evaluation) -> Iterator[str]:
    """Yield the classes that are of another number of rows, and the metrics that do not follow from their class."""
    whole = None if evaluation.aggregate is None else evaluation.aggregate.n
    rows = evaluation.eval_set.rows or whole
    for name, counts in evaluation.classes.items():
        if rows is not None and counts.n != rows:
            yield f"class {name!r} has n {counts.n}, and the eval set has {rows} rows"
        for rate, share in counts.rates.items():
            stated = evaluation.metrics.get(f"{rate}.{name}")
            if stated is not None and abs(Fraction(stated.value) - share) > Fraction(ACCURACY_SLACK):
                found = format_figure(share)
                yield f"metric '{rate}.{name}' is {format_figure(stated.value)}, and its class gives {found}"
    yield from _find_in_rows_of_classes(evaluation, rows)


def _find_in_rows_of_classes(evaluation: Evaluation, rows: int | None) -> Iterator[str]:
    """Yield what all classes together contradict: a row has one expected class and one answer.

    A false positive can be right, where the row accepts a further class; so false positives are not compared with the
    wrong rows.
    """
    if not evaluation.classes:
        return
    counts, whole = evaluation.classes.values(), evaluation.aggregate
    right, wrong = sum(each.true_positives for each in counts), sum(each.false_positives for each in counts)
    expected, missing = right + sum(each.false_negatives for each in counts), evaluation.missing_answers or 0
    if rows is not None and expected > rows:
        yield f"the classes are expected in {expected} rows, and the eval set has {rows}"
    if rows is not None and right + wrong + missing > rows:
        without = f" and {missing} have no answer" if missing else ""
        yield f"the classes were answered in {right + wrong} rows{without}, and the eval set has {rows} rows"
    if whole is not None and whole.correct is not None and right > whole.correct:
        yield f"the classes have {right} true positives, and the aggregate {whole.correct} rows right"


def _find_in_buckets(buckets: Mapping[str, Measured], whole: Measured | None, *, is_median: bool) -> Iterator[str]:
    named = {f"bucket {name!r}": each for name, each in buckets.items()}
    for name, side in [*named.items(), *([("the aggregate", whole)] if whole is not None else [])]:
        if problem := _find_in_accuracy(side):
            yield f"{name} {problem}"
    if whole is None or whole.n is None:
        return
    for name, part in named.items():
        if part.n is not None:
            yield from _find_in_part(name, part, part.n, whole, whole.n)
    yield from _find_in_shares(buckets, whole, whole.n, is_median=is_median)
    # Where the sizes of the buckets add up to the number of rows, each row is in exactly one of them.
    counted = [each.reached if each.scale is whole.scale else None for each in buckets.values()]
    total = sum(each.n or 0 for each in buckets.values())
    if is_median or whole.reached is None or total != whole.n or None in counted:
        return
    if (reached := sum(each or 0 for each in counted)) != whole.reached:
        unit = _unit(whole)
        most = sum(each.reachable or 0 for each in buckets.values())
        yield f"the buckets have {reached} of {most} {unit}, and the aggregate {whole.reached} of {whole.reachable}"


def _find_in_shares(buckets: Mapping[str, Measured], whole: Measured, rows: int, *, is_median: bool) -> Iterator[str]:
    """Yield that buckets of `rows` rows together cannot have the share of all rows, where one states a share alone."""
    sides = [*buckets.values(), whole]
    if (
        is_median
        or sum(each.n or 0 for each in buckets.values()) != rows
        or all(each.reached is not None for each in sides)
    ):
        return
    ranges = [_range_of(each) for each in sides if (each.scale, each.trials) == (whole.scale, whole.trials)]
    known = [each for each in ranges if each is not None]
    if len(known) < len(sides):
        return
    *parts, (low, high) = known
    if sum(part[1] for part in parts) < low or sum(part[0] for part in parts) > high:
        reached = format_figure(sum(((part[0] + part[1]) / 2 for part in parts), Fraction(0)) / (whole.reachable or 1))
        stated = format_figure(whole.written or Fraction(0))
        yield f"the buckets together have a share of {reached}, and the aggregate {stated}"


def _range_of(side: Measured) -> tuple[Fraction, Fraction] | None:
    """Return the least and the most that the rows of a side reached: a share alone is rounded to four decimals."""
    if side.reachable is None or side.written is None:
        return None
    if side.reached is not None:
        return Fraction(side.reached), Fraction(side.reached)
    slack = Fraction(ACCURACY_SLACK) * side.reachable
    return side.written * side.reachable - slack, side.written * side.reachable + slack


def _find_in_accuracy(side: Measured) -> str | None:
    """Return why an accuracy without ``correct`` cannot be that of ``n`` rows; `None` where it can."""
    if side.accuracy is None or side.n is None or side.reachable is None or side.correct is not None:
        return None
    right = side.accuracy * side.reachable
    # Accuracy is rounded to four decimals, so from 10,000 rows on every one is possible.
    if abs(right - round(right)) <= ACCURACY_SLACK * side.reachable:
        return None
    return f"has accuracy {side.accuracy}, and no number of {side.n} rows right gives that"


def _find_in_part(name: str, part: Measured, n: int, whole: Measured, rows: int) -> Iterator[str]:
    """Yield what a bucket of ``n`` rows and all ``rows`` state that cannot both be true."""
    if n > rows:
        yield f"{name} has n {n}, and the aggregate has n {rows}"
    elif part.scale is not whole.scale or part.trials != whole.trials:
        yield f"{name} is {part.scale}, and the aggregate is {whole.scale}"
    elif None in (part.reached, part.reachable, whole.reached, whole.reachable):
        return
    elif _exceeds(part, whole):
        of_part, of_whole = (f"{side.reached} of {side.reachable}" for side in (part, whole))
        yield f"{name} has {of_part} {_unit(part)}, and the aggregate {of_whole}"
    elif n == rows and any(None not in both and both[0] != both[1] for both in _rows_of(part, whole)):
        yield f"{name} and the aggregate have the same {rows} rows and other outcomes"


def _exceeds(part: Measured, whole: Measured) -> bool:
    """Return whether a part reached more than the whole, or missed more."""
    missed = [(side.reachable or 0) - (side.reached or 0) for side in (part, whole)]
    return (part.reached or 0) > (whole.reached or 0) or missed[0] > missed[1]


def _rows_of(part: Measured, whole: Measured) -> Iterator[tuple[str | None, str | None]]:
    yield part.outcomes, whole.outcomes
    yield part.counts, whole.counts
    yield part.scores, whole.scores


def _unit(side: Measured) -> str:
    return {Scale.RIGHT_OR_WRONG: "rows right", Scale.TRIALS: "answers right", Scale.GRADED: "points"}[side.scale]


def _find_in_metrics(metrics: Mapping[str, Metric] | Mapping[str, BaselineMetric]) -> Iterator[str]:
    for name, metric in metrics.items():
        if metric.samples is None or metric.value is None:
            continue
        low, high = min(metric.samples), max(metric.samples)
        if not _is_between(metric.value, low, high):
            limits = f"{format_figure(low)} to {format_figure(high)}"
            yield f"metric {name!r} has value {format_figure(metric.value)}, and its samples lie in {limits}"


def _is_between(value: Decimal, low: Decimal, high: Decimal) -> bool:
    slack = ROUNDING * max(abs(Fraction(low)), abs(Fraction(high)))
    return Fraction(low) - slack <= Fraction(value) <= Fraction(high) + slack
