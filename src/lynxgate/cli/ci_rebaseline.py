"""The command ``ci rebaseline-pr``: the pull request that updates the baseline."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    CI_SUMMARY,
    EVALUATION,
    AcceptRegression,
    DryRun,
    EvalSetPath,
    EvaluatedSemver,
    EvaluationPath,
    Remove,
    RemoveMetric,
)
from lynxgate.cli.output import note, print_text
from minieval.contract.exits import Exit

# A subset of git's rules that needs no quoting anywhere.
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


def register(app: typer.Typer) -> None:
    """Add this module's command to the group ``ci`` of ``app``."""
    group = open_group(app, "ci", CI_SUMMARY, Panel.CI)
    example = "ci rebaseline-pr --base main --base-sha COMMIT --evaluation candidate_eval.json"
    add_command(group, "rebaseline-pr", rebaseline_pr, example=example)


def rebaseline_pr(
    base: Annotated[str, typer.Option("--base", help="The branch that the pull request goes into.")],
    base_sha: Annotated[str, typer.Option("--base-sha", help="The commit that --baseline was read from.")],
    evaluation: EvaluationPath = EVALUATION,
    baseline: Annotated[Path, typer.Option("--baseline", help="The baseline at that commit.")] = BASELINE,
    path: Annotated[str, typer.Option("--path", help="The baseline's path in the repository.")] = "eval_baseline.json",
    semver: EvaluatedSemver = None,
    remove: Remove = None,
    remove_metric: RemoveMetric = None,
    accept_regression: AcceptRegression = None,
    eval_set: EvalSetPath = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="The directory to write the old and new baseline and the text to."),
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Open a pull request that updates the baseline.

    It never activates a baseline, and pushes to no branch but its own.
    """
    from lynxgate.decision.agreed_task import read_agreed_groups
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import is_commit, parse_semver
    from lynxgate.pull_request.forge import blob_sha
    from lynxgate.pull_request.rebaseline_proposal import build_proposal
    from lynxgate.pull_request.workflow_env import read_workflow, write_outputs, write_summary
    from lynxgate.rebaseline.move import rebaseline as move_numbers
    from lynxgate.rebaseline.relocate import relocate
    from lynxgate.wiring import open_forge
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.report import Evaluation
    from minieval.contract.writes import check_output, write_output

    if not is_commit(base_sha):
        raise UsageFailure(f"--base-sha {base_sha[:80]!r} is not a commit (40 lower-case hex digits)")
    if not _BRANCH.fullmatch(base) or ".." in base:
        raise UsageFailure(f"--base {base[:80]!r} is not a branch name")
    # GitHub's own form: another one would be another file there, or none.
    if not path or path != posixpath.normpath(path) or path.split("/")[0] in ("", ".", ".."):
        raise UsageFailure(f"--path {path[:200]!r} is not a path from the repository's root, without . and ..")
    if write is not None:
        for name in ("before.json", "after.json", "moves.md"):
            check_output(write / name, (baseline, evaluation))
    workflow = read_workflow(os.environ)
    data = read_bytes(baseline, missing=CREATE_IT)
    measured = relocate(read_document(evaluation, Evaluation, missing=EVALUATE_IT), baseline.parent)
    version = str(parse_semver(semver)) if semver else None
    moved = move_numbers(
        data,
        measured,
        semver=version,
        remove=remove or (),
        remove_metrics=remove_metric or (),
        accept=accept_regression or (),
        groups=None if eval_set is None else read_agreed_groups(eval_set, data, baseline.parent, where=str(baseline)),
        where=str(baseline),
    )
    # The same bytes: nothing to review, and an empty pull request would be noise.
    if moved.data == data:
        write_summary(workflow, f"### No change\n\n`{base}` already has these numbers; no pull request was opened.")
        write_outputs(workflow, {"moved": "false"})
        print_text(f"no change: {base} already has these numbers")
        return Exit.OK
    proposal = build_proposal(
        moved,
        parse_baseline(data, where=str(baseline)),
        measured,
        path=path,
        base=base,
        base_sha=base_sha,
        replaces=blob_sha(data),
        run_url=workflow.run_url,
    )
    if write is not None:
        for name, content in (("before.json", data), ("after.json", moved.data), ("moves.md", proposal.body.encode())):
            write_output(write / name, content)
    write_summary(workflow, f"### {proposal.title}\n\n{proposal.body}")
    write_outputs(workflow, {"moved": "true"})
    if dry_run:
        print_text(f"{proposal.title}\n\n{proposal.body}")
        return Exit.OK
    # The files and the summary are written before GitHub is called: they remain when the call fails.
    made = open_forge(workflow).propose(proposal)
    write_outputs(workflow, {"pull": str(made.number)})
    print_text(f"{'opened' if made.is_new else 'already open:'} {made.url}")
    note(f"{path}: {len(moved.moves)} changes, for review in pull request {made.number}")
    return Exit.OK
