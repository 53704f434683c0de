"""Move the figures of a baseline to a new evaluation (``lynxgate baseline rebaseline``). Pure: bytes in, bytes out.

- Figures, metrics, source, task and eval-set hashes move. Key order, layout, comments, status and policy stay byte for
  byte.
- No bucket and no metric is removed without being named, and no semver stays with a model that it does not belong to.
- An active baseline moves to what passes or was promoted; regressions are named (`lynxgate.rebaseline.acceptance`).
- The result has been parsed again as a baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lynxgate.decision.baseline import Baseline, parse_baseline
from lynxgate.decision.consistency import check_evaluation
from lynxgate.decision.groups import Groups
from lynxgate.decision.metrics.policy import idle_globs
from lynxgate.errors import CannotJudge
from lynxgate.jsonedit import REMOVED, Path, edit
from lynxgate.rebaseline.acceptance import ask_gate, check_accepted
from lynxgate.rebaseline.differences import Move, find_moves
from lynxgate.rebaseline.entries import changed_entries, figure_entries, task_entries
from lynxgate.rebaseline.metrics import find_unguarded, move_environment, move_metrics
from lynxgate.rebaseline.removals import check_removals
from minieval.contract.documents import Json, parse_json
from minieval.contract.report import Evaluation, Measured, Scale

ACCEPTED = "_comment_accepted_regressions"


@dataclass(frozen=True)
class Rebaselined:
    """The new bytes, and what differs from the old ones; without moves the bytes are the old ones.

    ``idle_globs`` of the policy match no bucket or metric any more. ``unguarded`` metrics were measured and are not in
    the baseline: a comparison will refuse them as new. ``gate`` is what the gate says of the evaluation under an active
    baseline, and ``accepted`` are the regressions that were named, with their reasons.
    """

    data: bytes
    moves: tuple[Move, ...]
    idle_globs: tuple[str, ...]
    unguarded: tuple[str, ...] = ()
    gate: str | None = None
    accepted: tuple[str, ...] = ()


def rebaseline(
    data: bytes,
    evaluation: Evaluation,
    *,
    semver: str | None = None,
    median_of: Sequence[str] = (),
    remove: Collection[str] = (),
    remove_metrics: Collection[str] = (),
    accept: Collection[str] = (),
    is_promoted: bool = False,
    groups: Groups | None = None,
    where: str = "the baseline",
) -> Rebaselined:
    """Replace a baseline's figures by those of ``evaluation``; ``semver`` is the version of the evaluated model.

    ``median_of`` names the versions that ``evaluation`` is the median of, if it is one. ``is_promoted``: it comes from
    the evidence of promotions, so an active baseline may move to it; else the gate must pass it, or ``accept`` names
    each bucket and metric that regresses. ``groups`` are those of the eval set, for rules that respect them.

    Raises:
        CannotJudge: the evaluation contradicts itself; ``data`` is not a valid baseline, or the result would not be
            one; a metric cannot be taken over; or the policy caps negative flips, which a median does not have.
        Refused: a bucket would be removed that ``remove`` does not name, or a metric that ``remove_metrics`` does not;
            or the baseline is active, and the gate would refuse the evaluation for more than ``accept`` names.
        UsageFailure: ``remove`` or ``remove_metrics`` names one that would not be removed, or ``accept`` one that does
            not regress.
    """
    check_evaluation(evaluation)
    baseline = parse_baseline(data, where=where)
    tree = parse_json(data, where=where)
    if median_of:
        _check_median(baseline)
    buckets = (baseline.buckets, evaluation.buckets)
    check_removals(*buckets, remove, kind="bucket", advice="evaluate it", option="--remove")
    changes = changed_entries((), tree, _eval_set(evaluation))
    changes |= _move_task(tree.get("task"), evaluation)
    changes |= changed_entries(("source",), tree.get("source"), _source(baseline, evaluation, semver, median_of))
    changes |= _measured(("aggregate",), tree.get("aggregate"), evaluation.aggregate)
    # Old buckets first, in their order, so that new ones are added at the end of the object.
    for name in dict.fromkeys([*baseline.buckets, *evaluation.buckets]):
        changes |= _measured(("buckets", name), tree["buckets"].get(name), evaluation.buckets.get(name))
    for name, entries in move_metrics(baseline, evaluation, remove_metrics).items():
        place = ("metrics", name)
        changes |= {place: REMOVED} if entries is None else changed_entries(place, tree["metrics"][name], entries)
    changes |= changed_entries(("environment",), tree.get("environment"), move_environment(baseline, evaluation))
    answer = ask_gate(baseline, evaluation, groups)
    # Without another change nothing moves: the note of an earlier acceptance then stays.
    accepted = check_accepted(answer, accept, is_promoted=is_promoted) if changes else ()
    if changes:
        changes |= _note(tree.get("source"), changes, accepted)
    # `edit` changes single values in the text, so that everything else stays byte for byte.
    new = edit(data.decode(), changes).encode()
    result = parse_baseline(new, where=f"{where}, rebaselined")
    idle = result.policy.idle_globs(result.buckets) + idle_globs(result.policy.metrics, result.metrics)
    return Rebaselined(
        new,
        tuple(find_moves(baseline, result)),
        idle,
        find_unguarded(result, evaluation),
        None if answer is None else answer.summary,
        accepted,
    )


def _note(source: Json, changes: dict[Path, Json], accepted: Sequence[str]) -> dict[Path, Json]:
    """Return the edit that names the accepted regressions beside the source, so that the diff of the file has them."""
    note = {ACCEPTED: "; ".join(accepted) or None}
    if isinstance(source, dict):
        return changed_entries(("source",), source, note)
    # The whole object is new.
    return {("source",): {**changes.get(("source",), {}), **note}} if accepted else {}


def _check_median(baseline: Baseline) -> None:
    policy = baseline.policy
    caps = [policy.max_negative_flip_rate, *(terms.max_negative_flip_rate for terms in policy.buckets.values())]
    if any(cap is not None for cap in caps):
        raise CannotJudge(
            "the policy caps negative flips (max_negative_flip_rate), which need the answers of one model, and a "
            "median has none; rebaseline from one version"
        )


def _eval_set(evaluation: Evaluation) -> dict[str, Json]:
    named = evaluation.eval_set
    path = {} if named.path is None else {"eval_set": named.path}
    return {**path, "eval_set_dvc_hash": named.dvc_md5, "eval_set_sha256": named.sha256}


def _move_task(old: Json, evaluation: Evaluation) -> dict[Path, Json]:
    if evaluation.task is None:
        return {} if old is None else {("task",): REMOVED}
    return changed_entries(("task",), old, task_entries(evaluation.task))


def _source(
    baseline: Baseline, evaluation: Evaluation, semver: str | None, median_of: Sequence[str]
) -> dict[str, Json]:
    candidate = evaluation.candidate
    # The semver belongs to a model: it is kept only while the model is the same one.
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
    figures = figure_entries(new)
    # Where neither the evaluation nor the old entry states a share in addition to counts, none is added.
    stated = "mean" if new.scale is Scale.GRADED else "accuracy"
    if getattr(new, stated) is None and isinstance(old, dict) and not old.keys() & {"accuracy", "mean"}:
        figures[stated] = None
    return changed_entries(path, old, figures)
