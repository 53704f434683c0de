"""The command ``gate``: the six stages, told on stderr; the answer on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.registry import Registry, SigningKey, TrackingUri, warn_if_dev
from lynxgate.settings import DEFAULT_REGISTRY


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command()(gate)


def gate(
    run_id: Annotated[str, typer.Option("--run-id", help="The MLflow run of the candidate (32 hex digits).")],
    semver: Annotated[str, typer.Option("--semver", help="The version it becomes, as v0.3.1.")],
    baseline: Annotated[Path, typer.Option(help="The committed baseline.")] = Path("eval_baseline.json"),
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    bundle: Annotated[Path, typer.Option(help="Where the candidate is put.")] = Path("candidate"),
    evaluation: Annotated[Path, typer.Option(help="Where the evaluation is written.")] = Path("candidate_eval.json"),
    verdict: Annotated[Path, typer.Option(help="Where the verdict is written.")] = Path("verdict.json"),
    isolation: Annotated[str, typer.Option(help="auto, bwrap (required) or process.")] = "auto",
    lock: Annotated[Path, typer.Option(help="The lock that the environment was installed from.")] = Path(
        "requirements.lock"
    ),
    signing_key: SigningKey = None,
    no_lock: Annotated[bool, typer.Option("--no-lock", help="This environment has no lock; check none.")] = False,
) -> int:
    """Gate one run: eval set, candidate, evaluation, comparison, and on a pass its promotion."""
    from lynxgate.identity import parse_run_id, parse_semver
    from lynxgate.pipeline import GatePaths
    from lynxgate.pipeline import gate as run_gate
    from lynxgate.promotion.authorization import authorise
    from lynxgate.reports.tables import render_answer
    from lynxgate.wiring import open_gate_services

    run_id, semver = parse_run_id(run_id), str(parse_semver(semver))
    authorise(os.environ)
    warn_if_dev()
    services = open_gate_services(registry, mlflow_uri=tracking_uri, signing_key=signing_key)
    paths = GatePaths(baseline, None if no_lock else lock, bundle, evaluation, verdict, isolation)
    result = run_gate(run_id, semver, paths, services, _say)
    if result.eval_set_usage is not None:
        print(f"{result.eval_set_usage.sentence}\n")
    if result.receipt is not None:
        print(f"{result.receipt.ending} {result.receipt.semver} {result.receipt.canonical_sha}")
    else:
        print(render_answer(result.verdict))
    return result.verdict.exit


def _say(stage: int, sentence: str) -> None:
    print(f"[{stage}/6] {sentence}", file=sys.stderr, flush=True)
