"""The command ``ci archive``: the artifacts of one decision, for the workflow to upload."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    CI_SUMMARY,
    EVALUATION,
    VERDICT,
    BaselinePath,
    EvaluationPath,
    ExitCode,
    HeadSha,
    RequestedRunId,
    RequestedSemver,
    VerdictPath,
)
from lynxgate.cli.output import print_text


def register(app: typer.Typer) -> None:
    """Add this module's command to the group ``ci`` of ``app``."""
    group = open_group(app, "ci", CI_SUMMARY, Panel.CI)
    add_command(group, "archive", archive, example="ci archive --dest decision --exit-code 0", alias="keep")


def archive(
    dest: Annotated[Path, typer.Option("--dest", help="The directory to write to; it must be new or empty.")],
    evaluation: EvaluationPath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    verdict: VerdictPath = VERDICT,
    exit_code: ExitCode = 0,
    run_id: RequestedRunId = None,
    semver: RequestedSemver = None,
    head_sha: HeadSha = None,
) -> None:
    """Archive a decision's documents with a manifest.

    An evaluation or verdict that the gate did not reach is left out. Exit 4, with nothing written, when the documents
    are not about --run-id, or the verdict was not made from them.
    """
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_run_id, parse_semver
    from lynxgate.reports.artifacts import DecisionContext, collect_artifacts
    from minieval.contract.documents import read_bytes
    from minieval.contract.model_environment import read_lock_beside
    from minieval.contract.writes import write_output

    # A file of an earlier decision must not be uploaded with this one.
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise UsageFailure(f"--dest {dest} is not an empty directory; name another")
    files = collect_artifacts(
        DecisionContext(
            # An empty value is none: a job that did not run gives empty outputs.
            parse_run_id(run_id) if run_id else None,
            str(parse_semver(semver)) if semver else None,
            head_sha or None,
            exit_code,
        ),
        baseline=read_bytes(baseline, missing=CREATE_IT),
        evaluation=read_bytes(evaluation) if evaluation.exists() else None,
        verdict=read_bytes(verdict) if verdict.exists() else None,
        model_lock=read_lock_beside(evaluation),
    )
    for name, data in files.items():
        write_output(dest / name, data)
    print_text(f"{dest}: {len(files)} files")
