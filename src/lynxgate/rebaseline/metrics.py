"""Move the metrics of a baseline: their values and samples change, what was agreed about them does not. Pure.

- Direction, unit, dependence on the machine and every comment stay. The environment moves with the values.
- No metric is removed without being named, and none is added: a person must decide which direction is worse.
- Samples move where the baseline has some, or where its policy needs them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import BaselineMetric, terms_of
from lynxgate.errors import CannotJudge
from lynxgate.figures import format_figure
from lynxgate.rebaseline.entries import Entries
from lynxgate.rebaseline.removals import check_removals
from minieval.contract.report import Evaluation, Metric

ENVIRONMENT: Final = ("python", "cpu", "fingerprint")


def move_metrics(baseline: Baseline, evaluation: Evaluation, remove: Collection[str]) -> dict[str, Entries | None]:
    """Return the new entries of each of the baseline's metrics, or `None` where it is removed.

    Raises:
        Refused: a metric would be removed that ``remove`` does not name.
        UsageFailure: ``remove`` names a metric that would not be removed.
        CannotJudge: a metric is measured in another unit, or without the samples that the policy needs.
    """
    metrics = (baseline.metrics, evaluation.metrics)
    check_removals(*metrics, remove, kind="metric", advice="measure it", option="--remove-metric")
    moved: dict[str, Entries | None] = {}
    for name, before in baseline.metrics.items():
        now = evaluation.metrics.get(name)
        moved[name] = None if now is None else _move(baseline, name, before, now)
    return moved


def move_environment(baseline: Baseline, evaluation: Evaluation) -> Entries:
    """Return the machine that the new values were measured on; nothing where the baseline has no metrics."""
    if not baseline.metrics:
        return {}
    return {key: getattr(evaluation.environment, key) for key in ENVIRONMENT}


def find_unguarded(baseline: Baseline, evaluation: Evaluation) -> tuple[str, ...]:
    """Return the metrics of the evaluation that the baseline lacks and that its policy will block as new."""
    if not baseline.metrics and not baseline.policy.metrics:
        return ()
    unknown = sorted(evaluation.metrics.keys() - baseline.metrics.keys())
    terms = {name: terms_of(baseline.policy.metrics, name) for name in unknown}
    return tuple(name for name, each in terms.items() if each is None or each.tier != "advisory")


def describe_metric(metric: BaselineMetric | None, absent: str) -> str:
    """Return the value with its unit and the number of its samples, for people."""
    if metric is None:
        return absent
    value = "placeholder" if metric.value is None else format_figure(metric.value)
    unit = f" {metric.unit}" if metric.unit and metric.value is not None else ""
    return f"{value}{unit}" + ("" if metric.samples is None else f", {len(metric.samples)} samples")


def _move(baseline: Baseline, name: str, before: BaselineMetric, now: Metric) -> Entries:
    if before.unit is not None and before.unit != now.unit:
        found = "no unit" if now.unit is None else f"unit {now.unit!r}"
        raise CannotJudge(
            f"metric {name!r}: the baseline's unit is {before.unit!r}, and the evaluation names {found}; measure it in "
            "that unit, or change the baseline's by hand"
        )
    terms = terms_of(baseline.policy.metrics, name)
    needs_samples = terms is not None and (terms.statistic is not None or terms.confidence is not None)
    if needs_samples and now.samples is None:
        raise CannotJudge(f"metric {name!r}: the policy needs samples, and the evaluation has none; measure them")
    samples = None if now.samples is None or not (needs_samples or before.samples) else list(now.samples)
    return {"value": now.value, "samples": samples}
