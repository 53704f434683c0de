"""Make an evaluation from what a command of the repository wrote: an evaluation of its own, or rows with their scores.

- The evaluation is of this bundle, this eval set and this task, or it is refused; where it names none of them, they are
  filled in.
- Its isolation is `external`, whatever the command wrote: nothing kept the candidate from the labels.
- Scores of rows are the command's. Buckets are counted here, from the eval set and its task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minieval.contract.documents import read_bytes
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.manifest import Manifest
from minieval.contract.report import (
    SCHEMA,
    Candidate,
    Context,
    Evaluation,
    Evaluator,
    Metric,
    RowsIdentity,
    TaskIdentity,
    parse_evaluation,
)
from minieval.environment.difference import find_installed
from minieval.runner.child import Limits
from minieval.runner.machine import THAT_PREDICT, describe_environment
from minieval.runner.own_evaluator import ISOLATION, run_command
from minieval.runner.sandbox import Isolation
from minieval.task.document import TaskFile

if TYPE_CHECKING:
    from minieval.contract.report import EvalSetIdentity
    from minieval.data.kept_rows import KeepRows, RowsWriter
    from minieval.data.own_rows import OwnRows
    from minieval.data.stream import EvalSetStream
    from minieval.task.tally import Score

WHERE = "the evaluation of the task's command"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be evaluated: ``bundle`` is a copy with ``manifest``; ``scratch`` is an empty folder."""

    task: TaskFile
    bundle: Path
    manifest: Manifest
    eval_set: Path
    run_id: str | None
    context: Context | None
    rows: KeepRows | None
    limits: Limits
    scratch: Path


def refuse_idle(wanted: Isolation, *, python: str | None, batch_size: int | None) -> None:
    """Refuse what has no effect where a command of a task evaluates: a sandbox, a Python and a batch size.

    Raises:
        CannotJudge: ``wanted`` is not `AUTO`, or one of the others is given.
    """
    for option, value in (("--python", python), ("--batch-size", batch_size)):
        if value is not None:
            raise CannotJudge(
                f"the task names an evaluator of its own, which chooses for itself what runs the model: {option} "
                f"{str(value)[:80]} would have no effect; leave it out"
            )
    if wanted is not Isolation.AUTO:
        raise CannotJudge(
            f"the task names an evaluator of its own, which runs without a sandbox, and --isolation is {wanted.value}; "
            'use auto, and allow it in the policy ("min_isolation": "external")'
        )


def evaluate_by_command(request: Request, say: Say) -> Evaluation:
    """Run the command of the task, and return the evaluation that follows from what it wrote.

    Raises:
        CannotJudge: the command fails, or what it wrote is not valid or does not fit the eval set.
        IntegrityFailure: what it wrote is of another model, eval set or task.
    """
    from minieval.data.stream import open_eval_set  # noqa: PLC0415 - Arrow loads late, as in `evaluate`

    open_eval_set(request.eval_set, request.task.task)  # before the command runs, which may take hours
    say("warning: the task names an evaluator of its own, which runs without a sandbox (isolation external)")
    wrote = run_command(
        request.task,
        request.bundle,
        request.eval_set,
        run_id=request.run_id,
        scratch=request.scratch,
        limits=request.limits,
        say=say,
    )
    if wrote.rows is not None:
        return _score_rows(request, wrote.rows)
    assert wrote.evaluation is not None, "one of the two is there"  # noqa: S101 - for the type checker
    return _take_over(request, parse_evaluation(read_bytes(wrote.evaluation), where=WHERE))


def _score_rows(request: Request, path: Path) -> Evaluation:
    """Return the evaluation of rows with scores, counted by the buckets of the eval set."""
    from minieval.data.own_rows import read_own_rows  # noqa: PLC0415 - as above
    from minieval.data.stream import read_eval_set  # noqa: PLC0415

    task = request.task.task

    def read(stream: EvalSetStream) -> tuple[Score, RowsIdentity | None, EvalSetIdentity]:
        rows = read_own_rows(path, trials=task.trials, graded=task.scores_are_graded)
        return (*_count(request, stream, rows), stream.identity)

    score, kept, identity = read_eval_set(request.eval_set, task, read)
    several = task.trials > 1 and not task.scores_are_graded
    return _compose(
        request,
        {
            "eval_set": identity,
            "evaluator": {"name": "own evaluator", "version": request.task.sha256[:12]},
            "aggregate": score.aggregate,
            "buckets": score.buckets,
            "trials": task.trials if several else None,
            "rows": kept,
        },
    )


