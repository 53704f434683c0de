"""Commands for a GitHub workflow: ``ci request``, ``ci comment`` and ``ci check``; docs/ci.md is their contract."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    CI_SUMMARY,
    COMMENT_KIND,
    VERDICT,
    BaselinePath,
    CommentKind,
    CountedPath,
    DryRun,
    EventPath,
    ExitCode,
    HeadSha,
    LogPath,
    ReceiptPath,
    RequestedModel,
    RequestedRunId,
    RequestedSemver,
    VerdictPath,
)
from lynxgate.cli.output import note, print_text
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.decision.baseline import Baseline
    from lynxgate.pull_request.admission import Admitted
    from lynxgate.pull_request.event import LabelledEvent
    from lynxgate.pull_request.forge import Check, Forge
    from lynxgate.pull_request.report import Context, Report
    from lynxgate.pull_request.request import Declined
    from lynxgate.pull_request.workflow_env import Workflow

MAX_LOG_BYTES = 64 * 1024  # of the log's end: far more than the lines that a comment shows
MAX_FIRST_LINE = 1024  # bytes


def register(app: typer.Typer) -> None:
    """Add this module's commands to the group ``ci`` of ``app``."""
    group = open_group(app, "ci", CI_SUMMARY, Panel.CI)
    add_command(group, "request", request, example="ci request --label deploy-candidate")
    add_command(
        group, "comment", comment, example="ci comment --verdict verdict.json --receipt ended/printed --exit-code 0"
    )
    add_command(group, "check", check, example="ci check --verdict verdict.json --exit-code 0 --name lynxgate")


def request(
    event: EventPath = None,
    label: Annotated[str, typer.Option("--label", help="The label that requests the gate.")] = "deploy-candidate",
    baseline: BaselinePath = BASELINE,
    expect_run_id: Annotated[
        str | None, typer.Option("--expect-run-id", help="Refuse a request for any other run.")
    ] = None,
    expect_semver: Annotated[
        str | None, typer.Option("--expect-semver", help="Refuse a request for any other version.")
    ] = None,
    expect_head_sha: Annotated[
        str | None, typer.Option("--expect-head-sha", help="Refuse a request on any other commit.")
    ] = None,
    expect_model: Annotated[
        str | None, typer.Option("--expect-model", help="Refuse a request for any other model; empty for none.")
    ] = None,
    kind: CommentKind = COMMENT_KIND,
    silent: Annotated[bool, typer.Option("--no-comment", help="Do not comment on a refusal.")] = False,
) -> int:
    """Find the promotion request in a pull request.

    It prints run_id, semver, head_sha, pr and, where one is named, model, and writes them as step outputs. Exit 6 when
    no request counts.
    """
    from lynxgate.errors import Refused, UsageFailure
    from lynxgate.pull_request.admission import Terms, admit, refuse_unseen
    from lynxgate.pull_request.repository_paths import locate
    from lynxgate.pull_request.request import Declined
    from lynxgate.pull_request.workflow_env import read_workflow, write_outputs
    from lynxgate.wiring import open_forge

    workflow = read_workflow(os.environ)
    labelled = _read_event(event, workflow)
    if workflow.repository is None:
        raise UsageFailure("GITHUB_REPOSITORY is not set; it names the repository as owner/name")
    agreed = locate(baseline, workflow.workspace)
    committed = _read_committed(baseline)
    task = tuple(locate(path, workflow.workspace) for path in _find_task_files(committed, baseline.parent))
    terms = Terms(label, agreed, workflow.repository, task, None if committed is None else committed.model)
    found: Declined | Admitted | None = refuse_unseen(labelled, terms)
    forge = None
    if found is None:
        # Only now: a fork has no token, and an event that is refused by itself needs none.
        forge = open_forge(workflow)
        found = admit(forge, labelled, terms)
    if isinstance(found, Declined):
        _refuse(found, labelled, workflow, None if silent else forge, kind)
        raise Refused(f"{found.reason}. {found.advice.replace('`', '')}")
    outputs = {
        "run_id": found.request.run_id,
        "semver": found.request.semver,
        "head_sha": found.head_sha,
        "pr": str(found.number),
        **({} if found.request.model is None else {"model": found.request.model}),
    }
    pinned = {"run_id": expect_run_id, "semver": expect_semver, "head_sha": expect_head_sha, "model": expect_model}
    for name, expected in pinned.items():
        if expected is not None and outputs.get(name, "") != expected:
            now = outputs.get(name) or "none"
            raise Refused(f"the request is now for {name} {now}; this gate started with {expected[:80] or 'none'}")
    write_outputs(workflow, outputs)
    for name, value in outputs.items():
        print_text(f"{name}={value}")
    return Exit.OK


