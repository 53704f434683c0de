"""The command ``ci keep``: the artefacts of a decision, for the workflow to upload."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.ci import Baseline, ExitCode, HeadSha, RunId, Semver, VerdictPath, ci_app


def register(_: typer.Typer) -> None:
    """Add this module's command to ``lynxgate ci``."""
    ci_app.command("keep")(keep)


def keep(
    dest: Annotated[Path, typer.Option("--dest", help="The directory to write; it must be new or empty.")],
    evaluation: Annotated[Path, typer.Option("--evaluation", help="The candidate's evaluation, if there is one.")] = (
        Path("candidate_eval.json")
    ),
    baseline: Baseline = Path("eval_baseline.json"),
    verdict: VerdictPath = Path("verdict.json"),
    exit_code: ExitCode = 0,
    run_id: RunId = None,
    semver: Semver = None,
    head_sha: HeadSha = None,
) -> None:
    """Put everything one decision was made from into a folder, with a manifest over it."""
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.errors import UsageFailure
    from lynxgate.reports.artifacts import DecisionContext, collect_artefacts
    from minieval.contract.documents import read_bytes
    from minieval.contract.writes import write_output

    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise UsageFailure(f"--dest {dest} is not an empty directory; name another")
    files = collect_artefacts(
        DecisionContext(run_id or None, semver or None, head_sha or None, exit_code),
        baseline=read_bytes(baseline, missing=CREATE_IT),
        evaluation=read_bytes(evaluation) if evaluation.exists() else None,
        verdict=read_bytes(verdict) if verdict.exists() else None,
    )
    for name, data in files.items():
        write_output(dest / name, data)
    print(f"{dest}: {len(files)} files")