def _count(request: Request, stream: EvalSetStream, rows: OwnRows) -> tuple[Score, RowsIdentity | None]:
    from minieval.data.kept_rows import RowsWriter  # noqa: PLC0415 - as above
    from minieval.task.buckets import BucketReader  # noqa: PLC0415
    from minieval.task.marking import join_trials, refuse_unlabelled  # noqa: PLC0415
    from minieval.task.tally import Tally  # noqa: PLC0415

    task = request.task.task
    buckets = BucketReader(task, stream.roles)
    tally = Tally(buckets.names, graded=task.scores_are_graded, trials=task.trials)
    writer: RowsWriter | None = None if request.rows is None else RowsWriter(request.rows)
    try:
        for batch in stream.batches(task.model.batch_size):
            refuse_unlabelled(batch.values(stream.roles.expected), batch.where)
            held, codes = buckets.read(batch.table, batch.where)
            scores, answers = rows.find(batch)
            if writer is not None:
                writer.begin(batch)
                for trial, texts in enumerate(answers):
                    writer.keep(trial + 1, texts, scores[:, trial])
            tally.add(join_trials(list(scores.T), graded=task.scores_are_graded), held, codes)
        if rows.unused:
            raise CannotJudge(
                f"the rows of the task's command have {rows.unused} ids that the eval set does not have; write a line "
                "for each row, and no others"
            )
        return tally.measure(), None if writer is None else writer.finish()
    finally:
        if writer is not None:
            writer.discard()


def _take_over(request: Request, found: Evaluation) -> Evaluation:
    """Return the command's own evaluation, checked to be of this model, eval set and task, and completed."""
    from minieval.data.labels import read_labels  # noqa: PLC0415 - as in `_score_rows`

    if request.rows is not None or found.rows is not None:
        raise CannotJudge(
            f"{WHERE} has figures and no rows, so none can be kept; write rows to $MINIEVAL_ROWS, or leave out --rows"
        )
    labels = read_labels(request.eval_set, request.task.task)
    _refuse_others(request, found, labels.identity)
    sizes = {name: len(members) for name, members in labels.buckets.items()}
    for name, side in found.buckets.items():
        if side.n is not None and name in sizes and side.n != sizes[name]:
            raise CannotJudge(
                f"{WHERE}: bucket {name[:80]!r} has n {side.n}, and the eval set has {sizes[name]} rows in it"
            )
    if found.aggregate is not None and found.aggregate.n not in (None, labels.identity.rows):
        raise CannotJudge(f"{WHERE}: n is {found.aggregate.n}, and the eval set has {labels.identity.rows} rows")
    named = found.evaluator
    return _compose(
        request,
        {
            **{name: getattr(found, name) for name in ("aggregate", "buckets", "trials", "missing_answers", "classes")},
            "metrics": dict(found.metrics),
            "eval_set": labels.identity,
            "evaluator": {
                "name": "own evaluator" if named is None else named.name,
                "version": request.task.sha256[:12] if named is None else named.version,
            },
            "environment": found.environment,
        },
    )


def _refuse_others(request: Request, found: Evaluation, eval_set: EvalSetIdentity) -> None:
    """Refuse an evaluation of another model, run, eval set or task; what it does not name is not compared."""
    pairs = (
        ("candidate.canonical_sha", found.candidate.canonical_sha, request.manifest.canonical_sha),
        ("candidate.mlflow_run_id", found.candidate.mlflow_run_id, request.run_id),
        ("eval_set.dvc_md5", found.eval_set.dvc_md5, eval_set.dvc_md5),
        ("eval_set.sha256", found.eval_set.sha256, eval_set.sha256),
        ("eval_set.rows", found.eval_set.rows, eval_set.rows),
        ("task.sha256", None if found.task is None else found.task.sha256, request.task.sha256),
    )
    for place, written, actual in pairs:
        if written is not None and written != actual:
            raise IntegrityFailure(
                f"{WHERE}: {place} is {written}, and this is {actual or 'not known'}; evaluate the model and the eval "
                "set that the command gets"
            )


def _compose(request: Request, parts: dict[str, Any]) -> Evaluation:
    task, manifest = request.task, request.manifest
    size = Metric(value=Decimal(sum(file.size for file in manifest.files)), unit="bytes", direction="lower")
    return Evaluation.model_validate(
        {
            **parts,
            "schema": SCHEMA,
            "candidate": Candidate(
                canonical_sha=manifest.canonical_sha,
                mlflow_run_id=request.run_id,
                manifest_format=manifest.format,
            ),
            "task": TaskIdentity(path=task.path.as_posix(), sha256=task.sha256),
            "evaluator": Evaluator(**parts["evaluator"], isolation=ISOLATION),
            "metrics": {"bundle_bytes": size} | parts.get("metrics", {}),
            "environment": parts.get("environment")
            or describe_environment(isolation=ISOLATION, batch_size=1, packages=find_installed(THAT_PREDICT)),
            "context": request.context,
        }
    )
