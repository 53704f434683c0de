"""Metrics in the decision, through the command: what blocks, what warns, what cannot be compared."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.cli.app import run
from lynxgate.decision.effective_policy import digest_policy
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Policy
from lynxgate.decision.verdict import parse_verdict
from lynxgate.errors import CannotJudge
from minieval.contract.exits import Exit
from tests.decision.guard_documents import AGREED, ELSEWHERE, HERE, LIMITS, MEASURED, guarding, latency, measuring
from tests.samples import AFTER, FIXTURES, baseline, evaluation, judge, judge_again, parse_agreed, write

FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}
amounts = st.decimals(min_value=Decimal("0.001"), max_value=Decimal(10_000), places=3)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compare(desk: Path, measured: Any, agreed: Any, *options: str) -> int:
    (desk / "candidate_eval.json").write_bytes(write(measured))
    (desk / "eval_baseline.json").write_bytes(write(agreed))
    return run(["compare", "--output", "verdict.json", *options])


@pytest.mark.parametrize(
    ("measured", "code", "said"),
    [
        (measuring(), Exit.OK, "3 of 3 metrics held"),
        (measuring(latency_ms_p95=latency("1.0")), Exit.OK, "3 of 3 metrics held; 1 warning"),
        (measuring(latency_ms_p95=latency("0.90")), Exit.OK, "1 warning"),
        (measuring(latency_ms_p95=latency("0.1")), Exit.OK, "3 of 3 metrics held"),
        (measuring(latency_ms_p95=latency("1.01")), Exit.REGRESSION, "worse by a ratio of 1.26, and max_ratio is 1.25"),
        (measuring(latency_ms_p95=latency("1.01", direction="higher")), Exit.REGRESSION, "latency_ms_p95 regressed"),
        (measuring(latency_ms_p95=latency("1.01", direction="info")), Exit.REGRESSION, "latency_ms_p95 regressed"),
        (measuring(latency_ms_p95={"value": 1}), Exit.CANNOT_JUDGE, "the evaluation names no unit"),
        (measuring(ELSEWHERE), Exit.CANNOT_JUDGE, "the environment is another one"),
        (measuring(None), Exit.CANNOT_JUDGE, "the environment is unknown on one side"),
        (measuring(bundle_bytes=None), Exit.REGRESSION, "bundle_bytes missing"),
        (measuring(latncy={"value": 1}), Exit.REGRESSION, "latncy new"),
        (measuring(throughput={"value": 1, "unit": "1/s"}), Exit.CANNOT_JUDGE, "and the evaluation has none"),
        (measuring(buckets=FALLEN), Exit.REGRESSION, "tense.past_participle regressed"),
    ],
)
def test_the_gate_guards_metrics(
    desk: Path, capfd: pytest.CaptureFixture[str], measured: Any, code: Exit, said: str
) -> None:
    assert compare(desk, measured, guarding()) == code
    out, err = capfd.readouterr()
    assert said in out + err
    data = (desk / "verdict.json").read_bytes()
    assert parse_verdict(data).passed == (code is Exit.OK)
    assert parse_verdict(data).to_json() == data
    assert run(["replay", "verdict.json"]) == Exit.OK
    assert run(["explain", "verdict.json"]) == Exit.OK
    assert run(["validate", "verdict.json", "eval_baseline.json", "candidate_eval.json"]) == Exit.OK


def test_a_warning_is_shown_with_its_figures_and_fails_nothing(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    measured = measuring(latency_ms_p95=latency("0.9"))
    for options in ((), ("--format", "table"), ("--format", "markdown")):
        assert compare(desk, measured, guarding(), *options) == Exit.OK
        out, err = capfd.readouterr()
        assert "0.8 -> 0.9 ms: worse by a ratio of 1.12, and warn_max_ratio is 1.1" in out
        assert "held (warning)" in out and err == ""


def test_a_report_only_baseline_reports_what_its_metrics_would_do(
    desk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert compare(desk, measuring(latency_ms_p95=latency("9")), guarding(status="report-only")) == Exit.OK
    out = capfd.readouterr().out
    assert out.startswith("would fail: latency_ms_p95 regressed: 0.8 -> 9 ms: above max 5.0")


def test_a_metric_fails_what_every_bucket_lets_pass_and_the_other_way_round() -> None:
    agreed = guarding()
    slow = judge(measuring(latency_ms_p95=latency("2")), agreed)
    assert (slow.blocking, [row.metric for row in slow.blocking_metrics]) == ((), ["latency_ms_p95"])
    better = judge(measuring(latency_ms_p95=latency("0.1"), buckets=FALLEN), agreed)
    assert [row.bucket for row in better.blocking] == ["tense.past_participle"]
    assert better.exit is Exit.REGRESSION and not better.blocking_metrics


def test_advisory_metrics_are_counted_and_never_fail() -> None:
    limits = {**LIMITS, "latency_*": {"tier": "advisory", "max_ratio": 1.25}}
    verdict = judge(measuring(latency_ms_p95=latency("2")), guarding(limits=limits))
    assert verdict.passed and "2 of 3 metrics held, 1 advisory did not" in verdict.summary


def test_where_only_a_metric_can_fail_something_can() -> None:
    idle = {"buckets": {"*": {"tier": "advisory"}}}
    tree = guarding()
    tree["policy"] |= idle
    assert judge(measuring(), tree).passed
    with pytest.raises(CannotJudge, match="no candidate could be refused"):
        judge(measuring(), baseline(policy=idle))
    tree["policy"]["metrics"] = {"default": {"tier": "advisory"}}
    with pytest.raises(CannotJudge, match="no candidate could be refused"):
        judge(measuring(), tree)
    assert judge_again(measuring(), tree).reasons == ("every bucket is advisory, so nothing could fail",)


def test_metrics_that_the_baseline_does_not_have_change_nothing() -> None:
    plain, with_metrics = judge(evaluation(), baseline()), judge(measuring(), baseline())
    assert with_metrics.metrics == () and b'"metrics"' not in plain.to_json()
    assert with_metrics.rows == plain.rows and with_metrics.summary == plain.summary


def test_a_policy_without_metrics_keeps_its_hash() -> None:
    """It names the entries that count an eval set's gates."""
    policy = {"rule": "guard", "tolerance_pp": Decimal("3.0"), "buckets": {"hard": {"tier": "critical"}}}
    known = "e42fa4ce4a247d9b9ef789bbe44cf572bc5c8778c00db5a810102b58be5c6bbd"
    assert digest_policy(Policy.model_validate(policy)) == known
    assert digest_policy(Policy.model_validate({**policy, "metrics": {}})) == known
    guarded = {**policy, "metrics": {"latency": {"max_pct": Decimal(5)}}}
    assert digest_policy(Policy.model_validate(guarded)) != known


