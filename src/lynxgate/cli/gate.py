"""The command ``gate``: all six stages; progress on stderr, the result on stdout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import (
    BASELINE,
    BUNDLE,
    EVALUATION,
    REGISTRY,
    VERDICT,
    BaselinePath,
    BundlePath,
    ModelName,
    NewSemver,
    RegisteredModel,
    Registry,
    SigningKey,
    SomeRunId,
    TrackingUri,
)
from lynxgate.cli.output import note, print_text, warn_if_dev


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    example = (
        "gate --run-id 0123456789abcdef0123456789abcdef --semver v0.3.1\n"
        "gate --model models:/wine@candidate --semver v0.3.1"
    )
    add_command(app, "gate", gate, panel=Panel.GATE, example=example)


def gate(
    semver: NewSemver,
    run_id: SomeRunId = None,
    model: RegisteredModel = None,
    model_name: ModelName = None,
    baseline: BaselinePath = BASELINE,
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    bundle: BundlePath = BUNDLE,
    evaluation: Annotated[Path, typer.Option("--evaluation", help="The file to write the evaluation to.")] = EVALUATION,
    verdict: Annotated[Path, typer.Option("--verdict", help="The file to write the verdict to.")] = VERDICT,
    isolation: Annotated[str, typer.Option("--isolation", help="auto, bwrap (required) or process.")] = "auto",
    lock: Annotated[Path, typer.Option("--lock", help="The lock file that the environment was installed from.")] = Path(
        "requirements.lock"
    ),
    signing_key: SigningKey = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="Also write the answer and score of each row (Parquet).")
    ] = None,
    with_inputs: Annotated[bool, typer.Option("--with-inputs", help="Keep the features in --rows too.")] = False,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            help="The Python of the model: gate, model (built from its requirements), or a path. [default: the task's]",
        ),
    ] = None,
    memory_mb: Annotated[
        int | None,
        typer.Option(
            "--memory-mb", min=1, help="Resident memory of the model's processes, in MiB. [default: the task's]"
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds for the whole prediction. [default: the task's]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Rows given to the model at once. [default: the task's]")
    ] = None,
    no_lock: Annotated[
        bool, typer.Option("--no-lock", help="Skip the check of the lock file: this environment has none.")
    ] = False,
) -> int:
    """Gate one MLflow run; promote it if it passes.

    Name the candidate by exactly one of --run-id and --model. The stages: environment, eval set, candidate, evaluation,
    comparison, promotion.
    """
    from lynxgate.candidate.evaluator import ModelOptions
    from lynxgate.cli.candidate import parse_candidate, resolve_candidate
    from lynxgate.decision.agreed_task import list_named_files
    from lynxgate.identity import parse_semver
    from lynxgate.pipeline import GatePaths
    from lynxgate.pipeline import gate as run_gate
    from lynxgate.promotion.authorization import authorise
    from lynxgate.reports.verdict_table import render_answer
    from lynxgate.wiring import open_gate_services
    from minieval.contract.writes import discard_output

    # Before anything can fail: a verdict of an earlier gate must not be taken for the result of this one.
    replaced = discard_output(verdict, inputs=(baseline, evaluation, lock, bundle, *list_named_files(baseline)))
    _check_rows(rows, with_inputs, others=(evaluation, verdict))
    named = parse_candidate(run_id, model, model_name)
    semver = str(parse_semver(semver))
    # Before anything is downloaded: a shell that may not promote learns so at once.
    authorise(os.environ)
    warn_if_dev()
    services = open_gate_services(registry, mlflow_uri=tracking_uri, signing_key=signing_key)
    found = resolve_candidate(named, services.tracking)
    # `--lock` has a default, so a missing lock needs an explicit `--no-lock`.
    checked = None if no_lock else lock
    options = ModelOptions(python, memory_mb, timeout, batch_size)
    paths = GatePaths(
        baseline, checked, bundle, evaluation, verdict, isolation, rows=rows, with_inputs=with_inputs, model=options
    )
    result = run_gate(
        found.run_id, semver, paths, services, _show_stage, logged_model=found.logged_model, replaced=replaced
    )
    if result.eval_set_usage is not None:
        print_text(f"{result.eval_set_usage.sentence}\n")
    if result.receipt is not None:
        print_text(result.receipt.line)
    else:
        print_text(render_answer(result.verdict))
    return result.verdict.exit


def _check_rows(rows: Path | None, with_inputs: bool, *, others: Sequence[Path]) -> None:
    """Refuse what minieval would refuse only after the candidate was downloaded."""
    from lynxgate.errors import UsageFailure

    if rows is None:
        if with_inputs:
            raise UsageFailure("--with-inputs keeps the features in the file of --rows; name it")
        return
    for each in others:
        if os.path.realpath(rows) == os.path.realpath(each):  # `resolve` raises for a loop of links
            raise UsageFailure(f"--rows is the output {each} too; choose another file")


def _show_stage(stage: int, sentence: str) -> None:
    note(f"[{stage}/6] {sentence}")
