"""The life of a baseline file: created report-only, its numbers moved, armed. Pure: bytes in, bytes out.

- `rebaseline` moves figures, metrics, source and eval-set hashes. Key order, layout, comments, status and policy stay,
  byte for byte.
- No bucket and no metric leaves without being named, and no version stays beside a model that it does not belong to.
- Whatever comes out has been parsed again as a baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from lynxgate.decision.baseline import PLACEHOLDERS, SCHEMA, Baseline, Status, parse_baseline
from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.metrics.policy import BaselineMetric, idle_globs
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import DEFAULT_TOLERANCE_PP, Tier
from lynxgate.errors import CannotJudge, UsageFailure
from lynxgate.figures import format_change, format_percent, format_points
from lynxgate.jsonedit import REMOVED, Path, edit, format_value
from lynxgate.rebaseline.metrics import (
    ENVIRONMENT,
    describe_metric,
    find_unguarded,
    move_environment,
    move_metrics,
)
from lynxgate.rebaseline.removals import check_removals
from minieval.contract.documents import Json, parse_json
from minieval.contract.report import Evaluation, Measured, Metric

ABSENT = "none"


@dataclass(frozen=True)
class Move:
    """One thing that changes: where it stands, what it was, what it becomes, by how much (for accuracies)."""

    place: Path
    before: str
    after: str
    difference: str = ""


@dataclass(frozen=True)
class Rebaselined:
    """The new bytes, and what differs from the old ones; without moves the bytes are the old ones.

    ``idle_globs`` of the policy are left without a bucket or metric. ``unguarded`` metrics were measured, and nobody
    agreed on them: the comparison will call them new, and refuse.
    """

    data: bytes
    moves: tuple[Move, ...]
    idle_globs: tuple[str, ...]
    unguarded: tuple[str, ...] = ()


def rebaseline(
    data: bytes,
    evaluation: Evaluation,
    *,
    semver: str | None = None,
    median_of: Sequence[str] = (),
    remove: Collection[str] = (),
    remove_metrics: Collection[str] = (),
    where: str = "the baseline",
) -> Rebaselined:
    """Move a baseline's figures to those of ``evaluation``; ``semver`` is the version of the model it measured.

    ``median_of`` are the versions that ``evaluation`` is the median of, if it is one.

    Raises:
        CannotJudge: ``data`` is no valid baseline or would not be one afterwards, or a metric cannot be taken over, or
            the policy caps negative flips and a median has none.
        Refused: a bucket would leave that ``remove`` does not name, or a metric that ``remove_metrics`` does not.
        UsageFailure: one that is named does not leave.
    """
    baseline = parse_baseline(data, where=where)
    tree = parse_json(data, where=where)
    if median_of:
        _check_median(baseline)
    buckets = (baseline.buckets, evaluation.buckets)
    check_removals(*buckets, remove, kind="bucket", advice="evaluate it", option="--remove")
    changes = _changes((), tree, _eval_set(evaluation))
    changes |= _changes(("source",), tree.get("source"), _source(baseline, evaluation, semver, median_of))
    changes |= _measured(("aggregate",), tree.get("aggregate"), evaluation.aggregate)
    for name in dict.fromkeys([*baseline.buckets, *evaluation.buckets]):
        changes |= _measured(("buckets", name), tree["buckets"].get(name), evaluation.buckets.get(name))
    for name, entries in move_metrics(baseline, evaluation, remove_metrics).items():
        place = ("metrics", name)
        changes |= {place: REMOVED} if entries is None else _changes(place, tree["metrics"][name], entries)
    changes |= _changes(("environment",), tree.get("environment"), move_environment(baseline, evaluation))
    new = edit(data.decode(), changes).encode()
    result = parse_baseline(new, where=f"{where}, rebaselined")
    idle = result.policy.idle_globs(result.buckets) + idle_globs(result.policy.metrics, result.metrics)
    return Rebaselined(new, tuple(_moves(baseline, result)), idle, find_unguarded(result, evaluation))


def init_baseline(evaluation: Evaluation, *, eval_set: str | None = None, semver: str | None = None) -> bytes:
    """A first, report-only baseline from an evaluation; ``eval_set`` is its path where the evaluation names none.

    Raises:
        UsageFailure: nobody names the eval set.
        CannotJudge: what was named does not make a valid baseline.
    """
    path = evaluation.eval_set.path or eval_set
    if path is None:
        raise UsageFailure("the evaluation does not say where its eval set is; name it with --eval-set")
    source = {
        "canonical_sha": evaluation.candidate.canonical_sha,
        "semver": semver,
        "mlflow_run_id": evaluation.candidate.mlflow_run_id,
    }
    document = {
        "_comment": "What production measured, per bucket. Changed only by a pull request of its own.",
        "schema": SCHEMA,
        "status": str(Status.REPORT_ONLY),
        "eval_set": path,
        "eval_set_dvc_hash": evaluation.eval_set.dvc_md5,
        "eval_set_sha256": evaluation.eval_set.sha256,
        "source": _present(source),
        "policy": {"rule": "point", "tolerance_pp": DEFAULT_TOLERANCE_PP},
        "aggregate": None if evaluation.aggregate is None else _present(_figures(evaluation.aggregate)),
        "buckets": {name: _present(_figures(each)) for name, each in evaluation.buckets.items()},
    }
    data = (format_value(_present(document), "") + "\n").encode()
    parse_baseline(data, where="the new baseline")
    return data


def arm(data: bytes, *, where: str = "the baseline") -> bytes:
    """The same baseline, active; the same bytes when it is already.

    Raises:
        CannotJudge: a placeholder is left, a glob of the policy is about nothing, a metric could never be judged, or
            nothing could ever fail.
    """
    active = edit(data.decode(), {("status",): str(Status.ACTIVE)}).encode() if _is_waiting(data, where) else data
    baseline = parse_baseline(active, where=where)
    if idle := baseline.policy.idle_globs(baseline.buckets):
        raise CannotJudge(f"{where}: policy.buckets: {idle[0]!r} matches no bucket; correct or remove it")
    metrics = _judge_own_metrics(baseline, where)
    tiers = {baseline.policy.terms_of(name).tier for name in baseline.buckets}
    if tiers == {Tier.ADVISORY} and not baseline.policy.gates_all_rows and all(m.tier == "advisory" for m in metrics):
        raise CannotJudge(f"{where}: every bucket is advisory, so that nothing could fail; give one another tier")
    return active


def _judge_own_metrics(baseline: Baseline, where: str) -> tuple[MetricRow, ...]:
    """The baseline's metrics held against themselves: what cannot be judged now never could be."""
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


