"""Commands for a GitHub workflow: ``ci request``, ``ci comment`` and ``ci check``; docs/ci.md is their contract."""

from __future__ import annotations

import os
import posixpath
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.pull_request.admission import Admitted
    from lynxgate.pull_request.comment import Context, Report
    from lynxgate.pull_request.event import LabelledEvent
    from lynxgate.pull_request.forge import Forge
    from lynxgate.pull_request.request import Declined
    from lynxgate.pull_request.workflow_env import Workflow

MAX_SAID_BYTES = 64 * 1024
MAX_FIRST_LINE = 1024  # bytes
Event = Annotated[Path | None, typer.Option("--event", help="The event's file. [default: $GITHUB_EVENT_PATH]")]
Baseline = Annotated[Path, typer.Option("--baseline", help="The committed baseline.")]
VerdictPath = Annotated[Path, typer.Option("--verdict", help="What `lynxgate compare --output` wrote, if it did.")]
ReceiptPath = Annotated[
    Path | None,
    typer.Option("--receipt", help="What `lynxgate promote` (or `gate`) printed, if it was run; may be empty."),
]
CountedPath = Annotated[
    Path | None, typer.Option("--counted", help="What `lynxgate registry count-gate` printed, if it was run.")
]
ExitCode = Annotated[int, typer.Option("--exit-code", help="The exit code of the step that ended the gate.")]
Said = Annotated[Path | None, typer.Option("--said", help="What that step wrote to stderr; its last lines are shown.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="The MLflow run that was asked for.")]
Semver = Annotated[str | None, typer.Option("--semver", help="The version that was asked for.")]
HeadSha = Annotated[str | None, typer.Option("--head-sha", help="The commit gated. [default: the event's head]")]
Kind = Annotated[str, typer.Option("--kind", help="There is one comment of each kind in a pull request.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print it on stdout and send nothing; needs no token.")]

ci_app = typer.Typer(no_args_is_help=True, help="What a GitHub workflow calls.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.add_typer(ci_app, name="ci")
    ci_app.command("request")(request)
    ci_app.command("comment")(comment)
    ci_app.command("check")(check)


def request(
    event: Event = None,
    label: Annotated[str, typer.Option("--label", help="The label that asks for the gate.")] = "deploy-candidate",
    baseline: Baseline = Path("eval_baseline.json"),
    expect_run_id: Annotated[str | None, typer.Option("--expect-run-id", help="Refuse any other.")] = None,
    expect_semver: Annotated[str | None, typer.Option("--expect-semver", help="Refuse any other.")] = None,
    expect_head_sha: Annotated[str | None, typer.Option("--expect-head-sha", help="Refuse any other.")] = None,
    kind: Kind = "gate",
    silent: Annotated[bool, typer.Option("--no-comment", help="Never write in the pull request.")] = False,
) -> int:
    """Find the request that a label is about: run_id, semver, head_sha and pr, as step outputs and on stdout."""
    from lynxgate.errors import Refused, UsageFailure
    from lynxgate.pull_request.admission import Terms, admit, refuse_unseen
    from lynxgate.pull_request.request import Declined
    from lynxgate.pull_request.workflow_env import read_workflow, write_outputs
    from lynxgate.wiring import open_forge

    workflow = read_workflow(os.environ)
    labelled = _read_event(event, workflow)
    if workflow.repository is None:
        raise UsageFailure("GITHUB_REPOSITORY is not set; it names the repository as owner/name")
    terms = Terms(label, posixpath.normpath(baseline.as_posix()), workflow.repository)
    found: Declined | Admitted | None = refuse_unseen(labelled, terms)
    forge = None
    if found is None:
        forge = open_forge(workflow)
        found = admit(forge, labelled, terms)
    if isinstance(found, Declined):
        _refuse(found, labelled, workflow, None if silent else forge, kind)
        raise Refused(f"{found.reason}. {found.advice.replace('`', '')}")
    outputs = {
        "run_id": found.asked.run_id,
        "semver": found.asked.semver,
        "head_sha": found.head_sha,
        "pr": str(found.number),
    }
    for name, expected in (("run_id", expect_run_id), ("semver", expect_semver), ("head_sha", expect_head_sha)):
        if expected is not None and outputs[name] != expected:
            raise Refused(f"the request is now for {name} {outputs[name]}, and this gate began with {expected[:80]}")
    write_outputs(workflow, outputs)
    for name, value in outputs.items():
        print(f"{name}={value}")
    return Exit.OK


def comment(
    verdict: VerdictPath = Path("verdict.json"),
    receipt: ReceiptPath = None,
    exit_code: ExitCode = 0,
    said: Said = None,
    counted: CountedPath = None,
    run_id: RunId = None,
    semver: Semver = None,
    head_sha: HeadSha = None,
    event: Event = None,
    kind: Kind = "gate",
    dry_run: DryRun = False,
) -> int:
    """Say how the gate ended, in the pull request's one comment; exit 5 when GitHub does not take it."""
    from lynxgate.pull_request.comment import render_comment
    from lynxgate.pull_request.workflow_env import read_workflow, write_summary
    from lynxgate.wiring import open_forge

    workflow = read_workflow(os.environ)
    report = _read_report(verdict, receipt, exit_code, said, counted)
    if dry_run:
        print(render_comment(report, _context(workflow, run_id, semver, head_sha), kind))
        return Exit.OK
    labelled = _read_event(event, workflow)
    context = _context(workflow, run_id, semver, head_sha or labelled.head_sha)
    body = render_comment(report, context, kind)
    write_summary(workflow, _without_marker(body))
    open_forge(workflow).upsert_comment(labelled.number, _marker(body), body)
    print(f"commented on pull request {labelled.number}", file=sys.stderr)
    return Exit.OK


def check(
    verdict: VerdictPath = Path("verdict.json"),
    receipt: ReceiptPath = None,
    exit_code: ExitCode = 0,
    said: Said = None,
    counted: CountedPath = None,
    run_id: RunId = None,
    semver: Semver = None,
    head_sha: HeadSha = None,
    event: Event = None,
    baseline: Baseline = Path("eval_baseline.json"),
    name: Annotated[
        str, typer.Option("--name", help="The check's name, which a branch rule may require.")
    ] = "lynxgate",
    dry_run: DryRun = False,
) -> int:
    """Make a check run of how the gate ended, with an annotation for each bucket that keeps the candidate out."""
    from lynxgate.errors import UsageFailure
    from lynxgate.pull_request.comment import build_check
    from lynxgate.pull_request.workflow_env import read_workflow
    from lynxgate.wiring import open_forge

    workflow = read_workflow(os.environ)
    report = _read_report(verdict, receipt, exit_code, said, counted)
    head = head_sha or (None if dry_run else _read_event(event, workflow).head_sha)
    if head is None:
        raise UsageFailure("--dry-run needs --head-sha")
    context = _context(workflow, run_id, semver, head)
    text = baseline.read_text(encoding="utf-8", errors="replace") if baseline.is_file() else ""
    made = build_check(report, context, name=name, head_sha=head, baseline=(baseline.as_posix(), text))
    if dry_run:
        print(f"{made.conclusion}: {made.title}\n\n{made.summary}")
        for each in made.annotations:
            print(f"{each.path}:{each.line}: {each.level}: {each.title}: {each.message}")
        return Exit.OK
    open_forge(workflow).create_check(made)
    print(f"check run {name}: {made.conclusion}", file=sys.stderr)
    return Exit.OK


def _refuse(declined: Declined, labelled: LabelledEvent, workflow: Workflow, forge: Forge | None, kind: str) -> None:
    """Say it in the summary, and in the pull request where that is possible; neither changes the refusal."""
    from lynxgate.errors import GateError
    from lynxgate.pull_request.comment import Context, render_refusal
    from lynxgate.pull_request.workflow_env import write_summary

    body = render_refusal(declined, Context(run_url=workflow.run_url), kind)
    try:
        write_summary(workflow, _without_marker(body))
        if forge is not None and declined.speak:
            forge.upsert_comment(labelled.number, _marker(body), body)
    except GateError as error:
        print(f"lynxgate: the refusal could not be told in the pull request: {error}", file=sys.stderr)


def _read_event(path: Path | None, workflow: Workflow) -> LabelledEvent:
    from lynxgate.errors import UsageFailure
    from lynxgate.pull_request.event import parse_labelled_event
    from minieval.contract.documents import read_bytes

    found = path or workflow.event
    if found is None:
        raise UsageFailure("neither --event nor GITHUB_EVENT_PATH names the event's file")
    return parse_labelled_event(read_bytes(found), where=str(found))


def _read_report(
    verdict: Path, receipt: Path | None, exit_code: int, said: Path | None, counted: Path | None
) -> Report:
    from lynxgate.decision.verdict import parse_verdict
    from lynxgate.pull_request.comment import Report, parse_receipt, parse_wear
    from minieval.contract.documents import read_bytes

    return Report(
        verdict=parse_verdict(read_bytes(verdict), where=str(verdict)) if verdict.exists() else None,
        receipt=parse_receipt(_read_end(receipt)),
        exit_code=exit_code,
        said=_read_end(said),
        wear=parse_wear(_read_start(counted)) or parse_wear(_read_start(receipt)),
    )


def _read_start(path: Path | None) -> str:
    """The first line of a text file or so; empty when there is none."""
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MAX_FIRST_LINE).decode("utf-8", errors="replace")


def _read_end(path: Path | None) -> str:
    """The end of a text file; empty when there is none, as after a step that never ran."""
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_SAID_BYTES))
        return file.read().decode("utf-8", errors="replace")


def _context(workflow: Workflow, run_id: str | None, semver: str | None, head_sha: str | None) -> Context:
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_run_id, parse_semver
    from lynxgate.pull_request.comment import Context

    if head_sha is not None and not (len(head_sha) == 40 and set(head_sha) <= set("0123456789abcdef")):
        raise UsageFailure(f"{head_sha[:80]!r} is not a commit (40 lower-case hex digits)")
    return Context(
        head_sha=head_sha,
        run_id=parse_run_id(run_id) if run_id else None,
        semver=str(parse_semver(semver)) if semver else None,
        run_url=workflow.run_url,
    )


def _marker(body: str) -> str:
    return body.partition("\n")[0]


def _without_marker(body: str) -> str:
    return body.partition("\n")[2].strip("\n")
