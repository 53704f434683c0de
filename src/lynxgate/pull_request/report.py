"""The result of a gate as a pull request shows it: its parts, their consistency, headline, facts and log. Pure.

- The comment and the check run are made from one `Report`, so they cannot contradict each other.
- A report claims no more than its evidence: "promoted" needs a receipt that fits the verdict, and both must be about
  the run and the version that were requested.
- Parts that contradict each other are reported as that, so that no older result stays in the pull request.
- Names from outside (buckets, runs, errors) stand in code, where GitHub mentions, links and closes nothing.
- A body has at most 65,536 bytes, so at most as many characters however GitHub counts; it states what is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.same_run import check_same_run
from lynxgate.decision.verdict import Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.escape import as_code
from lynxgate.pull_request.forge import Conclusion
from lynxgate.pull_request.receipt import ParsedReceipt
from lynxgate.reports.own_error_text import describe_own_error
from lynxgate.reports.verdict_table import render_markdown
from minieval.contract.exits import Exit

MAX_BYTES = 65_536
MISMATCH = f"the parts of this result do not belong together (exit {int(Exit.INTEGRITY)})"
_ADVICE = (
    "So it is neither a pass nor a promotion. `lynxgate registry list` shows what was promoted. Find the job "
    "that wrote the wrong part, then set the label again."
)
_LOG_LINES = 5
_MEANING = {
    Exit.BUG: "a bug in the gate",
    Exit.REGRESSION: "a regression",
    Exit.CANNOT_JUDGE: "it could not be judged",
    Exit.INTEGRITY: "a hash differs from the expected one",
    Exit.UNAVAILABLE: "a store or service failed",
    Exit.REFUSED: "it was refused",
    Exit.USAGE: "a command was called with wrong arguments",
}


@dataclass(frozen=True)
class Report:
    """The parts of a gate's result.

    ``exit_code`` and ``log`` are of the step that ended the gate. ``usage`` is the sentence on how often the eval set
    was used, if the policy counts that. ``awaiting`` is true before reviewers approve the promotion.
    """

    verdict: Verdict | None
    receipt: ParsedReceipt | None = None
    exit_code: int = 0
    log: str = ""
    usage: str | None = None
    awaiting: bool = False

    @property
    def is_promotable(self) -> bool:
        """Return whether the candidate passed an active baseline, no step failed, and nothing is promoted yet."""
        passed = self.verdict is not None and self.verdict.passed and self.verdict.status == "active"
        return passed and self.receipt is None and self.exit_code == 0


@dataclass(frozen=True)
class Context:
    """What was gated, and the run that did it; what is `None` is left out of the text."""

    head_sha: str | None = None
    run_id: str | None = None
    semver: str | None = None
    run_url: str | None = None
    model: str | None = None


def check_report(report: Report, context: Context) -> None:
    """Check that the parts of a report agree with each other and with what was requested.

    A verdict whose evaluation names no run is not compared with the requested one.

    Raises:
        IntegrityFailure: the receipt is not for a candidate that the verdict passes, or is for another version than
            the requested one, or the verdict is for another run.
        CannotJudge: the report has no content, or its verdict was not written by `compare`.
    """
    verdict, receipt = report.verdict, report.receipt
    if verdict is None and receipt is not None:
        raise IntegrityFailure("there is a receipt of a promotion, but no verdict that passes the candidate")
    if verdict is None and report.exit_code == 0:
        raise CannotJudge("there is neither a verdict nor an --exit-code that explains why; run the comparison first")
    if verdict is None:
        return
    # The aggregate's name is printed without the care that bucket names get, so it must be ours.
    if verdict.aggregate is not None and verdict.aggregate.bucket != ALL_ROWS:
        raise CannotJudge("the verdict's aggregate has a name of its own; it was not written by lynxgate compare")
    check_same_run("the verdict", verdict.candidate.mlflow_run_id, context.run_id)
    if receipt is None:
        return
    if context.semver is not None and str(receipt.semver) != context.semver:
        raise IntegrityFailure(f"the receipt is for {receipt.semver}, but the request is for {context.semver}")
    if not verdict.passed or verdict.status != "active":
        raise IntegrityFailure(f"there is a receipt for {receipt.semver}, but the verdict does not pass the candidate")
    if verdict.candidate.canonical_sha != receipt.canonical_sha:
        raise IntegrityFailure(
            f"the receipt is for {receipt.canonical_sha}, but the verdict is for {verdict.candidate.canonical_sha}"
        )


def render_mismatch(error: IntegrityFailure, context: Context) -> str:
    """Return the text for a report that `check_report` refused: the reason, and that nothing in it counts."""
    # No version and no SHA as a fact of the list: it is unknown which of the parts is right.
    requested = {
        "requested run": context.run_id,
        "requested model": context.model,
        "requested version": context.semver,
        "head": context.head_sha,
    }
    facts = "\n".join(f"- {name}: {as_code(value)}" for name, value in requested.items() if value)
    return join_blocks(as_code(str(error)), _ADVICE, facts, render_run_link(context))


def conclude(report: Report) -> Conclusion:
    """Return the conclusion: success only if an active gate passed, no later step failed, and it is in production."""
    verdict = report.verdict
    if verdict is None or report.exit_code != 0 or verdict.exit is not Exit.OK:
        return Conclusion.FAILURE
    if report.receipt is not None and report.receipt.followed_by is not None:
        # Promoted before, and rolled back or followed since: a success would announce what is not in production.
        return Conclusion.NEUTRAL
    # Report-only promotes nothing, so it is neither a success nor a failure.
    return Conclusion.SUCCESS if verdict.passed and verdict.status == "active" else Conclusion.NEUTRAL


def format_headline(report: Report) -> str:
    """Return the result in a few words; it has no name from outside."""
    verdict, receipt = report.verdict, report.receipt
    meaning = format_meaning(report.exit_code)
    if receipt is not None:
        now = "" if receipt.followed_by is None else f", and in production is {receipt.followed_by}"
        return f"{receipt.ending} {receipt.semver}{now}" + (f", then failed: {meaning}" if report.exit_code else "")
    if verdict is None:
        return f"not promoted: {meaning}, before there was a verdict"
    if verdict.exit is not Exit.OK:
        return f"not promoted: {format_meaning(verdict.exit)}"
    passed = "passed" if verdict.passed else "would fail"
    if verdict.status != "active":
        return f"{passed}, and the baseline is report-only: nothing is promoted"
    if report.exit_code:
        return f"passed, but not promoted: {meaning}"
    return "passed, awaiting approval" if report.awaiting else "passed; nothing is promoted yet"


def format_meaning(code: int) -> str:
    """Return the meaning of an exit code, with its number."""
    # A step may also end by a signal (143) or with a code of the shell.
    known = _MEANING.get(Exit(code)) if code in list(Exit) else None
    return f"{known} (exit {int(code)})" if known else f"a step ended with exit {int(code)}"


def render_facts(report: Report, context: Context) -> str:
    """Return the list of what was gated, the use of the eval set, and the error of the decision itself."""
    verdict, receipt = report.verdict, report.receipt
    run_id = context.run_id or (verdict.candidate.mlflow_run_id if verdict else None)
    # The receipt's values come first: they are what was promoted.
    sha = verdict.candidate.canonical_sha if verdict else None
    semver = context.semver
    if receipt is not None:
        sha, semver = receipt.canonical_sha, str(receipt.semver)
    facts = {"run": run_id, "model": context.model, "version": semver, "canonical SHA": sha, "head": context.head_sha}
    lines = [f"- {name}: {as_code(value)}" for name, value in facts.items() if value]
    own_error = () if verdict is None else describe_own_error(verdict, as_code)
    return "\n".join([*lines, *([f"- {report.usage}"] if report.usage else []), *(f"- {each}" for each in own_error)])


def render_pending(report: Report) -> str:
    """Return what an approval leads to; empty when none is awaited."""
    if not (report.awaiting and report.is_promotable):
        return ""
    return (
        "If a reviewer of the environment approves, exactly this run, version and canonical SHA are promoted. The "
        "promoting job downloads the candidate again, compares its hash, and repeats the comparison."
    )


def render_rows(report: Report) -> list[str]:
    """Return the lines of the verdict's table; none without a verdict.

    Before a promotion it has every row, for those who approve it; otherwise only the rows that block or warn.
    """
    if report.verdict is None:
        return []
    return render_markdown(report.verdict, every=report.is_promotable).split("\n")


def render_end(report: Report, context: Context) -> str:
    """Return what stands below the table: the end of the log after a failure, and the link to the run."""
    return join_blocks(_render_log(report), render_run_link(context))


def render_run_link(context: Context) -> str:
    """Return the link to the workflow run; empty when it is not known."""
    return f"[Workflow run]({context.run_url})" if context.run_url else ""


def fit(head: str, table: list[str], tail: str, whole: str = "verdict.json") -> str:
    """Return one body of at most `MAX_BYTES`, with as many lines of ``table`` as fit; ``whole`` names the full text."""
    body = join_blocks(head, "\n".join(table), tail)
    if len(body.encode()) <= MAX_BYTES:
        return body
    # Room for table lines: all bytes, minus the other blocks, minus the blank line that separates the table.
    # The note is measured with the largest count it can have, so that the body fits however many lines are kept.
    fixed = join_blocks(head, _format_left_out(len(table), whole), tail)
    room = MAX_BYTES - len(fixed.encode()) - len("\n\n")
    kept = 0
    for line in table:
        room -= len(line.encode()) + len("\n")
        if room < 0:
            break
        kept += 1
    return join_blocks(head, "\n".join(table[:kept]), _format_left_out(len(table) - kept, whole), tail)


def join_blocks(*blocks: str) -> str:
    """Join the blocks that are not empty by blank lines."""
    return "\n\n".join(block for block in blocks if block)


def _render_log(report: Report) -> str:
    if report.exit_code == 0 or not report.log.strip():
        return ""
    lines = [line for line in report.log.splitlines() if line.strip()][-_LOG_LINES:]
    return join_blocks("Log:", "\n".join(f"- {as_code(line.strip()[:400])}" for line in lines))


def _format_left_out(lines: int, whole: str) -> str:
    return f"{lines} more lines are left out, because GitHub accepts at most 65,536 characters; see {whole}."
