"""Show what a baseline requires, for `lynxgate baseline show`. Pure; names in it are escaped."""

from __future__ import annotations

from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import MetricPolicy, terms_of
from lynxgate.escape import visible
from lynxgate.figures import format_figure
from lynxgate.reports.layout import aligned_lines
from minieval.contract.report import Scale

_METRICS = ("metric", "value", "better", "machine", "tier", "limits")


def render_baseline(baseline: Baseline) -> str:
    """Return the source of the figures, the policy, and a table of the buckets and metrics with their terms."""
    lines = [
        f"status     {baseline.status}",
        f"source     {_describe_source(baseline)}",
        f"eval set   {visible(baseline.eval_set)}, md5 {baseline.eval_set_dvc_hash or 'not known yet'}",
        f"rule       {_describe_rule(baseline)}",
    ]
    if baseline.metrics:
        lines.append(f"machine    {visible(baseline.environment.fingerprint or 'no fingerprint')}")
    if baseline.task is not None:
        lines.insert(3, f"task       {visible(baseline.task.path)}, sha256 {baseline.task.sha256 or 'not known yet'}")
    columns = ("bucket", "n", _measure(baseline), "tier", "tolerance")
    lines += ["", *aligned_lines(columns, _bucket_rows(baseline), left=columns)]
    if baseline.metrics:
        lines += ["", *aligned_lines(_METRICS, _metric_rows(baseline), left=_METRICS)]
    return "\n".join(lines)


def _measure(baseline: Baseline) -> str:
    is_graded = any(figure.scale is Scale.GRADED for figure in baseline.buckets.values())
    return "mean score" if is_graded else "accuracy"


def _describe_source(baseline: Baseline) -> str:
    source = baseline.source
    if source.median_of is not None:
        return f"synthetic: the median of {', '.join(source.median_of)}"
    return f"{source.semver or 'no semver'}, {source.canonical_sha or 'no SHA'}"


def _describe_rule(baseline: Baseline) -> str:
    policy = baseline.policy
    text = f"{policy.rule}, {policy.tolerance_pp:f} pp"
    if not policy.rule.asks_proof:
        return text
    return f"{text} (all rows {policy.overall_terms.tolerance_pp:f} pp), confidence {policy.confidence:f}"


def _write_share(share: Fraction | None) -> str:
    """Return a share that follows from counts, with four decimals as documents state it."""
    return "none" if share is None else f"{float(share):.4f}"


def _bucket_rows(baseline: Baseline) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, figure in sorted(baseline.buckets.items()):
        terms = baseline.policy.terms_of(name).against(figure)
        stated = figure.mean if figure.scale is Scale.GRADED else figure.accuracy
        share = f"{stated:f}" if stated is not None else _write_share(figure.share)
        rows.append((visible(name), str(figure.n or ""), share, terms.tier.value, f"{terms.tolerance_pp:f} pp"))
    return rows


def _metric_rows(baseline: Baseline) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, metric in sorted(baseline.metrics.items()):
        terms = terms_of(baseline.policy.metrics, name)
        value = "none" if metric.value is None else format_figure(metric.value)
        is_comparable_anywhere = not metric.machine or (terms is not None and terms.across_machines)
        rows.append(
            (
                visible(name),
                f"{value} {visible(metric.unit)}" if metric.unit else value,
                metric.direction,
                "any" if is_comparable_anywhere else "this one",
                "no entry" if terms is None else terms.tier,
                _describe_limits(terms),
            )
        )
    return rows


def _describe_limits(terms: MetricPolicy | None) -> str:
    limits = {} if terms is None else terms.limits
    return ", ".join(f"{key} {limit:f}" for key, limit in limits.items()) or "none"
