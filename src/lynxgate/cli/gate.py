"""The command ``gate``: all six stages; progress on stderr, the result on stdout."""

from __future__ import annotations

import os
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
    NewSemver,
    Registry,
    RunId,
    SigningKey,
    TrackingUri,
)
from lynxgate.cli.output import note, print_text, warn_if_dev


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    example = "gate --run-id 0123456789abcdef0123456789abcdef --semver v0.3.1"
    add_command(app, "gate", gate, panel=Panel.GATE, example=example)


def gate(
    run_id: RunId,
    semver: NewSemver,
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

    The stages: environment, eval set, candidate, evaluation, comparison, promotion.
    """
    from lynxgate.candidate.evaluator import ModelOptions
    from lynxgate.identity import parse_run_id, parse_semver
    from lynxgate.pipeline import GatePaths
    from lynxgate.pipeline import gate as run_gate
    from lynxgate.promotion.authorization import authorise
    from lynxgate.reports.verdict_table import render_answer
    from lynxgate.wiring import open_gate_services
    from minieval.contract.writes import discard_output

    # Before anything can fail: a verdict of an earlier gate must not be taken for the result of this one.
    replaced = discard_output(verdict, inputs=(baseline, evaluation, lock))
    run_id, semver = parse_run_id(run_id), str(parse_semver(semver))
    # Before anything is downloaded: a shell that may not promote learns so at once.
    authorise(os.environ)
    warn_if_dev()
    services = open_gate_services(registry, mlflow_uri=tracking_uri, signing_key=signing_key)
    # `--lock` has a default, so a missing lock needs an explicit `--no-lock`.
    paths = GatePaths(
        baseline,
        None if no_lock else lock,
        bundle,
        evaluation,
        verdict,
        isolation,
        model=ModelOptions(python, memory_mb, timeout, batch_size),
    )
    result = run_gate(run_id, semver, paths, services, _show_stage, replaced=replaced)
    if result.eval_set_usage is not None:
        print_text(f"{result.eval_set_usage.sentence}\n")
    if result.receipt is not None:
        print_text(result.receipt.line)
    else:
        print_text(render_answer(result.verdict))
    return result.verdict.exit


def _show_stage(stage: int, sentence: str) -> None:
    note(f"[{stage}/6] {sentence}")
