"""Evaluate a bundle on an eval set: the whole of minieval in one function.

- The eval set is one stream of batches, from its files to the figures. Of a row that was scored there stay its outcome
  or score, and eight bytes of its id.
- The candidate gets a copy of the hashed bytes, and the features; it runs in a process of its own.
- The canonical SHA in the evaluation is that of the copy that predicted.
- Nothing is written unless everything was measured.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from minieval import __version__
from minieval.contract.bundle import stage
from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.contract.identities import RUN_ID
from minieval.contract.manifest import Manifest
from minieval.contract.mlmodel import read_run_id
from minieval.contract.model_environment import Interpreter
from minieval.contract.report import (
    SCHEMA,
    Candidate,
    ClassCounts,
    Context,
    Evaluation,
    Evaluator,
    Metric,
    RowsIdentity,
    TaskIdentity,
    dump_evaluation,
    measure_classes,
)
from minieval.contract.run_note import read_noted_run
from minieval.contract.writes import write_output
from minieval.environment.build import Builder
from minieval.environment.choose import Chosen, choose_python
from minieval.own_evaluation import Request, evaluate_by_command, refuse_idle
from minieval.runner import sandbox
from minieval.runner.child import Child, Limits
from minieval.runner.machine import describe_environment
from minieval.runner.predictions import Predictor, Timing
from minieval.runner.sandbox import Isolation
from minieval.task.document import NO_TASK_FILE, TaskFile

if TYPE_CHECKING:
    from minieval.data.batch import Batch
    from minieval.data.kept_rows import KeepRows, RowsWriter
    from minieval.data.stream import EvalSetStream
    from minieval.task.marking import Truth
    from minieval.task.scores import Scorer
    from minieval.task.tally import Score

__all__ = ["Builder", "Isolation", "Limits", "choose_limits", "evaluate", "write"]

TOO_FINE = Decimal("0.0001")  # milliseconds; the time through a pipe has no finer resolution

Progress = Callable[[int], None]


def _ignore(*_: object) -> None:
    """The default callback, which does nothing."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to run a candidate: everything but the eval set."""

    task: TaskFile
    isolation: Isolation
    limits: Limits
    batch_size: int
    scratch: Path
    progress: Progress
    chosen: Chosen
    rows: KeepRows | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    """The result of one run of a predictor over the whole eval set."""

    stream: EvalSetStream
    timing: Timing
    scored: Score
    missing: int
    classes: Mapping[str, ClassCounts]
    figures: Mapping[str, Metric]
    rows: RowsIdentity | None = None


