"""A baseline under which no candidate could be refused decides nothing: exit 3 at `activate` and at `compare`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.effective_policy import digest_policy
from lynxgate.errors import CannotJudge
from lynxgate.rebaseline.activate import activate
from minieval.contract.documents import parse_document
from minieval.contract.outcome_bits import pack_outcomes
from tests.samples import baseline, evaluation, judge, judge_again, parse_agreed, write

FEW = {"n": 500, "correct": 470}
ADVISORY = {"buckets": {"*": {"tier": "advisory"}}}


def metric(direction: str, value: float = 10) -> dict[str, Any]:
    return {"metrics": {"m": {"value": value, "direction": direction, "machine": False}}}


def limits(**limits: Any) -> dict[str, Any]:
    return {**ADVISORY, "metrics": {"*": limits}}


Case = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]  # figures of the bucket, policy, further keys
TOOTHLESS: Mapping[str, Case] = {
    "every bucket advisory": (FEW, ADVISORY, {}),
    "an info metric reached by a glob": (FEW, limits(max_pct=5), metric("info")),
    "an advisory metric": (FEW, limits(tier="advisory", max=3), metric("lower")),
    "a throughput that may fall to nothing": (FEW, limits(max_pct=100), metric("higher")),
    "a distance as large as the value": (FEW, limits(max_abs=10), metric("higher")),
    "a minimum of 0": (FEW, limits(min=0), metric("higher")),
    "a tolerance of 100": (FEW, {"tolerance_pp": 100}, {}),
    "a tolerance above the accuracy": ({"n": 500, "correct": 10}, {"tolerance_pp": 2}, {}),
    "a tolerance of 99.99 at 100 %": ({"n": 500, "correct": 500}, {"tolerance_pp": 99.99}, {}),
    "guard at 99.99": (FEW, {"rule": "guard", "tolerance_pp": 99.99, **ADVISORY}, {"aggregate": FEW}),
    "all rows at 99.99": (FEW, {**ADVISORY, "overall_tolerance_pp": 99.99}, {"aggregate": FEW}),
    "noninferior at 99.99": (FEW, {"rule": "noninferior", "tolerance_pp": 99.99}, {}),
    "a baseline of zeros": ({"accuracy": 0}, {}, {}),
    "counts of zero": ({"n": 9, "correct": 0}, {"tolerance_pp": 0}, {}),
    "a minimum of zero": ({"accuracy": 0}, {"buckets": {"x": {"min": 0}}}, {}),
    "a cap that no share exceeds": (FEW, {"tolerance_pp": 100, "max_negative_flip_rate": 1}, {}),
}


@pytest.mark.parametrize("name", TOOTHLESS)
def test_a_baseline_that_could_refuse_no_candidate_is_refused(name: str) -> None:
    figures, policy, more = TOOTHLESS[name]
    agreed = baseline({"x": figures}, policy=policy, **more)
    metrics = {key: {"value": each["value"]} for key, each in more.get("metrics", {}).items()}
    measured = evaluation({"x": figures}, aggregate=more.get("aggregate"), metrics=metrics)
    for status in ("active", "report-only"):
        with pytest.raises(CannotJudge, match="no candidate could be refused"):
            activate(write(agreed | {"status": status}))
    with pytest.raises(CannotJudge, match="no candidate could be refused"):
        judge(measured, agreed)
    # It still parses, and a decision of before is repeated; a report-only baseline fails nothing anyway.
    assert parse_document(write(agreed), Baseline, where="b").buckets
    assert judge_again(measured, agreed)
    judge(measured, agreed | {"status": "report-only"})


OUTCOMES = {"n": 4, "correct": 3, "outcomes": pack_outcomes([True, True, True, False])}
GUARDED: Mapping[str, Case] = {
    "a tolerance below the accuracy": ({"n": 500, "correct": 11}, {"tolerance_pp": 2}, {}),
    "a tolerance of 0": ({"n": 500, "correct": 1}, {"tolerance_pp": 0}, {}),
    "a minimum": ({"accuracy": 0.95}, {"tolerance_pp": 100, "buckets": {"x": {"min": 0.9}}}, {}),
    "a cap": (OUTCOMES, {"tolerance_pp": 100, "max_negative_flip_rate": 0.5}, {}),
    "all rows": (FEW, {**ADVISORY, "overall_tolerance_pp": 3}, {"aggregate": FEW}),
    "a throughput": (FEW, limits(max_pct=99), metric("higher")),
    "a ratio": (FEW, limits(max_ratio=100), metric("higher")),
    "a reward below 0": (FEW, limits(max_abs=10), metric("higher", -3)),
    "a latency": (FEW, limits(max_pct=500), metric("lower")),
    "a figure for information with a maximum": (FEW, limits(max=20), metric("info")),
}


@pytest.mark.parametrize("name", GUARDED)
def test_one_gate_is_enough(name: str) -> None:
    figures, policy, more = GUARDED[name]
    agreed = baseline({"x": figures}, policy=policy, **more)
    measured = {key: {"value": each["value"]} for key, each in more.get("metrics", {}).items()}
    assert judge(evaluation({"x": figures}, aggregate=more.get("aggregate"), metrics=measured), agreed).passed
    assert activate(write(agreed)) == write(agreed)


def test_a_given_tolerance_may_make_a_gate_of_a_bucket() -> None:
    agreed, measured = baseline({"x": FEW}, policy={"tolerance_pp": 100}), evaluation({"x": FEW})
    assert judge(measured, agreed, "5").passed


@pytest.mark.parametrize("limit", [{"min": 0.9}, {"max_negative_flip_rate": 0}])
def test_an_advisory_bucket_with_a_limit_is_refused(limit: dict[str, Any]) -> None:
    """It would look enforced, and an accuracy of 0 would pass."""
    figures = {"x": OUTCOMES, "y": FEW}
    agreed = baseline(figures, policy={"buckets": {"x": {"tier": "advisory", **limit}}})
    (key,) = limit
    for call in (lambda: activate(write(agreed)), lambda: judge(evaluation(figures), agreed)):
        with pytest.raises(CannotJudge, match=f"'x' is advisory and sets {key}"):
            call()
    assert judge_again(evaluation(figures), agreed).passed


@pytest.mark.parametrize(("statistic", "refused"), [("p95", True), ("mean", True), ("median", False), (None, False)])
def test_a_proof_of_a_statistic_that_is_not_tested_is_refused(statistic: str | None, refused: bool) -> None:
    """The rank test finds p 1.0 for a tail ten times worse beside a better body."""
    before, now = [10.0] * 19 + [20.0], [9.0] * 19 + [200.0]
    terms = {"max_pct": 5, "confidence": 0.95} | ({} if statistic is None else {"statistic": statistic})
    agreed = baseline({"x": FEW}, policy={"metrics": {"m": terms}})
    agreed["metrics"] = {"m": {"value": 10, "direction": "lower", "machine": False, "samples": before}}
    measured = evaluation({"x": FEW}, metrics={"m": {"value": 9, "samples": now}})
    assert judge_again(measured, agreed).metrics
    if not refused:
        assert judge(measured, agreed).metrics
        return
    for decide in (lambda: judge(measured, agreed), lambda: activate(write(agreed | {"status": "report-only"}))):
        with pytest.raises(CannotJudge, match=f"confidence with statistic {statistic}"):
            decide()


@pytest.mark.parametrize("confidence", ["0.9999999999999999", "0.9999999999999999999999"])
def test_a_confidence_at_which_no_test_decides_is_refused(confidence: str) -> None:
    """The second is the number 1 as a float, and was a traceback."""
    side = {"n": 4, "correct": 4, "outcomes": pack_outcomes([True] * 4)}
    agreed = baseline({"x": side}, aggregate=side, policy={"rule": "guard", "confidence": Decimal(confidence)})
    with pytest.raises(CannotJudge, match=r"no test decides above 0\.999999"):
        judge(evaluation({"x": side}, aggregate=side), agreed)
    with pytest.raises(CannotJudge, match="no test decides above"):
        activate(write(agreed | {"status": "report-only"}))


def test_a_hard_limit_on_the_drop_is_a_gate() -> None:
    agreed = baseline({"x": FEW}, policy={"tolerance_pp": 100, "buckets": {"x": {"max_drop_pp": 5}}})
    assert activate(write(agreed | {"status": "report-only"}))
    idle = baseline({"x": FEW}, policy={"buckets": {"x": {"max_drop_pp": 5, "tier": "advisory"}}})
    with pytest.raises(CannotJudge, match="sets max_drop_pp, which an advisory bucket never enforces"):
        judge(evaluation({"x": FEW}), idle)


def test_equal_policies_have_one_hash() -> None:
    hashes = {
        digest_policy(parse_agreed(baseline({"x": FEW}, policy={"tolerance_pp": Decimal(points)})).policy)
        for points in ("2", "2.0", "2.00")
    }
    assert len(hashes) == 1
