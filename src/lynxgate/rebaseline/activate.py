"""Activate a baseline, so that comparisons with it can fail. Pure: bytes in, bytes out.

- Everything but the status stays byte for byte.
- A baseline is refused that could never judge something, or that could never fail anything.
"""

from __future__ import annotations

from decimal import Decimal

from lynxgate.decision.baseline import Baseline, Status, parse_baseline
from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Tier
from lynxgate.errors import CannotJudge
from lynxgate.jsonedit import edit
from minieval.contract.report import Metric


def activate(data: bytes, *, where: str = "the baseline") -> bytes:
    """Return the baseline with status active; the same bytes when it is active already.

    Raises:
        CannotJudge: a placeholder is left, a glob of the policy matches nothing, a metric could never be judged, or
            nothing could ever fail.
    """
    if parse_baseline(data, where=where).status is Status.ACTIVE:
        active = data
    else:
        active = edit(data.decode(), {("status",): str(Status.ACTIVE)}).encode()
    # An active baseline is parsed by stricter rules: it may have no placeholder.
    baseline = parse_baseline(active, where=where)
    if idle := baseline.policy.idle_globs(baseline.buckets):
        raise CannotJudge(f"{where}: policy.buckets: {idle[0]!r} matches no bucket; correct or remove it")
    metrics = _judge_own_metrics(baseline, where)
    # Something must be able to fail: a bucket, all rows, or a metric.
    tiers = {baseline.policy.terms_of(name).tier for name in baseline.buckets}
    if tiers == {Tier.ADVISORY} and not baseline.policy.gates_all_rows and all(m.tier == "advisory" for m in metrics):
        raise CannotJudge(f"{where}: every bucket is advisory, so that nothing could fail; give one another tier")
    return active


def _judge_own_metrics(baseline: Baseline, where: str) -> tuple[MetricRow, ...]:
    """Judge the baseline's metrics against themselves: a metric that cannot be judged here never can be."""
    # A placeholder is refused before; `Decimal(0)` only satisfies the type.
    same = {
        name: Metric(value=each.value or Decimal(0), unit=each.unit, samples=each.samples)
        for name, each in baseline.metrics.items()
    }
    fingerprint = baseline.environment.fingerprint
    rows = judge_metrics(baseline.policy.metrics, baseline.metrics, same, fingerprints=(fingerprint, fingerprint))
    for row in rows:
        if row.blocks and row.outcome is Outcome.UNMEASURED:
            raise CannotJudge(f"{where}: metric {row.metric!r} could never be judged: {row.reason}")
    return rows