def evaluate(
    bundle: Path,
    eval_set: Path,
    *,
    task: TaskFile = NO_TASK_FILE,
    isolation: Isolation = Isolation.AUTO,
    limits: Limits | None = None,
    batch_size: int | None = None,
    run_id: str | None = None,
    context: Context | None = None,
    rows: KeepRows | None = None,
    python: str | None = None,
    builder: Builder | None = None,
    progress: Progress = _ignore,
    warn: Callable[[str], None] = _ignore,
    keep_lock: Callable[[bytes], None] = _ignore,
) -> Evaluation:
    """Score a candidate on an eval set.

    ``task`` is what `minieval.task.document.read_task` returns; by default the eval set follows the conventions.
    ``limits``, ``batch_size`` (rows) and ``python`` (``gate``, ``model`` or a path) are by default those of the task.
    ``builder`` builds the environment for ``model``, and ``keep_lock`` gets its lock. ``rows`` names a file to which
    the answer and score of each row are written, before this returns. ``run_id`` is 32 hex digits, by
    default the run that the bundle's ``MLmodel``, or the note beside the bundle, names. ``context`` is recorded and
    decides nothing. ``progress`` is called with the number of rows done; ``warn`` with one sentence when `AUTO` falls
    back to `PROCESS`, when the environment differs from what the bundle asks for, or when a feature is the answer in
    nearly all rows.

    Raises:
        CannotJudge: the eval set, the task or the bundle is invalid, the eval set is inside the bundle, a feature is
            the answer in every row, the candidate fails or answers in the wrong form, the scorer or the task's own
            command fails, or the model's environment cannot be built.
        IntegrityFailure: the bundle holds a link or a special file, or the eval set changed while it was read.
        UsageFailure: ``run_id`` is not a run id, or ``batch_size`` is less than 1.
    """
    if task.task.evaluator is not None:
        refuse_idle(isolation, python=python, batch_size=batch_size)
    batch_size = task.task.model.batch_size if batch_size is None else batch_size
    _check_request(run_id, batch_size)
    _refuse_inside(eval_set, bundle)
    with tempfile.TemporaryDirectory(prefix="minieval-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        manifest = stage(bundle, scratch / "bundle")
        named = run_id or read_run_id(bundle) or read_noted_run(bundle, manifest.canonical_sha)
        if task.task.evaluator is not None:
            (scratch / "own").mkdir()
            allowed = limits or choose_limits(task)
            places = (scratch / "bundle", manifest, eval_set)
            request = Request(task, *places, named, context, rows, allowed, scratch / "own")
            return evaluate_by_command(request, warn)
        wanted = python or task.task.model.python
        if wanted == Interpreter.MODEL:
            isolation = _require_bwrap(isolation)
        isolation = sandbox.choose(isolation, warn=warn)
        chosen = choose_python(wanted, scratch / "bundle", scratch, builder or Builder(), warn=warn)
        plan = _Plan(task, isolation, limits or choose_limits(task), batch_size, scratch, progress, chosen, rows)
        measured = _measure(plan, eval_set, warn)
    if chosen.lock is not None:
        keep_lock(chosen.lock)
    return _compose(plan, measured, manifest, run_id=named, context=context)


def _require_bwrap(isolation: Isolation) -> Isolation:
    """Return `BWRAP`: packages that a candidate names run code as soon as their Python starts."""
    if isolation is Isolation.PROCESS:
        raise CannotJudge("--python model runs packages that the candidate names, and requires --isolation bwrap")
    return Isolation.BWRAP


def choose_limits(task: TaskFile, *, timeout_s: float | None = None, memory_mb: int | None = None) -> Limits:
    """Return the limits of a predictor: those of the task file, where none are given.

    Raises:
        CannotJudge: memory is given where a command of the task evaluates, whose memory is not bounded.
    """
    model = task.task.model
    if task.task.evaluator is not None and memory_mb is not None:
        raise CannotJudge(
            "the task names an evaluator of its own, whose memory is not bounded: --memory-mb would have no effect; "
            "leave it out"
        )
    return Limits(
        timeout_s=model.timeout_s if timeout_s is None else timeout_s,
        memory_mb=model.memory_mb if memory_mb is None else memory_mb,
    )


def write(evaluation: Evaluation, path: Path, *, like: os.stat_result | None = None) -> None:
    """Write the document, whole or not at all; ``like`` is what `discard_output` removed there, if it did.

    Raises:
        CannotJudge: the file cannot be written.
    """
    write_output(path, dump_evaluation(evaluation), like=like)


def _check_request(run_id: str | None, batch_size: int) -> None:
    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise UsageFailure(f"{run_id[:80]!r} is not an MLflow run id (32 lower-case hex digits)")
    if batch_size < 1:
        raise UsageFailure(f"a batch size of {batch_size}: give at least 1")


def _refuse_inside(eval_set: Path, bundle: Path) -> None:
    """Refuse an eval set that the candidate would get as a part of its bundle."""
    if eval_set.resolve().is_relative_to(bundle.resolve()):
        raise CannotJudge(
            f"{eval_set}: is inside the bundle {bundle}, which is visible to the candidate; move the eval set out of it"
        )


def _measure(plan: _Plan, eval_set: Path, warn: Callable[[str], None]) -> _Measured:
    """Predict and score all rows, and put kept rows in place.

    It begins again where a later chunk has values of a wider kind than the first had.
    """
    stream: EvalSetStream | None = None
    while True:
        with _start(plan, eval_set) as child:
            # Imported here: Arrow and numpy load, and the first chunk is read, while the predictor loads the model.
            from minieval.data.stream import WiderSchema, open_eval_set  # noqa: PLC0415

            stream = stream or open_eval_set(eval_set, plan.task.task)
            try:
                with _scorer(plan) as scorer, _open_rows(plan.rows) as writer:
                    predictor = Predictor(child, plan.chosen.described.interpreter)
                    measured = _predict_all(plan, predictor, stream, scorer, writer)
                    refuse_leaks(stream, eval_set, warn)
                    return measured if writer is None else replace(measured, rows=writer.finish())
            except WiderSchema:
                stream = stream.widen()


def _open_rows(rows: KeepRows | None) -> contextlib.AbstractContextManager[RowsWriter | None]:
    """Return a writer of the rows; its context is `None` where none are kept."""
    if rows is None:
        return contextlib.nullcontext()
    from minieval.data.kept_rows import RowsWriter  # noqa: PLC0415 - as in `_measure`

    return RowsWriter(rows)


def _predict_all(
    plan: _Plan, predictor: Predictor, stream: EvalSetStream, scorer: Scorer, writer: RowsWriter | None
) -> _Measured:
    """Send the stream through the predictor, batch by batch, and mark what comes back."""
    from minieval.task.buckets import BucketReader  # noqa: PLC0415 - as in `_measure`
    from minieval.task.marking import Marker  # noqa: PLC0415
    from minieval.task.tally import Tally  # noqa: PLC0415

    task, roles = plan.task.task, stream.roles
    buckets, marker = BucketReader(task, roles), Marker(task, scorer, None if writer is None else writer.keep)
    tally = Tally(buckets.names, graded=scorer.graded, trials=task.trials)
    predictor.wait_until_ready()
    columns = {column.name: column for column in stream.schema}
    features = [columns[name] for name in roles.features]
    predictor.configure(features, task.model.params, roles.files)
    plan.progress(0)
    for batch in stream.batches(plan.batch_size):
        rows, codes = buckets.read(batch.table, batch.where)
        if writer is not None:
            writer.begin(batch)
        with sandbox.show_files(plan.scratch / "files", batch.files):
            # Marked one by one: the answers to all trials of a batch could fill the memory.
            trials = (predictor.predict(batch.features, first=batch.start + 1) for _ in range(task.trials))
            marks = marker.mark(read_truth(batch), trials)
        tally.add(marks, rows, codes)
        plan.progress(batch.start + len(batch.table))
    marker.check_kinds(roles.expected)
    return _Measured(stream, predictor.timing, tally.measure(), marker.missing, marker.classes(), scorer.metrics())


@contextlib.contextmanager
def _start(plan: _Plan, eval_set: Path) -> Iterator[Child]:
    """Start a predictor with an empty home, and an empty folder for the files of a batch."""
    with tempfile.TemporaryDirectory(dir=plan.scratch, ignore_cleanup_errors=True) as home:
        files = plan.scratch / "files" if plan.task.task.files.columns else None
        if files is not None:
            files.mkdir(exist_ok=True)
        with sandbox.start(
            plan.isolation,
            bundle=plan.scratch / "bundle",
            eval_set=eval_set,
            home=Path(home),
            files=files,
            limits=plan.limits,
            python=plan.chosen.python,
        ) as child:
            yield child


@contextlib.contextmanager
def _scorer(plan: _Plan) -> Iterator[Scorer]:
    """Yield the scorer of the task; one of the repository's own runs in a sandbox until the end."""
    if plan.task.scorer is None:
        from minieval.task.scores import make_scorer  # noqa: PLC0415 - as in `_measure`

        yield make_scorer(plan.task.task.score)
        return
    from minieval.runner.scorer import start_scorer  # noqa: PLC0415 - most tasks have none

    with start_scorer(plan.task, plan.isolation) as scorer:
        yield scorer


def read_truth(batch: Batch) -> Truth:
    """Return what is right in a batch."""
    from minieval.task.marking import Truth  # noqa: PLC0415 - as in `_measure`

    roles = batch.roles
    accepted = None if roles.accepted is None else batch.values(roles.accepted)
    return Truth(batch.values(roles.expected), accepted, batch.list_features, batch.where)


def refuse_leaks(stream: EvalSetStream, path: Path, warn: Callable[[str], None]) -> None:
    """Refuse an eval set in which a feature is the answer; ``warn`` of one where it nearly is.

    Raises:
        CannotJudge: a feature is the right answer in every row.
    """
    for name in stream.leaks:
        raise CannotJudge(
            f"{path}: the feature {name[:80]!r} is the right answer in every row, and the model sees it; "
            "remove it from the rows"
        )
    for name, count in stream.suspects:
        warn(
            f"{path}: the feature {name[:80]!r} is the right answer in {count} of {stream.identity.rows} rows; check "
            "that it is not the answer"
        )


def _compose(
    plan: _Plan, measured: _Measured, manifest: Manifest, *, run_id: str | None, context: Context | None
) -> Evaluation:
    task, isolation = plan.task, plan.isolation.value
    return Evaluation.model_validate(
        {
            "schema": SCHEMA,
            "candidate": Candidate(
                canonical_sha=manifest.canonical_sha, mlflow_run_id=run_id, manifest_format=manifest.format
            ),
            "eval_set": measured.stream.identity,
            "task": None if task is NO_TASK_FILE else TaskIdentity(path=task.path.as_posix(), sha256=task.sha256),
            "evaluator": Evaluator(name="minieval", version=__version__, isolation=isolation),
            "aggregate": measured.scored.aggregate,
            "buckets": measured.scored.buckets,
            "trials": None if task.task.trials == 1 or task.task.score.is_graded else task.task.trials,
            "classes": measured.classes,
            "missing_answers": measured.missing or None,
            "rows": measured.rows,
            "metrics": _metrics(measured, manifest),
            "environment": describe_environment(
                isolation=isolation,
                batch_size=plan.batch_size,
                packages=plan.chosen.packages,
                python=plan.chosen.python.version,
            ),
            "model_environment": plan.chosen.described,
            "context": context,
        }
    )


def _metrics(measured: _Measured, manifest: Manifest) -> dict[str, Metric]:
    size = sum(file.size for file in manifest.files)
    metrics = {"bundle_bytes": Metric(value=Decimal(size), unit="bytes", direction="lower")}
    if (latency := measured.timing.p95_ms) is not None:
        rounded = max(TOO_FINE, Decimal(latency).quantize(TOO_FINE))
        metrics["latency_ms_p95"] = Metric(value=rounded, unit="ms", direction="lower")
    return {**metrics, **measured.figures, **measure_classes(measured.classes)}
