"""What the gate says in a pull request: its one comment, and the check run with the same conclusion. Pure.

- Whatever somebody else named (buckets, runs, errors) stands in code, where nothing mentions, links or closes.
- A verdict that was read from a file is text like any other; `lynxgate.reports.tables` makes its sentences harmless.
- A comment never says more than its evidence: "promoted" needs a receipt that fits the verdict.
- A body is at most 65,536 bytes, so at most as many characters however GitHub counts; what is left out is said.
- No body of ours is a request (see `lynxgate.pull_request.request`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.verdict import Verdict, describe_move
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.figures import as_code, visible
from lynxgate.identity import Semver, parse_semver
from lynxgate.pull_request.forge import Annotation, Check, Conclusion, Level
from lynxgate.pull_request.request import OUR_MARK, Declined
from lynxgate.reports.tables import render_markdown
from minieval.contract.exits import Exit
from minieval.contract.identities import SHA256

MAX_BYTES = 65_536
MAX_TITLE = 255
KIND = "gate"
_KIND = re.compile(r"[a-z][a-z-]{0,30}")
_RECEIPT = re.compile(rf"(promoted|already promoted) (v[0-9.]{{5,32}}) ({SHA256})")
_WEAR = re.compile(
    r"gate [0-9]{1,9} of [0-9]{1,9} on this eval set(, asked before and free)?(; it is worn out: build a new one)?"
)
_LINES = 5  # of what the last command said
_MEANING = {
    Exit.BUG: "a bug in the gate",
    Exit.REGRESSION: "a regression",
    Exit.CANNOT_JUDGE: "it could not be judged",
    Exit.INTEGRITY: "a hash differs from what was agreed",
    Exit.UNAVAILABLE: "a store or service failed",
    Exit.REFUSED: "it was refused",
    Exit.USAGE: "a wrong call",
}


@dataclass(frozen=True)
class ParsedReceipt:
    """What `promote` printed when it ended well: the receipt of a promotion."""

    ending: str
    semver: Semver
    canonical_sha: str


@dataclass(frozen=True)
class Report:
    """All that a gate knows when it ends; ``exit_code`` is that of the step that ended it, ``said`` its last lines.

    ``wear`` is the sentence on how often the eval set was asked, where the policy counts.
    """

    verdict: Verdict | None
    receipt: ParsedReceipt | None = None
    exit_code: int = 0
    said: str = ""
    wear: str | None = None


@dataclass(frozen=True)
class Context:
    """Where the gate ran and on what; everything optional is left out of the text when it is not known."""

    head_sha: str | None = None
    run_id: str | None = None
    semver: str | None = None
    run_url: str | None = None


def marker(kind: str = KIND) -> str:
    """The hidden first line by which a comment of this kind is found again.

    Raises:
        CannotJudge: the kind is not a plain lower-case word.
    """
    if not _KIND.fullmatch(kind):
        raise CannotJudge(f"{kind[:40]!r} is not a kind of comment: use lower-case letters and hyphens")
    return f"{OUR_MARK}{kind} -->"


def parse_receipt(text: str) -> ParsedReceipt | None:
    """The receipt in what `promote` printed, by its last line; `None` when nothing was promoted."""
    lines = text.strip().splitlines()
    match = _RECEIPT.fullmatch(lines[-1].strip()) if lines else None
    return None if match is None else ParsedReceipt(match[1], parse_semver(match[2]), match[3])


def parse_wear(text: str) -> str | None:
    """How often the eval set was asked, by the first line of what `gate` or `promote` printed; `None`: not counted."""
    first = text.partition("\n")[0].strip()
    return first if _WEAR.fullmatch(first) else None


def check_report(report: Report) -> None:
    """Hold a report's parts against each other.

    Raises:
        IntegrityFailure: the receipt is not of the candidate that the verdict lets through.
        CannotJudge: it says nothing, or its verdict is none of ours.
    """
    verdict, receipt = report.verdict, report.receipt
    if verdict is None and receipt is not None:
        raise IntegrityFailure("there is a receipt of a promotion and no verdict that lets the candidate through")
    if verdict is None and report.exit_code == 0:
        raise CannotJudge("there is no verdict and no --exit-code that says why; run the comparison first")
    if verdict is None:
        return
    if verdict.aggregate is not None and verdict.aggregate.bucket != ALL_ROWS:
        raise CannotJudge("the verdict's aggregate has a name of its own; it was not written by lynxgate compare")
    if receipt is None:
        return
    if not verdict.passed or verdict.status != "active":
        raise IntegrityFailure(f"there is a receipt for {receipt.semver}, and the verdict does not let it through")
    if verdict.candidate.canonical_sha != receipt.canonical_sha:
        raise IntegrityFailure(
            f"the receipt is for {receipt.canonical_sha}, and the verdict for {verdict.candidate.canonical_sha}"
        )


def conclude(report: Report) -> Conclusion:
    """The conclusion of the check run: success only for what passed an active gate and went no further wrong."""
    verdict = report.verdict
    if verdict is None or report.exit_code != 0 or verdict.exit is not Exit.OK:
        return Conclusion.FAILURE
    return Conclusion.SUCCESS if verdict.passed and verdict.status == "active" else Conclusion.NEUTRAL


def format_headline(report: Report) -> str:
    """How the gate ended, in a few words without anybody else's names."""
    verdict, receipt = report.verdict, report.receipt
    meaning = _meaning(report.exit_code)
    if receipt is not None:
        return f"{receipt.ending} {receipt.semver}" + (f", and then: {meaning}" if report.exit_code else "")
    if verdict is None:
        return f"not promoted: {meaning}, before there was a verdict"
    if verdict.exit is not Exit.OK:
        return f"not promoted: {_meaning(verdict.exit)}"
    passed = "passed" if verdict.passed else "would fail"
    if verdict.status != "active":
        return f"{passed}, and the baseline is report-only: nothing is promoted"
    return f"passed, and not promoted: {meaning}" if report.exit_code else "passed; nothing is promoted yet"


