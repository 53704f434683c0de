from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lynxgate.decision.verdict import Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.identity import parse_semver
from lynxgate.promotion.eval_set_usage import EvalSetUsage
from lynxgate.pull_request.comment import (
    Context,
    ParsedReceipt,
    Report,
    build_check,
    conclude,
    marker,
    parse_receipt,
    parse_wear,
    render_comment,
    render_refusal,
)
from lynxgate.pull_request.forge import Conclusion, Level
from lynxgate.pull_request.request import Declined, parse_requests
from minieval.contract.documents import is_note
from tests.decision.guarded import LIMITS, guarding, latency, measuring
from tests.samples import MODEL, RUN, baseline, evaluation, judge

GOLDEN = Path(__file__).parent / "golden"
HEAD = "a1" * 20
WHERE = Context(HEAD, RUN, "v0.3.1", "https://github.com/lynx/grammar/actions/runs/4711")
TOLD = ParsedReceipt("promoted", parse_semver("v0.3.1"), MODEL)
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


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    assert text + "\n" == path.read_text(), f"differs from {path}; look at it, then write it anew"


class TestGolden:
    """The texts as a reader gets them: a change of words is a change of these files."""

    def test_a_metric_and_a_warning(self) -> None:
        slow = measuring(latency_ms_p95=latency("1.2"), bundle_bytes={"value": 125000, "unit": "bytes"})
        warned = {**LIMITS, "bundle_bytes": {"max_pct": 10, "warn_max_pct": 2}}
        verdict = judge(slow, guarding(limits=warned))
        golden("metrics.md", render_comment(Report(verdict, exit_code=2), WHERE))

    def test_promoted(self) -> None:
        golden("promoted.md", render_comment(Report(PASSED, TOLD), WHERE))

    def test_counted(self) -> None:
        wear = "gate 12 of 44 on this eval set"
        golden("counted.md", render_comment(Report(PASSED, TOLD, wear=wear), WHERE))

    def test_regressed(self) -> None:
        golden("regressed.md", render_comment(Report(FELL, exit_code=2), WHERE))

    def test_hostile_names(self) -> None:
        golden("hostile.md", render_comment(Report(hostile_verdict(), exit_code=2), WHERE))

    def test_stopped(self) -> None:
        said = "[2/6] eval set\nlynxgate: data/eval.jsonl: md5 is @not | what `was` agreed\n"
        golden("stopped.md", render_comment(Report(None, exit_code=4, said=said), WHERE))

    def test_refusal(self) -> None:
        golden("refusal.md", render_refusal(Declined("there is no request", "Ask with `x`."), WHERE))


class TestWear:
    """How often the eval set was asked is told wherever the gate's end is, and only in the gate's own words."""

    @pytest.mark.parametrize("report", [Report(PASSED, TOLD), Report(FELL, exit_code=2), Report(PASSED, exit_code=5)])
    def test_comment_and_check_say_it(self, report: Report) -> None:
        report = replace(report, wear="gate 12 of 44 on this eval set")
        check = build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))
        for text in (render_comment(report, WHERE), check.summary):
            assert "\n- gate 12 of 44 on this eval set\n" in text

    def test_it_is_left_out_where_nothing_is_counted(self) -> None:
        assert "eval set" not in render_comment(Report(PASSED, TOLD), WHERE)

    @pytest.mark.parametrize(("used", "free"), [(12, False), (12, True), (45, False), (45, True)])
    def test_what_the_ledger_says_is_understood(self, used: int, free: bool) -> None:
        sentence = EvalSetUsage(used, 44, free=free).sentence
        assert parse_wear(f"{sentence}\n\npromoted v0.3.1 {MODEL}\n") == sentence
        assert parse_receipt(f"{sentence}\n\npromoted v0.3.1 {MODEL}\n") == TOLD

    @pytest.mark.parametrize(
        "text",
        [
            "",
            f"promoted v0.3.1 {MODEL}",
            "| bucket |\ngate 1 of 44 on this eval set",
            "gate 1 of 44 on this eval set, says @everyone",
            "gate many of 44 on this eval set",
        ],
    )
    def test_nothing_else_is(self, text: str) -> None:
        assert parse_wear(text) is None