def _read_committed(path: Path) -> Baseline | None:
    """Return the baseline in this checkout; `None` where there is none."""
    # A job without a checkout has no baseline. The job that promotes has one, and checks the request again.
    if not path.exists():
        return None
    from lynxgate.decision.baseline import Baseline
    from minieval.contract.documents import read_document

    return read_document(path, Baseline)


def _find_task_files(baseline: Baseline | None, folder: Path) -> tuple[Path, ...]:
    """Return the task file of a baseline in ``folder`` and its scorer."""
    if baseline is None:
        return ()
    from lynxgate.decision.agreed_task import list_task_files

    return list_task_files(baseline, folder)


def comment(
    verdict: VerdictPath = VERDICT,
    receipt: ReceiptPath = None,
    exit_code: ExitCode = 0,
    log: LogPath = None,
    counted: CountedPath = None,
    run_id: RequestedRunId = None,
    semver: RequestedSemver = None,
    model_name: RequestedModel = None,
    head_sha: HeadSha = None,
    event: EventPath = None,
    kind: CommentKind = COMMENT_KIND,
    awaiting: Annotated[
        bool, typer.Option("--awaiting-approval", help="The candidate passed, and a reviewer has not approved it yet.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Write the result into the pull request.

    There is one comment of each kind; it is updated in place. Exit 4 when the parts of the result do not belong
    together, which the comment then states. Exit 5 when GitHub does not accept it.
    """
    from lynxgate.errors import GateError, IntegrityFailure
    from lynxgate.pull_request.comment import render_comment, render_mismatch_comment
    from lynxgate.pull_request.workflow_env import read_workflow

    workflow = read_workflow(os.environ)
    report = replace(_read_report(verdict, receipt, exit_code, log, counted), awaiting=awaiting)
    labelled = None if dry_run else _read_event(event, workflow)
    head = head_sha or (labelled.head_sha if labelled else None)
    context = _context(workflow, run_id, semver, head, model_name)
    try:
        body = render_comment(report, context, kind)
    except IntegrityFailure as error:
        # An earlier comment may claim a pass; it must not stay when the newest result does not count.
        try:
            _show(render_mismatch_comment(error, context, kind), labelled, workflow)
        except GateError as failed:
            note(f"lynxgate: this could not be posted to the pull request: {failed}")
        raise
    _show(body, labelled, workflow)
    return Exit.OK


def _show(body: str, labelled: LabelledEvent | None, workflow: Workflow) -> None:
    """Print a comment (a dry run, without an event), or write it to the step summary and the pull request."""
    from lynxgate.pull_request.workflow_env import write_summary
    from lynxgate.wiring import open_forge

    if labelled is None:
        print_text(body)
        return
    # The summary first: it stays readable when GitHub does not accept the comment.
    write_summary(workflow, _without_marker(body))
    open_forge(workflow).upsert_comment(labelled.number, _marker(body), body)
    note(f"commented on pull request {labelled.number}")


def check(
    verdict: VerdictPath = VERDICT,
    receipt: ReceiptPath = None,
    exit_code: ExitCode = 0,
    log: LogPath = None,
    counted: CountedPath = None,
    run_id: RequestedRunId = None,
    semver: RequestedSemver = None,
    model_name: RequestedModel = None,
    head_sha: HeadSha = None,
    event: EventPath = None,
    baseline: BaselinePath = BASELINE,
    name: Annotated[
        str, typer.Option("--name", help="The name of the check run, which a branch rule may require.")
    ] = "lynxgate",
    dry_run: DryRun = False,
) -> int:
    """Create a check run with the result.

    It annotates each failing bucket at its line of the baseline. Exit 4 when the parts of the result do not belong
    together, which the check run then states. Exit 5 when GitHub does not accept it.
    """
    from lynxgate.errors import GateError, IntegrityFailure, UsageFailure
    from lynxgate.pull_request.check_run import build_check, build_mismatch_check
    from lynxgate.pull_request.repository_paths import locate
    from lynxgate.pull_request.workflow_env import read_workflow

    workflow = read_workflow(os.environ)
    report = _read_report(verdict, receipt, exit_code, log, counted)
    head = head_sha or (None if dry_run else _read_event(event, workflow).head_sha)
    if head is None:
        raise UsageFailure("--dry-run needs --head-sha")
    context = _context(workflow, run_id, semver, head, model_name)
    # Only for the line numbers of annotations: any text will do, and none puts them at line 1.
    text = baseline.read_text(encoding="utf-8", errors="replace") if baseline.is_file() else ""
    committed = locate(baseline, workflow.workspace).path
    send_to = None if dry_run else workflow
    try:
        made = build_check(report, context, name=name, head_sha=head, baseline=(committed, text))
    except IntegrityFailure as error:
        try:
            _create_check(build_mismatch_check(error, context, name=name, head_sha=head), send_to)
        except GateError as failed:
            note(f"lynxgate: this could not be posted as a check run: {failed}")
        raise
    _create_check(made, send_to)
    return Exit.OK


def _create_check(made: Check, workflow: Workflow | None) -> None:
    """Create the check run, or print it when there is no workflow (a dry run)."""
    from lynxgate.wiring import open_forge

    if workflow is None:
        print_text(f"{made.conclusion}: {made.title}\n\n{made.summary}")
        for each in made.annotations:
            print_text(f"{each.path}:{each.line}: {each.level}: {each.title}: {each.message}")
        return
    open_forge(workflow).create_check(made)
    note(f"check run {made.name}: {made.conclusion}")


def _refuse(declined: Declined, labelled: LabelledEvent, workflow: Workflow, forge: Forge | None, kind: str) -> None:
    """Write the refusal to the step summary and, where possible, to the pull request.

    A failure to do so does not change the refusal.
    """
    from lynxgate.errors import GateError
    from lynxgate.pull_request.comment import render_refusal
    from lynxgate.pull_request.report import Context
    from lynxgate.pull_request.workflow_env import write_summary

    body = render_refusal(declined, Context(run_url=workflow.run_url), kind)
    try:
        write_summary(workflow, _without_marker(body))
        if forge is not None and declined.comment:
            forge.upsert_comment(labelled.number, _marker(body), body)
    except GateError as error:
        note(f"lynxgate: the refusal could not be posted to the pull request: {error}")


def _read_event(path: Path | None, workflow: Workflow) -> LabelledEvent:
    from lynxgate.errors import UsageFailure
    from lynxgate.pull_request.event import parse_labelled_event
    from minieval.contract.documents import read_bytes

    found = path or workflow.event
    if found is None:
        raise UsageFailure("neither --event nor GITHUB_EVENT_PATH names the event's file")
    return parse_labelled_event(read_bytes(found), where=str(found))


def _read_report(verdict: Path, receipt: Path | None, exit_code: int, log: Path | None, counted: Path | None) -> Report:
    from lynxgate.decision.verdict import parse_verdict
    from lynxgate.pull_request.receipt import parse_receipt, parse_usage
    from lynxgate.pull_request.report import Report
    from minieval.contract.documents import read_bytes

    return Report(
        verdict=parse_verdict(read_bytes(verdict), where=str(verdict)) if verdict.exists() else None,
        receipt=parse_receipt(_read_end(receipt)),
        exit_code=exit_code,
        log=_read_end(log),
        usage=parse_usage(_read_start(counted)) or parse_usage(_read_start(receipt)),
    )


def _read_start(path: Path | None) -> str:
    """Return the start of a text file, at least its first line; empty when there is no file."""
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MAX_FIRST_LINE).decode("utf-8", errors="replace")


def _read_end(path: Path | None) -> str:
    """Return the end of a text file; empty when there is no file, as after a step that did not run."""
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_LOG_BYTES))
        # The cut may fall inside a character; `replace` makes that one visible instead of an error.
        return file.read().decode("utf-8", errors="replace")


def _context(
    workflow: Workflow, run_id: str | None, semver: str | None, head_sha: str | None, model: str | None
) -> Context:
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_model, parse_run_id, parse_semver
    from lynxgate.pull_request.report import Context

    if head_sha is not None and not (len(head_sha) == 40 and set(head_sha) <= set("0123456789abcdef")):
        raise UsageFailure(f"{head_sha[:80]!r} is not a commit (40 lower-case hex digits)")
    return Context(
        head_sha=head_sha,
        # An empty value is none: a job that did not run gives empty outputs.
        run_id=parse_run_id(run_id) if run_id else None,
        semver=str(parse_semver(semver)) if semver else None,
        model=parse_model(model) if model else None,
        run_url=workflow.run_url,
    )


def _marker(body: str) -> str:
    return body.partition("\n")[0]


def _without_marker(body: str) -> str:
    return body.partition("\n")[2].strip("\n")
