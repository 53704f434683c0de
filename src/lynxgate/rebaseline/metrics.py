"""The metrics' part of a rebaseline: values and samples move, what was agreed about them does not. Pure.

- Direction, unit, dependence on the machine and every comment stay. The environment moves with the values.
- No metric leaves without being named, and none is added: nobody agreed on which way it is worse.
- Samples move where the baseline has some, or its policy asks for them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.metrics.policy import BaselineMetric, terms_of
from lynxgate.errors import CannotJudge
from lynxgate.figures import format_figure
from lynxgate.rebaseline.removals import check_removals
from minieval.contract.documents import Json
from minieval.contract.report import Evaluation, Metric

ENVIRONMENT: Final = ("python", "cpu", "fingerprint")


Entries = dict[str, Json]  # of one object of the document


def move_metrics(baseline: Baseline, evaluation: Evaluation, remove: Collection[str]) -> dict[str, Entries | None]:
    """What each of the baseline's metrics becomes: its new entries, or `None` where it leaves.

    Raises:
        Refused: a metric would leave that ``remove`` does not name.
        UsageFailure: ``remove`` names a metric that does not leave.
        CannotJudge: a metric is measured in another unit, or without the samples that the policy asks for.
    """
    metrics = (baseline.metrics, evaluation.metrics)
    check_removals(*metrics, remove, kind="metric", advice="measure it", option="--remove-metric")
    moved: dict[str, Entries | None] = {}
    for name, before in baseline.metrics.items():
        now = evaluation.metrics.get(name)
        moved[name] = None if now is None else _move(baseline, name, before, now)
    return moved


def move_environment(baseline: Baseline, evaluation: Evaluation) -> Entries:
    """The machine that the new values were measured on; nothing where the baseline has no metrics."""
    if not baseline.metrics:
        return {}
    return {key: getattr(evaluation.environment, key) for key in ENVIRONMENT}


def find_unguarded(baseline: Baseline, evaluation: Evaluation) -> tuple[str, ...]:
    """The metrics of the evaluation that the baseline lacks and that its policy will block as new."""
    if not baseline.metrics and not baseline.policy.metrics:
        return ()
    strangers = sorted(evaluation.metrics.keys() - baseline.metrics.keys())
    terms = {name: terms_of(baseline.policy.metrics, name) for name in strangers}
    return tuple(name for name, each in terms.items() if each is None or each.tier != "advisory")


def describe_metric(metric: BaselineMetric | None, absent: str) -> str:
    """The value with its unit and the number of its samples, for people."""
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
    asked = terms is not None and (terms.statistic is not None or terms.confidence is not None)
    if asked and now.samples is None:
        raise CannotJudge(f"metric {name!r}: the policy asks for samples, and the evaluation has none; measure them")
    samples = None if now.samples is None or not (asked or before.samples) else list(now.samples)
    return {"value": now.value, "samples": samples}
