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
from minieval.contract.report import ACCURACY_SLACK, Evaluation, Measured, Metric

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
    yield from _find_in_buckets(evaluation.buckets, whole, is_median=False)
    yield from _find_in_metrics(evaluation.metrics)


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
    # Where the sizes of the buckets add up to the number of rows, each row is in exactly one of them.
    counted = [(each.n, each.correct) for each in buckets.values()]
    total = sum(n or 0 for n, _ in counted)
    if is_median or whole.correct is None or total != whole.n or any(correct is None for _, correct in counted):
        return
    if (correct := sum(correct or 0 for _, correct in counted)) != whole.correct:
        yield f"the buckets have {correct} of {total} rows right, and the aggregate {whole.correct} of {whole.n}"


def _find_in_accuracy(side: Measured) -> str | None:
    """Return why an accuracy without ``correct`` cannot be that of ``n`` rows; `None` where it can."""
    if side.accuracy is None or side.n is None or side.correct is not None:
        return None
    right = side.accuracy * side.n
    # Accuracy is rounded to four decimals, so from 10,000 rows on every one is possible.
    if abs(right - round(right)) <= ACCURACY_SLACK * side.n:
        return None
    return f"has accuracy {side.accuracy}, and no number of {side.n} rows right gives that"


def _find_in_part(name: str, part: Measured, n: int, whole: Measured, rows: int) -> Iterator[str]:
    """Yield what a bucket of ``n`` rows and all ``rows`` state that cannot both be true."""
    if n > rows:
        yield f"{name} has n {n}, and the aggregate has n {rows}"
    elif part.correct is None or whole.correct is None:
        return
    elif part.correct > whole.correct or n - part.correct > rows - whole.correct:
        yield f"{name} has {part.correct} of {n} rows right, and the aggregate {whole.correct} of {rows}"
    elif n == rows and part.outcomes != whole.outcomes and None not in (part.outcomes, whole.outcomes):
        yield f"{name} and the aggregate have the same {rows} rows and other outcomes"


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
