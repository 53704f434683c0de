"""Explain a verdict in words: each row with its figures, and the ids of the examples that changed. Pure.

- Every sentence follows from the verdict; the examples come from `lynxgate.analysis.explain`.
- Names and sentences from the verdict are escaped.
"""

from __future__ import annotations

from fractions import Fraction

from lynxgate.analysis.explain import Examples
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics import Pairs, mcnemar_mid_p
from lynxgate.decision.verdict import BucketStatistics, Condition, Demand, Figure, Method, Row, Verdict
from lynxgate.errors import CannotJudge
from lynxgate.escape import visible
from lynxgate.figures import format_interval, format_percent

_NEEDS = {
    Demand.PROOF: "It passes only when it is proved within its margin.",
    Demand.NO_PROOF_OF_HARM: "It passes unless it is proved worse than its margin.",
}


def render_row(verdict: Verdict, row: Row, examples: Examples | None = None, *, most: int = 20) -> str:
    """Return one row in words, as a paragraph of lines, with at most ``most`` ids of lost and of gained examples."""
    lines = [
        f"{visible(row.bucket)} ({row.tier}): {row.outcome}",
        f"  {_sentence(row.reason)}",
    ]
    evidence = row.evidence
    # The confidence is one-sided; a two-sided interval with both ends at it has level 2 c - 1.
    level = f"{float(200 * Fraction(verdict.confidence) - 100):g} % interval"
    intervals = (None, None) if evidence is None else (evidence.baseline_percent, evidence.candidate_percent)
    for name, figure, interval in zip(("baseline", "candidate"), (row.baseline, row.candidate), intervals, strict=True):
        shown = "" if interval is None else f" ({level} {format_interval(interval)})"
        lines.append(f"  {name:<11}{_describe_figure(figure)}{shown}")
    if evidence is not None:
        lines.append(
            f"  difference {format_interval(evidence.difference_pp, signed=True)} pp ({level}, {evidence.method})"
        )
    if row.negative_flip_rate is not None and evidence is not None and evidence.gains is not None:
        cap = f", at most {format_percent(Fraction(row.max_negative_flip_rate))}" if row.max_negative_flip_rate else ""
        lines.append(
            f"  changes    {evidence.gains} gained, {evidence.losses} lost "
            f"(negative flips {format_percent(row.negative_flip_rate)}{cap}); "
            f"any change at all: {_short_p(mcnemar_mid_p(_pairs(row, evidence)))} (McNemar, mid-p)"
        )
    if evidence is not None and evidence.method is Method.UNPAIRED:
        lines.append("  One side has no outcomes, so the examples that changed are not known.")
    if row.demand is not None and row.tier == "advisory":
        lines.append("  It is advisory and blocks nothing.")
    elif row.demand is not None:
        lines.append(f"  {_NEEDS[row.demand]}")
    if examples is not None:
        decides = evidence is not None and evidence.groups is not None
        lines += _describe_examples(examples, most, decides=decides)
    return "\n".join(lines)


def render_metric(row: MetricRow) -> str:
    """Return one metric in words, as a paragraph of lines."""
    lines = [
        f"{visible(row.metric)} ({row.tier} metric, {_describe_direction(row)}): {row.outcome}",
        f"  {_sentence(row.reason)}",
    ]
    if row.warns:
        lines.append(f"  Warning: {_sentence(row.warning or '')}")
    if row.limits:
        lines.append(f"  limits     {visible(', '.join(f'{name} {limit}' for name, limit in row.limits.items()))}")
    if row.shift is not None:
        share = format_percent(Fraction(row.shift.share))
        lines.append(
            f"  samples    {row.shift.n_baseline} and {row.shift.n_candidate}; the candidate's is worse in {share} of "
            f"the pairs (Mann-Whitney p {row.shift.p}, {row.shift.method})"
        )
    if row.outliers_baseline is not None and row.outliers_candidate is not None:
        ours, theirs = (f"{each.low} low, {each.high} high" for each in (row.outliers_baseline, row.outliers_candidate))
        lines.append(f"  outliers   baseline {ours}; candidate {theirs} (outside Tukey's fences; none dropped)")
    if row.tier == "advisory":
        lines.append("  It is advisory and blocks nothing.")
    return "\n".join(lines)


def render_verdict(verdict: Verdict) -> str:
    """Return the whole verdict in words: the summary, then each row that blocks, is in doubt, or warns."""
    rows = (*((verdict.aggregate,) if verdict.aggregate else ()), *verdict.rows)
    shown = [render_row(verdict, row) for row in rows if row.blocks or row.outcome is not Outcome.HELD]
    shown += [render_metric(row) for row in verdict.metrics if row.outcome is not Outcome.HELD or row.warns]
    quiet = len(rows) + len(verdict.metrics) - len(shown)
    parts = [verdict.summary, *map(_describe_condition, verdict.conditions)]
    return "\n\n".join([*parts, *shown, f"The other {quiet} rows held." if shown else "Every row held."])


def _describe_condition(condition: Condition) -> str:
    warning = "" if condition.warning is None else f"; warning: {visible(condition.warning)}"
    return f"{condition.name}: {condition.outcome}, {visible(condition.reason)}{warning}"


def _sentence(text: str) -> str:
    shown = visible(text)
    return f"{shown[:1].upper()}{shown[1:]}."


def _describe_direction(row: MetricRow) -> str:
    match row.direction:
        case None:
            return "has no direction agreed"
        case "info":
            return "for information"
        case _:
            return f"better {row.direction}"


def _describe_figure(figure: Figure | None) -> str:
    if figure is None or figure.share is None:
        return "no figure"
    share = format_percent(figure.share)
    if figure.is_graded:
        return f"{share}, the mean of {figure.n} scores" if figure.n is not None else f"{share}, a mean score"
    if figure.correct is None or figure.n is None:
        return share
    answers = "" if figure.trials is None else f" answers ({figure.trials} for each of {figure.n} rows)"
    return f"{share}, {figure.correct} of {figure.n * (figure.trials or 1)}{answers}"


def _describe_examples(examples: Examples, most: int, *, decides: bool) -> list[str]:
    lines = []
    if examples.groups is not None and not decides:
        shown = "no interval" if examples.interval_pp is None else "{:+.2f} to {:+.2f} pp".format(*examples.interval_pp)
        lines.append(f"  in groups  {examples.groups} groups of examples: {shown} (decides nothing)")
    for name, ids in (("lost", examples.lost), ("gained", examples.gained)):
        more = f" and {len(ids) - most} more" if len(ids) > most else ""
        lines.append(f"  {name:<11}{', '.join(visible(each) for each in ids[:most]) or 'none'}{more}")
    return lines


def _pairs(row: Row, evidence: BucketStatistics) -> Pairs:
    n = None if row.candidate is None else row.candidate.n
    gains, losses = evidence.gains or 0, evidence.losses or 0
    # A stored verdict is read as it was written; only here its counts must be possible together.
    if n is not None and gains + losses > n:
        raise CannotJudge(
            f"{visible(row.bucket)}: {gains} gained and {losses} lost of {n} examples is not possible; "
            "the verdict was changed after it was written (see lynxgate replay)"
        )
    # A row with gains has counts; 1 only satisfies the type, since `Pairs` needs an example.
    return Pairs(n or 1, gains, losses)


def _short_p(p: float) -> str:
    return f"p {p:.4f}" if p >= 0.0001 else "p below 0.0001"
