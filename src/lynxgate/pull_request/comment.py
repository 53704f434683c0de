"""The gate's comment in a pull request: its marker, its text, and the text of a refusal. Pure.

- The first line is a hidden marker, by which the comment is found again.
- No comment of ours is a request (see `lynxgate.pull_request.request`).
"""

from __future__ import annotations

import re

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.pull_request.report import (
    MISMATCH,
    Context,
    Report,
    check_report,
    fit,
    format_headline,
    join_blocks,
    render_end,
    render_facts,
    render_mismatch,
    render_pending,
    render_rows,
    render_run_link,
)
from lynxgate.pull_request.request import OUR_MARK, Declined

KIND = "gate"
_KIND = re.compile(r"[a-z][a-z0-9-]{0,62}")


def marker(kind: str = KIND) -> str:
    """Return the hidden first line by which a comment of this kind is found again.

    Raises:
        CannotJudge: the kind is not a plain lower-case word, such as gate or gate-wine.
    """
    if not _KIND.fullmatch(kind):
        raise CannotJudge(f"{kind[:40]!r} is not a kind of comment: use lower-case letters, digits and hyphens")
    return f"{OUR_MARK}{kind} -->"


def render_comment(report: Report, context: Context, kind: str = KIND) -> str:
    """Return the whole body of the comment, at most 65,536 bytes.

    Raises:
        IntegrityFailure, CannotJudge: as `check_report`.
    """
    check_report(report, context)
    headline = f"### Lynxgate: {format_headline(report)}"
    head = join_blocks(marker(kind), headline, render_facts(report, context), render_pending(report))
    return fit(head, render_rows(report), render_end(report, context))


def render_mismatch_comment(error: IntegrityFailure, context: Context, kind: str = KIND) -> str:
    """Return the comment that replaces one whose parts contradict each other."""
    return join_blocks(marker(kind), f"### Lynxgate: {MISMATCH}", render_mismatch(error, context))


def render_refusal(declined: Declined, context: Context, kind: str = KIND) -> str:
    """Return the comment that explains why no request counts, and what to do."""
    reason = f"{declined.reason[:1].upper()}{declined.reason[1:]}."
    return join_blocks(
        marker(kind), "### Lynxgate: no request to act on", reason, declined.advice, render_run_link(context)
    )