class TestTruth:
    @pytest.mark.parametrize(
        ("report", "says", "conclusion"),
        [
            (Report(PASSED, TOLD), "promoted v0.3.1\n", Conclusion.SUCCESS),
            (
                Report(PASSED, ParsedReceipt("already promoted", TOLD.semver, MODEL)),
                "already promoted v0.3.1\n",
                "success",
            ),
            (Report(PASSED), "passed; nothing is promoted yet\n", Conclusion.SUCCESS),
            (Report(PASSED, exit_code=5), "passed, and not promoted: a store or service failed (exit 5)", "failure"),
            (Report(PASSED, TOLD, 5), "promoted v0.3.1, and then: a store or service failed (exit 5)", "failure"),
            (Report(FELL), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(FELL, exit_code=2), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(MISSED, exit_code=2), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(REPORT_ONLY), "would fail, and the baseline is report-only", Conclusion.NEUTRAL),
            (Report(None, exit_code=4), "a hash differs from what was agreed (exit 4), before there was", "failure"),
            (Report(None, exit_code=143), "a step ended with exit 143", Conclusion.FAILURE),
        ],
    )
    def test_the_headline_and_the_check_agree(self, report: Report, says: str, conclusion: Conclusion) -> None:
        assert says in render_comment(report, WHERE)
        assert conclude(report) == conclusion
        check = build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))
        assert check.conclusion == conclusion
        assert check.title in render_comment(report, WHERE)

    @pytest.mark.parametrize(
        "report",
        [
            Report(FELL, TOLD),
            Report(REPORT_ONLY, TOLD),
            Report(None, TOLD),
            Report(PASSED, ParsedReceipt("promoted", TOLD.semver, "f" * 64)),
        ],
    )
    def test_a_receipt_that_fits_no_verdict_is_refused(self, report: Report) -> None:
        with pytest.raises(IntegrityFailure):
            render_comment(report, WHERE)
        with pytest.raises(IntegrityFailure):
            build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))

    def test_saying_nothing_is_an_error(self) -> None:
        with pytest.raises(CannotJudge, match="no verdict"):
            render_comment(Report(None), WHERE)

    @pytest.mark.parametrize(
        ("text", "receipt"),
        [
            (f"promoted v0.3.1 {MODEL}\n", TOLD),
            (f"noise\nalready promoted v0.3.1 {MODEL}", ParsedReceipt("already promoted", TOLD.semver, MODEL)),
            ("", None),
            ("| bucket |\n", None),
            (f"promoted v0.3.1 {MODEL}\n| a table after it |", None),
            (f"not promoted v0.3.1 {MODEL}", None),
        ],
    )
    def test_receipts(self, text: str, receipt: ParsedReceipt | None) -> None:
        assert parse_receipt(text) == receipt


class TestHarmless:
    @given(st.lists(st.text(min_size=1, max_size=40).filter(str.isprintable), min_size=1))
    def test_any_name_stays_in_its_cell(self, names: list[str]) -> None:
        unique = tuple(dict.fromkeys(name for name in names if not is_note(name))) or ("x",)
        _hold(render_comment(Report(hostile_verdict(unique), exit_code=2), WHERE), rows=len(unique))

    def test_hostile_names(self) -> None:
        _hold(render_comment(Report(hostile_verdict(), exit_code=2), WHERE), rows=len(HOSTILE))

    def test_a_markdown_reader_sees_names_only(self) -> None:
        body = render_comment(Report(hostile_verdict(), exit_code=2, said="\n".join(HOSTILE)), WHERE)
        tokens = MarkdownIt("commonmark").enable("table").parse(body)
        inline = [child for token in tokens for child in token.children or ()]
        assert [each.content for each in tokens if each.type == "html_block"] == [f"{marker()}\n"]
        assert {each.content for each in inline if each.type == "html_inline"} == {"<code>", "</code>"}
        assert [each.attrGet("href") for each in inline if each.type == "link_open"] == [WHERE.run_url]
        assert not [each for each in inline if each.type in ("image", "strong_open", "em_open")]
        assert sum(each.type == "td_open" for each in tokens) == 7 * len(HOSTILE)

    @given(st.text())
    def test_what_a_step_said_is_text(self, said: str) -> None:
        body = render_comment(Report(None, exit_code=5, said=said), WHERE)
        _hold(body, rows=0)

    def test_a_verdict_from_a_file_is_text(self) -> None:
        row = MISSED.rows[0].model_copy(update={"reason": "@everyone <b> | [x](http://evil.example)"})
        forged = MISSED.model_copy(update={"rows": (row, *MISSED.rows[1:])})
        body = render_comment(Report(forged, exit_code=2), WHERE)
        assert "@everyone" not in _outside_code(body)
        assert "evil" not in _outside_code(body)

    def test_a_verdict_whose_aggregate_has_a_name_is_none_of_ours(self) -> None:
        named = PASSED.rows[0].model_copy(update={"bucket": "@everyone"})
        with pytest.raises(CannotJudge, match="aggregate"):
            render_comment(Report(PASSED.model_copy(update={"aggregate": named})), WHERE)

    def test_no_comment_of_ours_is_a_request(self) -> None:
        request = f"mlflow_run_id={RUN} semver=v0.3.1"
        for said in (request, f"\n{request}\n", f"x\r{request}\r"):
            assert parse_requests(render_comment(Report(None, exit_code=5, said=said), WHERE)) == ()

    def test_kinds_are_plain_words(self) -> None:
        assert marker("gate") == "<!-- lynxgate:gate -->"
        with pytest.raises(CannotJudge):
            marker("x --> @everyone")


