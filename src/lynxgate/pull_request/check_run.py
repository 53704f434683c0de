"""The gate's check run on a commit: conclusion, summary, and annotations at lines of the baseline. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lynxgate.decision.verdict import Verdict, describe_move
from lynxgate.errors import IntegrityFailure
from lynxgate.escape import visible
from lynxgate.pull_request.forge import Annotation, Check, Conclusion, Level
from lynxgate.pull_request.report import (
    MISMATCH,
    Context,
    Report,
    check_report,
    conclude,
    fit,
    format_headline,
    render_end,
    render_facts,
    render_mismatch,
    render_rows,
)

MAX_TITLE = 255
_MAX_MESSAGE = 1000  # characters of a reason


def build_check(report: Report, context: Context, *, name: str, head_sha: str, baseline: tuple[str, str]) -> Check:
    """Return the check run; ``baseline`` is the path and text of the committed file, which annotations point at.

    Raises:
        IntegrityFailure, CannotJudge: as `check_report`.
    """
    check_report(report, context)
    path, text = baseline
    lines = text.splitlines()
    return Check(
        name=name,
        head_sha=head_sha,
        conclusion=conclude(report),
        title=format_headline(report)[:MAX_TITLE],
        summary=fit(render_facts(report, context), render_rows(report), render_end(report, context)),
        annotations=() if report.verdict is None else tuple(_annotate(report.verdict, path, lines, report)),
        details_url=context.run_url,
    )


def build_mismatch_check(error: IntegrityFailure, context: Context, *, name: str, head_sha: str) -> Check:
    """Return the failed check run in place of one whose parts contradict each other."""
    return Check(
        name=name,
        head_sha=head_sha,
        conclusion=Conclusion.FAILURE,
        title=MISMATCH,
        summary=render_mismatch(error, context),
        details_url=context.run_url,
    )


def _annotate(verdict: Verdict, path: str, lines: list[str], report: Report) -> Iterator[Annotation]:
    """Yield what blocks the candidate, then the warnings, each at its entry in the baseline."""
    level = Level.FAILURE if conclude(report) is Conclusion.FAILURE else Level.WARNING
    for row in verdict.blocking:
        message = f"{describe_move(row)}: {visible(row.reason)[:_MAX_MESSAGE]}"
        yield _pin(path, lines, level, name=row.bucket, what=row.outcome, message=message)
    for metric in verdict.blocking_metrics:
        message = visible(metric.reason)[:_MAX_MESSAGE]
        yield _pin(path, lines, level, name=metric.metric, what=metric.outcome, message=message)
    for row in verdict.warned_rows:
        yield _pin(path, lines, Level.WARNING, name=row.bucket, what="warning", message=row.warning or "")
    for condition in verdict.doubtful_conditions:
        message = visible(condition.warning or "")[:_MAX_MESSAGE]
        yield _pin(path, lines, Level.WARNING, name=condition.name, what="warning", message=message)
    for metric in verdict.warnings:
        message = visible(metric.warning or "")[:_MAX_MESSAGE]
        yield _pin(path, lines, Level.WARNING, name=metric.metric, what="warning", message=message)


def _pin(path: str, lines: list[str], level: Level, *, name: str, what: str, message: str) -> Annotation:
    """Return the annotation at the entry of ``name``; at line 1 when the file has none."""
    key = f"{json.dumps(name, ensure_ascii=False)}:"
    # The last such line: the policy, which may have an entry of the same name, stands above the figures.
    line = max((number for number, text in enumerate(lines, 1) if text.strip().startswith(key)), default=1)
    return Annotation(path, line, level, f"{visible(name)} {what}"[:MAX_TITLE], message)
