"""Evaluate a bundle on an eval set: the whole of minieval in one function.

- The candidate gets a copy of the hashed bytes, and the features; it runs in a process of its own.
- The canonical SHA in the evaluation is that of the copy that predicted.
- Nothing is written unless everything was measured.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from minieval import __version__
from minieval.contract.bundle import stage
from minieval.contract.evalset import EvalSet, load_eval_set
from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.contract.identities import RUN_ID
from minieval.contract.leaks import AnswerMatches
from minieval.contract.manifest import Manifest
from minieval.contract.mlmodel import read_run_id
from minieval.contract.report import SCHEMA, Candidate, Evaluation, Evaluator, Metric, dump_evaluation
from minieval.contract.run_note import read_noted_run
from minieval.contract.writes import write_output
from minieval.runner import sandbox
from minieval.runner.child import Limits
from minieval.runner.machine import describe_environment
from minieval.runner.predictions import Progress, Timing, predict
from minieval.runner.sandbox import Isolation
from minieval.runner.scorers import Score, mark, tally

__all__ = ["BATCH_SIZE", "Isolation", "Limits", "evaluate", "write"]

BATCH_SIZE = 256
TOO_FINE = Decimal("0.0001")  # milliseconds; the time through a pipe has no finer resolution


def _ignore(*_: object) -> None:
    """The default callback, which does nothing."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The result of one run of a predictor."""

    manifest: Manifest
    isolation: Isolation
    timing: Timing


def evaluate(
    bundle: Path,
    eval_set: Path,
    *,
    isolation: Isolation = Isolation.AUTO,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    batch_size: int = BATCH_SIZE,
    run_id: str | None = None,
    progress: Progress = _ignore,
    warn: Callable[[str], None] = _ignore,
) -> Evaluation:
    """Score a candidate on an eval set.

    ``run_id`` is 32 hex digits, by default the run that the bundle's ``MLmodel``, or the note beside the bundle, names.
    ``progress`` is called with the number of rows done and of all rows; ``warn`` with one sentence when `AUTO` falls
    back to `PROCESS`, or when a feature is the answer in nearly all rows.

    Raises:
        CannotJudge: the eval set or the bundle is invalid, a feature is the answer in every row, or the candidate fails
            or answers in the wrong form.
        IntegrityFailure: the bundle holds a link or a special file.
        UsageFailure: ``run_id`` is not a run id, or ``batch_size`` is less than 1.
    """
    _check_request(run_id, batch_size)
    rows = _load(eval_set, warn)
    with tempfile.TemporaryDirectory(prefix="minieval-", ignore_cleanup_errors=True) as scratch:
        staged, home = Path(scratch) / "bundle", Path(scratch) / "home"
        home.mkdir()
        manifest = stage(bundle, staged)
        chosen = sandbox.choose(isolation, warn=warn)
        with sandbox.start(chosen, bundle=staged, eval_set=eval_set, home=home, limits=limits) as child:
            features = [row.features for row in rows.rows]
            outcomes: list[bool] = []

            def take(texts: Sequence[str]) -> None:
                start = len(outcomes)
                outcomes.extend(mark(rows.rows[start : start + len(texts)], texts))

            timing = predict(child, features, take, batch_size=batch_size, progress=progress)
    run = _Run(manifest, chosen, timing)
    named = run_id or read_run_id(bundle) or read_noted_run(bundle, manifest.canonical_sha)
    return _compose(rows, run, tally(rows.rows, outcomes), run_id=named, batch_size=batch_size)


def _load(path: Path, warn: Callable[[str], None]) -> EvalSet:
    """Read the eval set, and refuse one whose features hold the answers: the candidate would see them."""
    matches = AnswerMatches()
    eval_set = load_eval_set(path, matches)
    for name in matches.leaks:
        raise CannotJudge(
            f"{path}: the feature {name[:80]!r} is the right answer in every row, from row "
            f"{eval_set.rows[0].features.id[:80]!r} on, and the model would see it; remove it from the rows"
        )
    for name, count in matches.suspects:
        warn(
            f"{path}: the feature {name[:80]!r} is the right answer in {count} of {matches.rows} rows; check "
            "that it is not the answer"
        )
    return eval_set


def _check_request(run_id: str | None, batch_size: int) -> None:
    if run_id is not None and not re.fullmatch(RUN_ID, run_id):
        raise UsageFailure(f"{run_id[:80]!r} is not an MLflow run id (32 lower-case hex digits)")
    if batch_size < 1:
        raise UsageFailure(f"a batch size of {batch_size}: give at least 1")


def write(evaluation: Evaluation, path: Path, *, like: os.stat_result | None = None) -> None:
    """Write the document, whole or not at all; ``like`` is what `discard_output` removed there, if it did.

    Raises:
        CannotJudge: the file cannot be written.
    """
    write_output(path, dump_evaluation(evaluation), like=like)


def _compose(rows: EvalSet, run: _Run, scored: Score, *, run_id: str | None, batch_size: int) -> Evaluation:
    isolation = run.isolation.value
    return Evaluation.model_validate(
        {
            "schema": SCHEMA,
            "candidate": Candidate(
                canonical_sha=run.manifest.canonical_sha, mlflow_run_id=run_id, manifest_format=run.manifest.format
            ),
            "eval_set": rows.identity,
            "evaluator": Evaluator(name="minieval", version=__version__, isolation=isolation),
            "aggregate": scored.aggregate,
            "buckets": scored.buckets,
            "metrics": _metrics(run),
            "environment": describe_environment(isolation=isolation, batch_size=batch_size),
        }
    )


def _metrics(run: _Run) -> dict[str, Metric]:
    size = sum(file.size for file in run.manifest.files)
    metrics = {"bundle_bytes": Metric(value=Decimal(size), unit="bytes", direction="lower")}
    if (latency := run.timing.p95_ms) is not None:
        rounded = max(TOO_FINE, Decimal(latency).quantize(TOO_FINE))
        metrics["latency_ms_p95"] = Metric(value=rounded, unit="ms", direction="lower")
    return metrics