class TestTrimming:
    def _many(self, count: int) -> Verdict:
        return hostile_verdict(tuple(f"bucket.{n:05}.<{'é' * 60}>" for n in range(count)))

    def test_a_long_table_is_cut_between_rows_and_says_so(self) -> None:
        body = render_comment(Report(self._many(900), exit_code=2), WHERE)
        assert 63_000 < len(body.encode()) <= 65_536
        kept = body.count("regressed |")
        assert f"{900 - kept} more lines are left out here, since GitHub takes 65,536 characters" in body
        assert body.endswith(f"[The run]({WHERE.run_url})")
        assert all(line.endswith("|") for line in body.splitlines() if line.startswith("|"))

    @pytest.mark.parametrize("size", [0, 1, 200, 70_000])
    def test_what_a_step_said_is_bounded(self, size: int) -> None:
        body = render_comment(Report(self._many(900), exit_code=2, said="\n".join(["|" * size] * 9)), WHERE)
        assert len(body.encode()) <= 65_536

    def test_a_short_one_is_whole(self) -> None:
        assert "left out" not in render_comment(Report(self._many(3), exit_code=2), WHERE)

    def test_the_checks_summary_has_the_same_limit(self) -> None:
        check = build_check(
            Report(self._many(900), exit_code=2), WHERE, name="lynxgate", head_sha=HEAD, baseline=("b", "")
        )
        assert len(check.summary.encode()) <= 65_536
        assert len(check.annotations) == 900


class TestAnnotations:
    def test_a_bucket_is_pinned_to_its_line(self) -> None:
        text = '{\n "policy": {"buckets": {\n  "a": {}\n }},\n "buckets": {\n  "a": {"n": 100},\n  "b": {}\n }\n}\n'
        (found,) = self._annotations(FELL, text)
        assert (found.path, found.line, found.level) == ("eval_baseline.json", 6, Level.FAILURE)
        assert found.title == "a regressed"
        assert found.message == "a 90.00 % -> 80.00 % (-10.00 pp): -10.00 pp, and the tolerance is 2.0 pp"

    def test_a_new_bucket_is_pinned_to_the_first(self) -> None:
        assert [each.line for each in self._annotations(MISSED, '{\n "a": {}\n}')] == [2, 1]

    def test_a_report_only_baseline_warns(self) -> None:
        assert [each.level for each in self._annotations(REPORT_ONLY, "")] == [Level.WARNING]

    def test_a_metric_is_pinned_to_its_value_and_a_warning_warns(self) -> None:
        text = json.dumps(guarding(), indent=1, default=float)
        lines = text.splitlines()
        slow = judge(measuring(latency_ms_p95=latency("1.2")), guarding())
        (found,) = self._annotations(slow, text)
        assert "latency_ms_p95" in lines[found.line - 1] and '"value": 0.8' in lines[found.line]
        assert (found.level, found.title) == (Level.FAILURE, "latency_ms_p95 regressed")
        assert found.message == "0.8 -> 1.2 ms: worse by a ratio of 1.50, and max_ratio is 1.25"
        warned = judge(measuring(latency_ms_p95=latency("0.9")), guarding())
        (found,) = self._annotations(warned, text)
        assert (found.level, found.title) == (Level.WARNING, "latency_ms_p95 warning")
        assert conclude(Report(warned)) is Conclusion.SUCCESS

    def test_hostile_metrics_are_text(self) -> None:
        agreed = {name: {"value": 1, "unit": name, "direction": "lower", "machine": False} for name in HOSTILE}
        measured = {name: {"value": 2, "unit": name} for name in HOSTILE}
        limits = {"default": {"max_pct": 5}}
        verdict = judge(evaluation(metrics=measured), baseline(policy={"metrics": limits}, metrics=agreed))
        body = render_comment(Report(verdict, exit_code=2), WHERE)
        bare = _outside_code("\n".join(body.split("\n")[1:])).replace(f"[The run]({WHERE.run_url})", "")
        assert not re.search(r"[@<>`\[\]\\]|https?:|www", bare), bare
        assert body.count("regressed |") == len(HOSTILE)
        assert all(each.title.isprintable() for each in self._annotations(verdict, ""))

    def test_a_pass_with_a_warning_says_so(self) -> None:
        body = render_comment(Report(judge(measuring(latency_ms_p95=latency("0.9")), guarding())), WHERE)
        assert "3 of 3 metrics held; 1 warning" in body
        assert "- `latency_ms_p95` warning: `0.8 -> 0.9 ms:" in body

    def _annotations(self, verdict: Verdict, text: str) -> tuple[Any, ...]:
        at = ("eval_baseline.json", text)
        return build_check(Report(verdict), WHERE, name="lynxgate", head_sha=HEAD, baseline=at).annotations


def _outside_code(body: str) -> str:
    """What is left when the code spans are gone: there alone Markdown acts."""
    return re.sub(r"`[^`\n]*`|<code>[^<\n]*</code>", "", body)


def _hold(body: str, *, rows: int) -> None:
    lines = body.split("\n")
    assert lines[0] == marker()
    table = [_outside_code(line) for line in lines if line.startswith("|")]
    assert len(table) == (rows + 2 if rows else 0)
    assert {line.count("|") for line in table} <= {8}
    bare = _outside_code("\n".join(lines[1:])).replace(f"[The run]({WHERE.run_url})", "")
    assert not re.search(r"[@<>`\[\]\\]|https?:|www", bare), bare
    assert parse_requests(body) == ()