def render_comment(report: Report, context: Context, kind: str = KIND) -> str:
    """The comment's whole body.

    Raises:
        IntegrityFailure, CannotJudge: as `check_report`.
    """
    check_report(report)
    head = [marker(kind), f"### Lynxgate: {format_headline(report)}", _facts(report, context)]
    table = [] if report.verdict is None else render_markdown(report.verdict).split("\n")
    return fit(_blocks(*head), table, _end(report, context))


def render_refusal(declined: Declined, context: Context, kind: str = KIND) -> str:
    """The comment that says why there is nothing to gate, and what to do."""
    reason = f"{declined.reason[:1].upper()}{declined.reason[1:]}."
    return _blocks(marker(kind), "### Lynxgate: no request to act on", reason, declined.advice, _footer(context))


def build_check(report: Report, context: Context, *, name: str, head_sha: str, baseline: tuple[str, str]) -> Check:
    """The check run; ``baseline`` is path and text of the committed one, to whose lines buckets are pinned.

    Raises:
        IntegrityFailure, CannotJudge: as `check_report`.
    """
    check_report(report)
    verdict = report.verdict
    table = [] if verdict is None else render_markdown(verdict).split("\n")
    path, text = baseline
    lines = text.splitlines()
    return Check(
        name=name,
        head_sha=head_sha,
        conclusion=conclude(report),
        title=format_headline(report)[:MAX_TITLE],
        summary=fit(_facts(report, context), table, _end(report, context)),
        annotations=() if verdict is None else tuple(_annotate(verdict, path, lines, report)),
        details_url=context.run_url,
    )


def _annotate(verdict: Verdict, path: str, lines: list[str], report: Report) -> Iterator[Annotation]:
    """What keeps the candidate out, then what warns, each at its place in the baseline."""
    level = Level.FAILURE if conclude(report) is Conclusion.FAILURE else Level.WARNING
    for row in verdict.blocking:
        message = f"{describe_move(row)}: {visible(row.reason)[:1000]}"
        yield _pin(path, lines, level, name=row.bucket, what=row.outcome, message=message)
    for metric in verdict.blocking_metrics:
        message = visible(metric.reason)[:1000]
        yield _pin(path, lines, level, name=metric.metric, what=metric.outcome, message=message)
    for metric in verdict.warnings:
        message = visible(metric.warning or "")[:1000]
        yield _pin(path, lines, Level.WARNING, name=metric.metric, what="warning", message=message)


def _pin(path: str, lines: list[str], level: Level, *, name: str, what: str, message: str) -> Annotation:
    """At the last line with an entry of that name: the policy, which has names too, stands above the figures."""
    key = f"{json.dumps(name, ensure_ascii=False)}:"
    line = max((number for number, text in enumerate(lines, 1) if text.strip().startswith(key)), default=1)
    return Annotation(path, line, level, f"{visible(name)} {what}"[:MAX_TITLE], message)


def _facts(report: Report, context: Context) -> str:
    verdict, receipt = report.verdict, report.receipt
    run_id = context.run_id or (verdict.candidate.mlflow_run_id if verdict else None)
    sha = receipt.canonical_sha if receipt else (verdict.candidate.canonical_sha if verdict else None)
    semver = str(receipt.semver) if receipt else context.semver
    facts = {"run": run_id, "version": semver, "canonical SHA": sha, "head": context.head_sha}
    lines = [f"- {name}: {as_code(value)}" for name, value in facts.items() if value]
    return "\n".join([*lines, *([f"- {report.wear}"] if report.wear else [])])


def _end(report: Report, context: Context) -> str:
    """What comes after the table: it is the answer, and these lines are for whoever doubts it."""
    return _blocks(_said(report), _footer(context))


def _said(report: Report) -> str:
    if report.exit_code == 0 or not report.said.strip():
        return ""
    lines = [line for line in report.said.splitlines() if line.strip()][-_LINES:]
    return _blocks("The last lines it said:", "\n".join(f"- {as_code(line.strip()[:400])}" for line in lines))


def _footer(context: Context) -> str:
    return f"[The run]({context.run_url})" if context.run_url else ""


def _meaning(code: int) -> str:
    known = _MEANING.get(Exit(code)) if code in list(Exit) else None
    return f"{known} (exit {int(code)})" if known else f"a step ended with exit {int(code)}"


def fit(head: str, table: list[str], tail: str, whole: str = "verdict.json") -> str:
    """One body of at most `MAX_BYTES`, with as many lines of the table as there is room for; ``whole`` has them all."""
    body = _blocks(head, "\n".join(table), tail)
    if len(body.encode()) <= MAX_BYTES:
        return body
    kept, room = 0, MAX_BYTES - len(_blocks(head, _left_out(len(table), whole), tail).encode()) - len("\n\n")
    while kept < len(table) and (room := room - len(table[kept].encode()) - 1) >= 0:
        kept += 1
    return _blocks(head, "\n".join(table[:kept]), _left_out(len(table) - kept, whole), tail)


def _left_out(lines: int, whole: str) -> str:
    return f"{lines} more lines are left out here, since GitHub takes 65,536 characters; {whole} has them all."


def _blocks(*blocks: str) -> str:
    return "\n\n".join(block for block in blocks if block)
