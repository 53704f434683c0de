"""Activate a baseline, so that comparisons with it can fail. Pure: bytes in, bytes out.

- Everything but the status stays byte for byte.
- A baseline is refused that could never judge something, or that could never fail anything.
"""

from __future__ import annotations

from decimal import Decimal

from lynxgate.decision.baseline import Baseline, Status, parse_baseline
from lynxgate.decision.consistency import check_baseline
from lynxgate.decision.enforceable import check_advisory_terms, check_enforceable
from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.outcome import Outcome
from lynxgate.errors import CannotJudge
from lynxgate.jsonedit import edit
from minieval.contract.report import Metric


def activate(data: bytes, *, where: str = "the baseline") -> bytes:
    """Return the baseline with status active; the same bytes when it is active already.

    Raises:
        CannotJudge: a placeholder is left, a glob of the policy matches nothing, a metric could never be judged, no
            candidate could be refused, an advisory bucket has a limit, or the figures contradict each other.
    """
    if parse_baseline(data, where=where).status is Status.ACTIVE:
        active = data
    else:
        active = edit(data.decode(), {("status",): str(Status.ACTIVE)}).encode()
    # An active baseline is parsed by stricter rules: it may have no placeholder.
    baseline = parse_baseline(active, where=where)
    if idle := baseline.policy.idle_globs(baseline.buckets):
        raise CannotJudge(f"{where}: policy.buckets: {idle[0]!r} matches no bucket; correct or remove it")
    _judge_own_metrics(baseline, where)
    try:
        check_advisory_terms(baseline.policy)
        check_enforceable(baseline, baseline.policy)
        check_baseline(baseline)
    except CannotJudge as error:
        raise CannotJudge(f"{where}: {error}") from error
    return active


def _judge_own_metrics(baseline: Baseline, where: str) -> None:
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
