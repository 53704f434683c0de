"""The check run: its annotations point at lines of the baseline."""

from __future__ import annotations

import json
import re
from typing import Any

from lynxgate.decision.verdict import Verdict
from lynxgate.pull_request.check_run import build_check
from lynxgate.pull_request.comment import render_comment
from lynxgate.pull_request.forge import Conclusion, Level
from lynxgate.pull_request.report import Report, conclude
from tests.decision.guard_documents import guarding, latency, measuring
from tests.pull_request.reports import (
    FELL,
    HEAD,
    HOSTILE,
    MISSED,
    REPORT_ONLY,
    WHERE,
    outside_code,
)
from tests.samples import baseline, evaluation, judge


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
        bare = outside_code("\n".join(body.split("\n")[1:])).replace(f"[Workflow run]({WHERE.run_url})", "")
        assert not re.search(r"[@<>`\[\]\\]|https?:|www", bare), bare
        assert body.count("regressed |") == len(HOSTILE)
        assert all(each.title.isprintable() for each in self._annotations(verdict, ""))

    def test_a_pass_with_a_warning_shows_it(self) -> None:
        body = render_comment(Report(judge(measuring(latency_ms_p95=latency("0.9")), guarding())), WHERE)
        assert "3 of 3 metrics held; 1 warning" in body
        assert "- `latency_ms_p95` warning: `0.8 -> 0.9 ms:" in body

    def _annotations(self, verdict: Verdict, text: str) -> tuple[Any, ...]:
        at = ("eval_baseline.json", text)
        return build_check(Report(verdict), WHERE, name="lynxgate", head_sha=HEAD, baseline=at).annotations
