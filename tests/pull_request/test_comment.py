"""The comment: whole texts, hostile names, and the limit of its length."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lynxgate.decision.verdict import Verdict
from lynxgate.errors import CannotJudge
from lynxgate.pull_request.check_run import build_check
from lynxgate.pull_request.comment import marker, render_comment, render_refusal
from lynxgate.pull_request.report import Report
from lynxgate.pull_request.request import Declined, parse_requests
from minieval.contract.documents import is_note
from tests.decision.guard_documents import LIMITS, guarding, latency, measuring
from tests.pull_request.reports import (
    FELL,
    HEAD,
    HOSTILE,
    MISSED,
    PASSED,
    RECEIPT,
    WHERE,
    check_harmless,
    hostile_verdict,
    outside_code,
)
from tests.samples import RUN, judge

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    assert text + "\n" == path.read_text(), f"differs from {path}; review the difference, then update the file"


class TestGolden:
    """The whole texts: a change of wording is a change of these files."""

    def test_a_metric_and_a_warning(self) -> None:
        slow = measuring(latency_ms_p95=latency("1.2"), bundle_bytes={"value": 125000, "unit": "bytes"})
        warned = {**LIMITS, "bundle_bytes": {"max_pct": 10, "warn_max_pct": 2}}
        verdict = judge(slow, guarding(limits=warned))
        golden("metrics.md", render_comment(Report(verdict, exit_code=2), WHERE))

    def test_promoted(self) -> None:
        golden("promoted.md", render_comment(Report(PASSED, RECEIPT), WHERE))

    def test_counted(self) -> None:
        usage = "12 of 44 allowed comparisons on this eval set used"
        golden("counted.md", render_comment(Report(PASSED, RECEIPT, usage=usage), WHERE))

    def test_regressed(self) -> None:
        golden("regressed.md", render_comment(Report(FELL, exit_code=2), WHERE))

    def test_hostile_names(self) -> None:
        golden("hostile.md", render_comment(Report(hostile_verdict(), exit_code=2), WHERE))

    def test_stopped(self) -> None:
        log = "[2/6] eval set\nlynxgate: data/eval.jsonl: md5 is @not | what `was` agreed\n"
        golden("stopped.md", render_comment(Report(None, exit_code=4, log=log), WHERE))

    def test_refusal(self) -> None:
        golden("refusal.md", render_refusal(Declined("there is no request", "Ask with `x`."), WHERE))


class TestHarmless:
    @given(st.lists(st.text(min_size=1, max_size=40).filter(str.isprintable), min_size=1))
    @pytest.mark.slow
    def test_any_name_stays_in_its_cell(self, names: list[str]) -> None:
        unique = tuple(dict.fromkeys(name for name in names if not is_note(name))) or ("x",)
        check_harmless(render_comment(Report(hostile_verdict(unique), exit_code=2), WHERE), rows=len(unique))

    def test_hostile_names(self) -> None:
        check_harmless(render_comment(Report(hostile_verdict(), exit_code=2), WHERE), rows=len(HOSTILE))

    def test_a_markdown_parser_finds_only_names(self) -> None:
        body = render_comment(Report(hostile_verdict(), exit_code=2, log="\n".join(HOSTILE)), WHERE)
        tokens = MarkdownIt("commonmark").enable("table").parse(body)
        inline = [child for token in tokens for child in token.children or ()]
        assert [each.content for each in tokens if each.type == "html_block"] == [f"{marker()}\n"]
        assert {each.content for each in inline if each.type == "html_inline"} == {"<code>", "</code>"}
        assert [each.attrGet("href") for each in inline if each.type == "link_open"] == [WHERE.run_url]
        assert not [each for each in inline if each.type in ("image", "strong_open", "em_open")]
        assert sum(each.type == "td_open" for each in tokens) == 7 * len(HOSTILE)

    @given(st.text())
    def test_the_log_is_text(self, log: str) -> None:
        body = render_comment(Report(None, exit_code=5, log=log), WHERE)
        check_harmless(body, rows=0)

    def test_a_verdict_from_a_file_is_text(self) -> None:
        row = MISSED.rows[0].model_copy(update={"reason": "@everyone <b> | [x](http://evil.example)"})
        forged = MISSED.model_copy(update={"rows": (row, *MISSED.rows[1:])})
        body = render_comment(Report(forged, exit_code=2), WHERE)
        assert "@everyone" not in outside_code(body)
        assert "evil" not in outside_code(body)

    def test_a_verdict_whose_aggregate_has_a_name_was_not_written_by_compare(self) -> None:
        named = PASSED.rows[0].model_copy(update={"bucket": "@everyone"})
        with pytest.raises(CannotJudge, match="aggregate"):
            render_comment(Report(PASSED.model_copy(update={"aggregate": named})), WHERE)

    def test_no_comment_of_ours_is_a_request(self) -> None:
        request = f"mlflow_run_id={RUN} semver=v0.3.1"
        for log in (request, f"\n{request}\n", f"x\r{request}\r"):
            assert parse_requests(render_comment(Report(None, exit_code=5, log=log), WHERE)) == ()

    def test_kinds_are_plain_words(self) -> None:
        assert marker("gate") == "<!-- lynxgate:gate -->"
        with pytest.raises(CannotJudge):
            marker("x --> @everyone")


class TestTrimming:
    def _many(self, count: int) -> Verdict:
        return hostile_verdict(tuple(f"bucket.{n:05}.<{'é' * 60}>" for n in range(count)))

    @pytest.mark.slow
    def test_a_long_table_is_cut_between_rows_and_counts_the_rest(self) -> None:
        body = render_comment(Report(self._many(900), exit_code=2), WHERE)
        assert 63_000 < len(body.encode()) <= 65_536
        kept = body.count("regressed |")
        assert f"{900 - kept} more lines are left out, because GitHub accepts at most 65,536 characters" in body
        assert body.endswith(f"[Workflow run]({WHERE.run_url})")
        assert all(line.endswith("|") for line in body.splitlines() if line.startswith("|"))

    @pytest.mark.parametrize("size", [0, 1, 200, 70_000])
    @pytest.mark.slow
    def test_the_log_is_bounded(self, size: int) -> None:
        body = render_comment(Report(self._many(900), exit_code=2, log="\n".join(["|" * size] * 9)), WHERE)
        assert len(body.encode()) <= 65_536

    def test_a_short_table_is_complete(self) -> None:
        assert "left out" not in render_comment(Report(self._many(3), exit_code=2), WHERE)

    @pytest.mark.slow
    def test_the_summary_of_the_check_run_has_the_same_limit(self) -> None:
        check = build_check(
            Report(self._many(900), exit_code=2), WHERE, name="lynxgate", head_sha=HEAD, baseline=("b", "")
        )
        assert len(check.summary.encode()) <= 65_536
        assert len(check.annotations) == 900