def _is_waiting(data: bytes, where: str) -> bool:
    return parse_baseline(data, where=where).status is Status.REPORT_ONLY


def _check_median(baseline: Baseline) -> None:
    policy = baseline.policy
    caps = [policy.max_negative_flip_rate, *(terms.max_negative_flip_rate for terms in policy.buckets.values())]
    if any(cap is not None for cap in caps):
        raise CannotJudge(
            "the policy caps negative flips (max_negative_flip_rate), which only the answers of one model show, and a "
            "median is nobody's; rebaseline from one version"
        )


def _eval_set(evaluation: Evaluation) -> dict[str, Json]:
    named = evaluation.eval_set
    path = {} if named.path is None else {"eval_set": named.path}
    return {**path, "eval_set_dvc_hash": named.dvc_md5, "eval_set_sha256": named.sha256}


def _source(
    baseline: Baseline, evaluation: Evaluation, semver: str | None, median_of: Sequence[str]
) -> dict[str, Json]:
    candidate = evaluation.candidate
    is_same = candidate.canonical_sha is not None and candidate.canonical_sha == baseline.source.canonical_sha
    return {
        "canonical_sha": candidate.canonical_sha,
        "semver": baseline.source.semver if semver is None and is_same else semver,
        "mlflow_run_id": candidate.mlflow_run_id,
        "median_of": list(median_of) or None,
    }