def test_a_misspelt_entry_or_one_that_blocks_an_improvement_cannot_be_judged_by() -> None:
    for limits, said in (
        ({**LIMITS, "latncy": {"max_pct": 1}}, "'latncy' matches no metric"),
        ({**LIMITS, "bundle_bytes": {"min": 5}}, "would block an improvement"),
    ):
        with pytest.raises(CannotJudge, match=said):
            judge(measuring(), guarding(limits=limits))


def test_the_stored_verdict_is_given_again_byte_for_byte() -> None:
    named = {name: str(FIXTURES / f"{name}-1-metrics.json") for name in ("verdict", "evaluation", "baseline")}
    paths = ["--candidate", named["evaluation"], "--baseline", named["baseline"]]
    assert run(["replay", named["verdict"], *paths]) == Exit.OK


def test_a_forged_metric_row_is_found_out(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert compare(desk, measuring(latency_ms_p95=latency("2")), guarding()) == Exit.REGRESSION
    verdict = desk / "verdict.json"
    verdict.write_bytes(verdict.read_bytes().replace(b'"regressed"', b'"held"'))
    assert run(["replay", "verdict.json"]) == Exit.INTEGRITY
    assert "the metric 'latency_ms_p95' differs in outcome" in capfd.readouterr().err


def test_metric_rows_stand_in_order_each_once(desk: Path) -> None:
    compare(desk, measuring(), guarding())
    tree = json.loads((desk / "verdict.json").read_bytes())
    for metrics in (tree["metrics"][::-1], [*tree["metrics"], tree["metrics"][-1]]):
        with pytest.raises(CannotJudge, match="code-point order"):
            parse_verdict(json.dumps({**tree, "metrics": metrics}).encode())


@given(
    st.dictionaries(st.sampled_from("abcdef"), amounts, min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), amounts),
    st.sampled_from(["lower", "higher"]),
)
@pytest.mark.slow
def test_every_metric_of_either_side_has_a_row(
    before: dict[str, Decimal], now: dict[str, Decimal], direction: str
) -> None:
    agreed = {name: {"value": value, "direction": direction, "machine": False} for name, value in before.items()}
    tree = guarding(limits={"default": {"max_pct": 5}}, agreed=agreed)
    measured = evaluation(metrics={name: {"value": value} for name, value in now.items()})
    verdict = judge(measured, tree)
    assert [row.metric for row in verdict.metrics] == sorted(before.keys() | now.keys())
    sides = dict.fromkeys(before.keys() - now.keys(), Outcome.MISSING)
    sides |= dict.fromkeys(now.keys() - before.keys(), Outcome.NEW)
    assert {row.metric: row.outcome for row in verdict.metrics if row.metric in sides} == sides
    assert verdict.passed == all(row.outcome is Outcome.HELD for row in verdict.metrics)


