"""Values, samples and the machine move; what was agreed about a metric stays; none is removed unnamed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, Refused, UsageFailure
from lynxgate.jsonedit import format_value
from lynxgate.pull_request.rebaseline_proposal import format_title
from lynxgate.rebaseline.activate import activate
from lynxgate.rebaseline.move import Rebaselined, rebaseline
from lynxgate.reports.rebaseline_table import render_moves
from minieval.contract.documents import parse_json
from minieval.contract.exits import Exit
from tests.decision.guard_documents import AGREED, ELSEWHERE, HERE, LIMITS, MEASURED, guarding, latency, measuring
from tests.samples import baseline, evaluation, judge, parse_evaluation, write


def move(agreed: Any, measured: Any, **options: Any) -> Rebaselined:
    return rebaseline(agreed if isinstance(agreed, bytes) else write(agreed), parse_evaluation(measured), **options)


def test_values_samples_and_machine_move_and_nothing_else_of_a_metric() -> None:
    agreed = guarding()
    agreed["metrics"]["latency_ms_p95"] = {"_comment": "agreed in March", **AGREED["latency_ms_p95"]}
    moved = move(agreed, measuring(ELSEWHERE, latency_ms_p95=latency("0.95", direction="higher")))
    after = json.loads(moved.data)
    assert after["metrics"]["latency_ms_p95"] == {
        "_comment": "agreed in March", "value": 0.95, "unit": "ms", "direction": "lower", "machine": True,
    }  # fmt: skip
    assert after["metrics"]["throughput"]["samples"] == MEASURED["throughput"]["samples"]
    assert after["metrics"]["throughput"]["direction"] == "higher"
    assert after["environment"] == {"fingerprint": ELSEWHERE}
    assert after["policy"] == json.loads(write(agreed))["policy"]
    text = render_moves(moved)
    assert "Metrics: 3 moved, 0 added, 0 removed." in text
    assert "| metric `latency_ms_p95` | `0.8 ms` | `0.95 ms` | +0.15 |" in text
    assert "| metric `throughput` | `950 1/s, 7 samples` | `949 1/s, 7 samples` | -1 |" in text
    assert f"| environment.fingerprint | `{HERE}` | `{ELSEWHERE}` |  |" in text


def test_the_layout_stays() -> None:
    data = write(guarding()).replace(b'"unit": "ms",', b'  "unit"  :  "ms" ,').replace(b"950, 949", b"950,  949")
    moved = move(data, measuring(latency_ms_p95=latency("0.95")), semver="v0.3.1")
    assert b'  "unit"  :  "ms" ,' in moved.data
    again = move(moved.data, measuring(latency_ms_p95=latency("0.95")), semver="v0.3.1")
    assert (again.data, again.moves) == (moved.data, ())


def test_the_rebaselined_candidate_passes() -> None:
    measured = measuring(ELSEWHERE, latency_ms_p95=latency("4.9"))
    moved = move(guarding(), measured)
    assert judge(measured, parse_json(moved.data, where="moved")).passed
    assert not judge(measured, guarding()).passed


def test_a_metric_is_removed_only_when_named() -> None:
    less = measuring(bundle_bytes=None)
    with pytest.raises(Refused, match=r"no metric 'bundle_bytes'; measure it, or name .* --remove-metric"):
        move(guarding(), less)
    with pytest.raises(UsageFailure):
        move(guarding(), less, remove=["bundle_bytes"])
    moved = move(guarding(), less, remove_metrics=["bundle_bytes"])
    assert sorted(json.loads(moved.data)["metrics"]) == ["latency_ms_p95", "throughput"]
    assert moved.idle_globs == ("bundle_bytes",)
    text = render_moves(moved)
    assert "| metric `bundle_bytes` | `120000 bytes` | `none` |  |" in text
    assert "policy's `bundle_bytes` matches no bucket or metric any more" in text
    with pytest.raises(UsageFailure, match="throughput"):
        move(guarding(), measuring(), remove_metrics=["throughput"])


def test_a_metric_that_the_baseline_lacks_is_reported_and_not_added() -> None:
    moved = move(guarding(), measuring(cost={"value": 3}))
    assert "cost" not in json.loads(moved.data)["metrics"]
    assert moved.unguarded == ("cost",)
    assert "The metric `cost` was measured, and the baseline does not have it" in render_moves(moved)
    tolerant = guarding(limits={**LIMITS, "default": {"tier": "advisory"}})
    assert move(tolerant, measuring(cost={"value": 3})).unguarded == ()
    assert move(baseline(), measuring()).unguarded == ()


def test_a_baseline_without_metrics_gets_no_metrics_and_no_machine() -> None:
    after = json.loads(move(baseline(), measuring()).data)
    assert "metrics" not in after and "environment" not in after


def test_the_machine_moves_with_the_values() -> None:
    agreed = guarding()
    agreed["environment"] = {"fingerprint": HERE, "cpu": "old", "_comment": "the runner"}
    after = json.loads(move(agreed, measuring(None)).data)
    assert after["environment"] == {"_comment": "the runner"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latency_ms_p95": {"value": 800, "unit": "us"}}, "'ms', and the evaluation names unit 'us'"),
        ({"latency_ms_p95": {"value": 800}}, "names no unit"),
        ({"throughput": {"value": 949, "unit": "1/s"}}, "'throughput': the policy needs samples"),
    ],
)
def test_what_would_change_the_meaning_of_a_metric_is_refused(changes: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        move(guarding(), measuring(**changes))


def test_samples_come_where_the_policy_asks_for_them_and_leave_with_the_old_ones() -> None:
    bare = {name: {k: v for k, v in entry.items() if k != "samples"} for name, entry in AGREED.items()}
    asked = move(guarding(agreed=bare), measuring())
    assert json.loads(asked.data)["metrics"]["throughput"]["samples"] == MEASURED["throughput"]["samples"]
    plain = {**LIMITS, "throughput": {"max_pct": 5}}
    assert (
        "samples"
        not in json.loads(move(guarding(limits=plain, agreed=bare), measuring()).data)["metrics"]["throughput"]
    )
    without = measuring(throughput={"value": 949, "unit": "1/s"})
    left = move(guarding(limits=plain), without)
    assert "samples" not in json.loads(left.data)["metrics"]["throughput"]


def test_a_metric_written_by_hand_is_filled_in_and_activated() -> None:
    waiting = {
        "latency_ms_p95": {"unit": "ms", "direction": "lower", "machine": True},
        "bundle_bytes": {"value": "TODO", "unit": "bytes", "direction": "lower", "machine": False},
        "throughput": {"value": None, "unit": "1/s", "direction": "higher", "machine": True},
    }
    data = write(guarding(agreed=waiting, status="report-only", environment={}))
    with pytest.raises(CannotJudge):
        activate(data)
    filled = move(data, measuring()).data
    active = activate(filled)
    assert judge(measuring(), parse_json(active, where="armed")).passed


@pytest.mark.parametrize(
    ("limits", "metric", "said"),
    [
        ({}, {}, "'m' could never be judged: policy.metrics has no entry for it"),
        ({"m": {"max_pct": 5}}, {"value": 0}, "'m' could never be judged: the baseline is 0, and max_pct"),
        ({"m": {"max_pct": 5}}, {"machine": True}, "the environment is unknown"),
        ({"m": {"max_pct": 5, "statistic": "p95"}}, {}, "the baseline has none"),
        ({"m": {"max_abs": 5, "min": 0}}, {}, "would block an improvement"),
        ({"n": {"max_pct": 5}, "default": {"max_pct": 5}}, {}, "'n' matches no metric"),
    ],
)
def test_a_metric_that_could_never_be_judged_cannot_be_activated(limits: Any, metric: Any, said: str) -> None:
    agreed = {"m": {"value": 1, "direction": "lower", "machine": False, **metric}}
    data = write(baseline(policy={"metrics": limits}, metrics=agreed, status="report-only"))
    with pytest.raises(CannotJudge, match=said):
        activate(data)
    fine = {"m": {"value": 1, "direction": "lower", "machine": False}}
    assert activate(write(baseline(policy={"metrics": {"m": {"max": 0}}}, metrics=fine, status="report-only")))


def test_through_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eval_baseline.json").write_bytes(write(guarding()))
    Path("candidate_eval.json").write_bytes(write(measuring(bundle_bytes=None)))
    before = Path("eval_baseline.json").read_bytes()
    assert run(["baseline", "rebaseline"]) == Exit.REFUSED
    assert Path("eval_baseline.json").read_bytes() == before
    assert run(["baseline", "rebaseline", "--remove-metric", "bundle_bytes"]) == Exit.OK
    assert "Metrics: 2 moved, 0 added, 1 removed." in capfd.readouterr().out


def test_a_proposal_counts_metrics() -> None:
    same = write(guarding())
    buckets = json.loads(same)["buckets"]
    moved = rebaseline(same, parse_evaluation(measuring(buckets=buckets, latency_ms_p95=latency("0.9"))))
    assert format_title(moved).endswith(", 3 metrics")


@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-999, max_value=999), min_size=1)
)
@pytest.mark.slow
def test_samples_are_written_exactly(values: list[Decimal]) -> None:
    assert [Decimal(value) for value in parse_json(format_value(values).encode(), where="x")] == values


def test_hostile_names_do_nothing_in_the_table() -> None:
    name = "@octocat](http://evil) | <b>"
    agreed = {name: {"value": 1, "direction": "lower", "machine": False, "unit": "`|`"}}
    tree = baseline(policy={"metrics": {"default": {"max_pct": 5}}}, metrics=agreed)
    measured = evaluation(metrics={name: {"value": 2, "unit": "`|`"}, f"{name}2": {"value": 1}})
    with pytest.raises(Refused, match="would refuse it"):
        move(tree, measured)
    moved = move(tree, measured, accept=[name])
    assert moved.accepted
    text = render_moves(moved)
    assert "@octocat" not in text and "evil)" not in text
    assert all(line.count("|") == 5 for line in text.splitlines() if line.startswith("|"))
