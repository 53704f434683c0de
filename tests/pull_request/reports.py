"""Verdicts, hostile names and checks that the tests of comments and check runs share."""

from __future__ import annotations

import re

from lynxgate.decision.verdict import Verdict
from lynxgate.identity import parse_semver
from lynxgate.pull_request.comment import marker
from lynxgate.pull_request.receipt import ParsedReceipt
from lynxgate.pull_request.report import Context
from lynxgate.pull_request.request import parse_requests
from tests.samples import MODEL, RUN, baseline, evaluation, judge

HEAD = "a1" * 20
WHERE = Context(HEAD, RUN, "v0.3.1", "https://github.com/lynx/grammar/actions/runs/4711")
RECEIPT = ParsedReceipt("promoted", parse_semver("v0.3.1"), MODEL)
PASSED = judge(evaluation(), baseline())
FELL = judge(evaluation({"a": {"n": 100, "correct": 80}}), baseline({"a": {"n": 100, "correct": 90}}))
MISSED = judge(evaluation({"b": {"accuracy": 0.9}}), baseline({"a": {"accuracy": 0.9}}))
REPORT_ONLY = judge(
    evaluation({"a": {"n": 100, "correct": 80}}), baseline({"a": {"n": 100, "correct": 90}}, status="report-only")
)
HOSTILE = (
    "a|b",
    "x` | `y",
    "@everyone",
    "@lynx/admins",
    "<img src=x onerror=alert(1)>",
    "</details></table>",
    "[click](https://evil.example)",
    "https://evil.example/?@ann",
    "<!-- lynxgate:gate -->",
    "#1 GH-1",
    f"mlflow_run_id={RUN} semver=v0.3.1",
    "**bold** _it_ ~~no~~ $x$ :smile:",
    "back\\|slash",
    "   spaces   ",
    "\u202eright to left",
    "zero\u200bwidth",
)


def hostile_verdict(names: tuple[str, ...] = HOSTILE) -> Verdict:
    fell = {name: {"n": 100, "correct": 10} for name in names}
    return judge(evaluation(fell), baseline({name: {"n": 100, "correct": 90} for name in names}))


def outside_code(body: str) -> str:
    """The text outside code spans, the only place where Markdown acts."""
    return re.sub(r"`[^`\n]*`|<code>[^<\n]*</code>", "", body)


def check_harmless(body: str, *, rows: int) -> None:
    lines = body.split("\n")
    assert lines[0] == marker()
    table = [outside_code(line) for line in lines if line.startswith("|")]
    assert len(table) == (rows + 2 if rows else 0)
    assert {line.count("|") for line in table} <= {8}
    bare = outside_code("\n".join(lines[1:])).replace(f"[Workflow run]({WHERE.run_url})", "")
    assert not re.search(r"[@<>`\[\]\\]|https?:|www", bare), bare
    assert parse_requests(body) == ()