@given(amounts, amounts, st.sampled_from(["lower", "higher"]), st.integers(0, 100))
@pytest.mark.slow
def test_an_improvement_never_fails_the_gate_and_the_limit_itself_passes(
    one: Decimal, other: Decimal, direction: str, percent: int
) -> None:
    better, worse = sorted((one, other), reverse=direction == "higher")
    agreed = {"m": {"value": worse, "direction": direction, "machine": False}}
    limits = {"m": {"max_pct": percent, "max_abs": 1, "max_ratio": 1}}
    verdict = judge(evaluation(metrics={"m": {"value": better}}), guarding(limits=limits, agreed=agreed))
    assert verdict.passed and not verdict.warnings
    sign = 1 if direction == "lower" else -1
    limit = worse + sign * worse * percent / 100
    exact = guarding(limits={"m": {"max_pct": percent}}, agreed=agreed)
    assert judge(evaluation(metrics={"m": {"value": limit}}), exact).passed
    beyond = limit + sign * Decimal("1e-9")
    assert judge(evaluation(metrics={"m": {"value": beyond}}), exact).exit is Exit.REGRESSION


def test_a_placeholder_is_unmeasured_while_report_only() -> None:
    agreed = {**AGREED, "latency_ms_p95": {**AGREED["latency_ms_p95"], "value": "TODO"}}
    verdict = judge(measuring(), guarding(agreed=agreed, status="report-only"))
    assert [row.outcome for row in verdict.metrics] == ["held", "unmeasured", "held"]
    with pytest.raises(CannotJudge, match="placeholder"):
        parse_agreed(guarding(agreed=agreed))


def test_show_names_the_metrics_and_the_machine(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (desk / "eval_baseline.json").write_bytes(write(guarding()))
    assert run(["baseline", "show"]) == Exit.OK
    out = capfd.readouterr().out
    assert f"machine    {HERE}" in out
    assert "latency_ms_p95  0.8 ms        lower   this one  standard  max_ratio 1.25, max 5, warn_max_ratio 1.1" in out
    assert MEASURED.keys() <= set(out.split())


def test_the_effective_policy_has_the_terms_of_each_metric(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    agreed = {**AGREED, "cost": {"value": 1, "direction": "lower", "machine": False}}
    (desk / "eval_baseline.json").write_bytes(write(guarding(agreed=agreed)))
    assert run(["policy", "show"]) == Exit.OK
    shown = json.loads(capfd.readouterr().out)
    assert shown["metrics"]["latency_ms_p95"] == {
        "tier": "standard", "max_ratio": "1.25", "max": "5", "warn_max_ratio": "1.1", "across_machines": False,
    }  # fmt: skip
    assert shown["metrics"]["cost"] is None
    assert shown["sha256"] == digest_policy(parse_agreed(guarding()).policy)
    (desk / "eval_baseline.json").write_bytes(write(baseline()))
    assert run(["policy", "show"]) == Exit.OK
    assert "metrics" not in json.loads(capfd.readouterr().out)
