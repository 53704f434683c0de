"""A report: its headline, its conclusion, and parts that contradict each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.pull_request.check_run import build_check
from lynxgate.pull_request.comment import render_comment
from lynxgate.pull_request.forge import Conclusion
from lynxgate.pull_request.receipt import ParsedReceipt
from lynxgate.pull_request.report import Context, Report, conclude
from minieval.contract.report import Candidate
from tests.pull_request.reports import (
    FELL,
    HEAD,
    MISSED,
    PASSED,
    RECEIPT,
    REPORT_ONLY,
    WHERE,
)
from tests.samples import MODEL, RUN

OTHER_RUN = "f" * 32


class TestHeadline:
    @pytest.mark.parametrize(
        ("report", "headline", "conclusion"),
        [
            (Report(PASSED, RECEIPT), "promoted v0.3.1\n", Conclusion.SUCCESS),
            (
                Report(PASSED, ParsedReceipt("already promoted", RECEIPT.semver, MODEL)),
                "already promoted v0.3.1\n",
                "success",
            ),
            (
                Report(PASSED, ParsedReceipt("already promoted", RECEIPT.semver, MODEL, "v0.3.0")),
                "already promoted v0.3.1, and in production is v0.3.0\n",
                "neutral",
            ),
            (Report(PASSED, exit_code=6), "passed, but not promoted: it was refused (exit 6)", "failure"),
            (Report(PASSED), "passed; nothing is promoted yet\n", Conclusion.SUCCESS),
            (Report(PASSED, awaiting=True), "passed, awaiting approval\n", Conclusion.SUCCESS),
            (Report(PASSED, RECEIPT, awaiting=True), "promoted v0.3.1\n", Conclusion.SUCCESS),
            (Report(FELL, awaiting=True), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(REPORT_ONLY, awaiting=True), "would fail, and the baseline is report-only", Conclusion.NEUTRAL),
            (Report(PASSED, exit_code=6, awaiting=True), "passed, but not promoted: it was refused", "failure"),
            (Report(PASSED, exit_code=5), "passed, but not promoted: a store or service failed (exit 5)", "failure"),
            (Report(PASSED, RECEIPT, 5), "promoted v0.3.1, then failed: a store or service failed (exit 5)", "failure"),
            (Report(FELL), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(FELL, exit_code=2), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(MISSED, exit_code=2), "not promoted: a regression (exit 2)", Conclusion.FAILURE),
            (Report(REPORT_ONLY), "would fail, and the baseline is report-only", Conclusion.NEUTRAL),
            (Report(None, exit_code=4), "a hash differs from the expected one (exit 4), before there was", "failure"),
            (Report(None, exit_code=143), "a step ended with exit 143", Conclusion.FAILURE),
        ],
    )
    def test_the_headline_and_the_check_run_agree(self, report: Report, headline: str, conclusion: Conclusion) -> None:
        assert headline in render_comment(report, WHERE)
        assert conclude(report) == conclusion
        check = build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))
        assert check.conclusion == conclusion
        assert check.title in render_comment(report, WHERE)

    @pytest.mark.parametrize(
        "report",
        [
            Report(FELL, RECEIPT),
            Report(REPORT_ONLY, RECEIPT),
            Report(None, RECEIPT),
            Report(PASSED, ParsedReceipt("promoted", RECEIPT.semver, "f" * 64)),
        ],
    )
    def test_a_receipt_that_does_not_fit_the_verdict_is_refused(self, report: Report) -> None:
        with pytest.raises(IntegrityFailure):
            render_comment(report, WHERE)
        with pytest.raises(IntegrityFailure):
            build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))

    @pytest.mark.parametrize(
        ("report", "context", "reason"),
        [
            (
                Report(PASSED, RECEIPT),
                replace(WHERE, run_id=OTHER_RUN),
                f"the run {RUN}, but the request is for the run",
            ),
            (Report(PASSED), replace(WHERE, run_id=OTHER_RUN), "the verdict is for the run"),
            (Report(FELL, exit_code=2), replace(WHERE, run_id=OTHER_RUN), "the verdict is for the run"),
            (Report(PASSED, RECEIPT), replace(WHERE, semver="v0.4.0"), "the receipt is for v0.3.1, but the request is"),
            (Report(PASSED, RECEIPT, 5), replace(WHERE, semver="v0.4.0"), "but the request is for v0.4.0"),
        ],
    )
    def test_a_report_on_another_run_or_version_is_refused(self, report: Report, context: Context, reason: str) -> None:
        with pytest.raises(IntegrityFailure, match=reason):
            render_comment(report, context)
        with pytest.raises(IntegrityFailure, match=reason):
            build_check(report, context, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))

    def test_what_was_not_requested_by_name_is_not_compared(self) -> None:
        assert "promoted v0.3.1" in render_comment(Report(PASSED, RECEIPT), Context())
        nameless = PASSED.model_copy(update={"candidate": Candidate(canonical_sha=MODEL)})
        assert "promoted v0.3.1" in render_comment(Report(nameless, RECEIPT), replace(WHERE, run_id=OTHER_RUN))

    def test_a_report_without_content_is_an_error(self) -> None:
        with pytest.raises(CannotJudge, match="neither a verdict"):
            render_comment(Report(None), WHERE)


class TestUsage:
    """The use of the eval set is shown with every result, and only in the gate's own words."""

    @pytest.mark.parametrize(
        "report", [Report(PASSED, RECEIPT), Report(FELL, exit_code=2), Report(PASSED, exit_code=5)]
    )
    def test_comment_and_check_run_show_it(self, report: Report) -> None:
        report = replace(report, usage="gate 12 of 44 on this eval set")
        check = build_check(report, WHERE, name="lynxgate", head_sha=HEAD, baseline=("b.json", ""))
        for text in (render_comment(report, WHERE), check.summary):
            assert "\n- gate 12 of 44 on this eval set\n" in text

    def test_it_is_left_out_when_nothing_is_counted(self) -> None:
        assert "eval set" not in render_comment(Report(PASSED, RECEIPT), WHERE)
