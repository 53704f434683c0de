"""A verdict in words: each row with its figures, and the examples that were lost, by id. Pure.

- What is told follows from the verdict; the examples follow from the two documents it was made from and the eval set,
  all of which are held against its hashes first.
- Of an example only the id is named, never its input or answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics import Pairs, cluster_pairs, clustered_interval, mcnemar_mid_p
from lynxgate.decision.verdict import BucketStatistics, Demand, Figure, Method, Row, Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.figures import format_interval, format_percent, visible
from minieval.contract.evalset import EvalSet
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Evaluation, Measured

_NEEDS = {
    Demand.PROOF: "It passes only when it is proved within its margin.",
    Demand.NO_PROOF_OF_HARM: "It passes unless it is proved worse than its margin.",
}


@dataclass(frozen=True)
class Examples:
    """The ids of the examples of one row that changed, in eval-set order, and the interval that groups give.

    ``groups`` and ``interval_pp`` (percentage points) are there when the eval set has groups.
    """

    lost: tuple[str, ...]
    gained: tuple[str, ...]
    groups: int | None = None
    interval_pp: tuple[float, float] | None = None


def find_row(verdict: Verdict, bucket: str) -> Row:
    """The row of a bucket, or of `ALL_ROWS`.

    Raises:
        CannotJudge: the verdict has no such row.
    """
    rows: tuple[Row, ...] = (*verdict.rows, *((verdict.aggregate,) if verdict.aggregate else ()))
    for row in rows:
        if row.bucket == bucket:
            return row
    raise CannotJudge(f"the verdict has no bucket {bucket[:80]!r}; it has {', '.join(row.bucket for row in rows)}")


def find_examples(
    verdict: Verdict, row: Row, evaluation: Evaluation, baseline: Baseline, eval_set: EvalSet
) -> Examples | None:
    """The examples of a row that changed; `None` where a side has no outcomes.

    Raises:
        IntegrityFailure: the eval set is not the verdict's, or has another number of rows in this bucket.
    """
    check_eval_set(verdict, eval_set)
    if row is verdict.aggregate:
        before, now = baseline.aggregate, evaluation.aggregate
        members = eval_set.rows
    else:
        before, now = baseline.buckets.get(row.bucket), evaluation.buckets.get(row.bucket)
        members = tuple(each for each in eval_set.rows if row.bucket in each.labels.buckets)
    if not _has_outcomes(before) or not _has_outcomes(now) or before is None or now is None:
        return None
    n = len(members)
    if (before.n, now.n) != (n, n):
        raise IntegrityFailure(
            f"{visible(row.bucket)}: the eval set has {n} rows, the baseline {before.n} and the evaluation {now.n}"
        )
    old, new = (unpack_outcomes(side.outcomes or "", n) for side in (before, now))
    changed = [(f"{old & ~new:0{n}b}"), (f"{new & ~old:0{n}b}")]
    lost, gained = (
        tuple(each.features.id for each, bit in zip(members, bits, strict=True) if bit == "1") for bits in changed
    )
    labels = [each.labels.group for each in members]
    if not any(labels):
        return Examples(lost, gained)
    # A row without a group is a group of its own; its number cannot be taken for a name.
    clusters = cluster_pairs(old, new, [index if group is None else group for index, group in enumerate(labels)])
    if len(clusters) < 2:
        return Examples(lost, gained, len(clusters))
    low, high = clustered_interval(clusters, 2 * float(Fraction(verdict.confidence)) - 1)
    return Examples(lost, gained, len(clusters), (100 * low, 100 * high))


def check_eval_set(verdict: Verdict, eval_set: EvalSet) -> None:
    """Make sure that it is the eval set of the verdict's inputs.

    Raises:
        IntegrityFailure: a hash differs.
    """
    inputs, found = verdict.inputs, eval_set.identity
    if found.dvc_md5 != inputs.eval_set_dvc_md5 or inputs.eval_set_sha256 not in (None, found.sha256):
        raise IntegrityFailure(
            f"the eval set is md5 {found.dvc_md5}, and the verdict was made on {inputs.eval_set_dvc_md5}; "
            "check out the one it was made on"
        )


def render_row(verdict: Verdict, row: Row, examples: Examples | None = None, *, most: int = 20) -> str:
    """One row in words, as a paragraph of lines; of the examples at most ``most`` ids of each kind."""
    lines = [
        f"{visible(row.bucket)} ({row.tier}): {row.outcome}",
        f"  {_sentence(row.reason)}",
    ]
    evidence = row.evidence
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
            f"that anything changed: {_short_p(mcnemar_mid_p(_pairs(row, evidence)))} (McNemar, mid-p)"
        )
    if evidence is not None and evidence.method is Method.UNPAIRED:
        lines.append("  One side has no outcomes, so that it cannot be told which examples changed.")
    if row.demand is not None:
        lines.append(f"  {_NEEDS[row.demand]}" if row.tier != "advisory" else "  It is advisory and blocks nothing.")
    if examples is not None:
        decides = evidence is not None and evidence.groups is not None
        lines += _describe_examples(examples, most, decides=decides)
    return "\n".join(lines)


def render_metric(row: MetricRow) -> str:
    """One metric in words, as a paragraph of lines."""
    better = "has no direction agreed" if row.direction is None else f"better {row.direction}"
    kind = "for information" if row.direction == "info" else better
    lines = [
        f"{visible(row.metric)} ({row.tier} metric, {kind}): {row.outcome}",
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
    """The whole verdict in words: what it was, then what keeps the candidate out, is in doubt, or warns."""
    rows = (*((verdict.aggregate,) if verdict.aggregate else ()), *verdict.rows)
    told = [render_row(verdict, row) for row in rows if row.blocks or row.outcome is not Outcome.HELD]
    told += [render_metric(row) for row in verdict.metrics if row.outcome is not Outcome.HELD or row.warns]
    quiet = len(rows) + len(verdict.metrics) - len(told)
    parts = [verdict.summary, *(f"{each.name}: {each.outcome}, {visible(each.reason)}" for each in verdict.conditions)]
    return "\n\n".join([*parts, *told, f"The other {quiet} rows held." if told else "Every row held."])


def _sentence(text: str) -> str:
    shown = visible(text)
    return f"{shown[:1].upper()}{shown[1:]}."


def _describe_figure(figure: Figure | None) -> str:
    if figure is None or figure.share is None:
        return "no figure"
    counts = "" if figure.correct is None else f", {figure.correct} of {figure.n}"
    return f"{format_percent(figure.share)}{counts}"


def _describe_examples(examples: Examples, most: int, *, decides: bool) -> list[str]:
    lines = []
    if examples.groups is not None and not decides:
        shown = "no interval" if examples.interval_pp is None else "{:+.2f} to {:+.2f} pp".format(*examples.interval_pp)
        lines.append(f"  in groups  {examples.groups} groups of examples: {shown} (decides nothing)")
    for name, ids in (("lost", examples.lost), ("gained", examples.gained)):
        more = f" and {len(ids) - most} more" if len(ids) > most else ""
        lines.append(f"  {name:<11}{', '.join(visible(each) for each in ids[:most]) or 'none'}{more}")
    return lines


def _has_outcomes(side: Measured | None) -> bool:
    return side is not None and side.outcomes is not None


def _pairs(row: Row, evidence: BucketStatistics) -> Pairs:
    n = None if row.candidate is None else row.candidate.n
    return Pairs(n or 1, evidence.gains or 0, evidence.losses or 0)


def _short_p(p: float) -> str:
    return f"p {p:.4f}" if p >= 0.0001 else "p below 0.0001"