def _measured(path: Path, old: Json, new: Measured | None) -> dict[Path, Json]:
    if new is None:
        return {} if old is None else {path: REMOVED}
    figures = _figures(new)
    if new.accuracy is None and isinstance(old, dict) and "accuracy" not in old:
        figures["accuracy"] = None
    return _changes(path, old, figures)


def _figures(side: Measured) -> dict[str, Json]:
    accuracy = side.accuracy
    if accuracy is None and side.correct is not None and side.n is not None:
        accuracy = round(Decimal(side.correct) / side.n, 4)
    return {"n": side.n, "correct": side.correct, "accuracy": accuracy, "outcomes": side.outcomes}


def _changes(path: Path, old: Json, new: dict[str, Json]) -> dict[Path, Json]:
    """What turns the object ``old`` at ``path`` into one with the entries ``new``; a `None` among them leaves."""
    if not isinstance(old, dict):
        present = _present(new)
        return {path: present} if present else {}
    changes: dict[Path, Json] = {}
    for key, value in new.items():
        if value is not None and (key not in old or old[key] != value):
            changes[*path, key] = value
        elif value is None and old.get(key) not in PLACEHOLDERS:
            changes[*path, key] = REMOVED
    return changes


def _present(entries: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in entries.items() if value is not None}


def _moves(before: Baseline, after: Baseline) -> Iterator[Move]:
    for key in ("eval_set", "eval_set_dvc_hash", "eval_set_sha256"):
        yield from _move((key,), getattr(before, key), getattr(after, key))
    for key in ("canonical_sha", "semver", "mlflow_run_id"):
        yield from _move(("source", key), getattr(before.source, key), getattr(after.source, key))
    old, new = (", ".join(each.source.median_of or ()) for each in (before, after))
    yield from _move(("source", "median_of"), old, new)
    yield from _move_figures(("aggregate",), before.aggregate, after.aggregate)
    for name in sorted(before.buckets.keys() | after.buckets.keys()):
        yield from _move_figures(("buckets", name), before.buckets.get(name), after.buckets.get(name))
    for name in sorted(before.metrics):
        yield from _move_metric(("metrics", name), before.metrics[name], after.metrics.get(name))
    for key in ENVIRONMENT:
        yield from _move(("environment", key), getattr(before.environment, key), getattr(after.environment, key))


def _move(place: Path, before: str | None, after: str | None) -> Iterator[Move]:
    if before != after:
        yield Move(place, before or ABSENT, after or ABSENT)


def _move_figures(place: Path, before: Measured | None, after: Measured | None) -> Iterator[Move]:
    if before == after:
        return
    old, new = _share_of(before), _share_of(after)
    difference = "" if old is None or new is None else f"{format_points((new - old) * 100)} pp"
    yield Move(place, _show(before), _show(after), difference)


def _move_metric(place: Path, before: BaselineMetric, after: BaselineMetric | None) -> Iterator[Move]:
    if before == after:
        return
    both = None if after is None or before.value is None or after.value is None else (before.value, after.value)
    change = "" if both is None else format_change(Fraction(both[1]) - Fraction(both[0]))
    yield Move(place, describe_metric(before, ABSENT), describe_metric(after, ABSENT), change)


def _share_of(side: Measured | None) -> Fraction | None:
    """The accuracy of one side, from its counts where it has them."""
    if side is None:
        return None
    if side.correct is not None and side.n is not None:
        return Fraction(side.correct, side.n)
    return None if side.accuracy is None else Fraction(side.accuracy)


def _show(side: Measured | None) -> str:
    share = _share_of(side)
    if side is None or share is None:
        return ABSENT if side is None else "placeholder"
    return (f"{side.correct}/{side.n} = " if side.correct is not None else "") + format_percent(share)
