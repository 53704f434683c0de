"""A baseline under which no candidate could pass is not activated, and the arithmetic is in the message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.errors import CannotJudge
from lynxgate.rebaseline.activate import activate
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.score_bytes import pack_counts
from tests.samples import baseline, judge, write


def rows(outcomes: list[bool]) -> dict[str, Any]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def report_only(figures: Any, **policy: Any) -> bytes:
    return write(baseline({"x": figures}, aggregate=figures, status="report-only", policy=policy))


@pytest.mark.parametrize(
    ("figures", "policy", "reason"),
    [
        (
            rows([True] * 20),
            {"rule": "noninferior", "tolerance_pp": 2},
            "x is inconclusive: .*neither proved within",
        ),
        (rows([True] * 20), {"rule": "guard", "tolerance_pp": 2}, r"all rows is inconclusive: "),
        (
            {"n": 500, "correct": 490},
            {"rule": "point", "max_negative_flip_rate": 0.1},
            "x is unmeasured: .*no outcomes",
        ),
        ({"accuracy": 0.9}, {"rule": "noninferior"}, "x is unmeasured"),
    ],
)
def test_a_policy_that_nothing_could_pass_is_refused(figures: Any, policy: Any, reason: str) -> None:
    with pytest.raises(CannotJudge, match=rf"no candidate could pass: with every answer right, {reason}.*more rows or"):
        activate(report_only(figures, **policy))


def test_one_that_only_a_better_model_could_pass_is_activated() -> None:
    """20 rows prove nothing about equal models at 10 pp, but a model that gains 10 of them is proved."""
    half = rows([True, False] * 10)
    assert json.loads(activate(report_only(half, rule="noninferior", tolerance_pp=10)))["status"] == "active"
    with pytest.raises(CannotJudge, match="no candidate could pass"):
        activate(report_only(rows([True] * 20), rule="noninferior", tolerance_pp=10))


def test_an_active_baseline_stays_active() -> None:
    data = report_only(rows([True] * 20), rule="noninferior").replace(b"report-only", b"active")
    assert activate(data) == data


@given(st.integers(1, 80), st.integers(0, 80), st.sampled_from(["point", "guard", "noninferior"]), st.integers(1, 40))
@pytest.mark.slow
def test_a_passing_candidate_is_never_ruled_out(n: int, right: int, rule: str, tolerance: int) -> None:
    """If the best candidate passes the gate, the baseline can be activated, and only then."""
    before = [i < min(right, n) for i in range(n)]
    data = report_only(rows(before), rule=rule, tolerance_pp=tolerance)
    tree = json.loads(data) | {"status": "active"}
    best = {"schema": "minieval.evaluation/2", "eval_set": {"dvc_md5": tree["eval_set_dvc_hash"]}}
    best |= {"aggregate": rows([True] * n), "buckets": {"x": rows([True] * n)}}
    try:
        activate(data, accept_zero=("x",) if not any(before) else ())
    except CannotJudge as error:
        if "could be refused" not in str(error):
            assert not judge(best, tree, None).passed
    else:
        assert judge(best, tree, None).passed


def test_trials_are_counted() -> None:
    figures = {"n": 2, "trials": 3, "correct": 4, "counts": pack_counts([3, 1])}
    with pytest.raises(CannotJudge, match="no candidate could pass"):
        activate(report_only(figures, rule="noninferior"))
    assert activate(report_only(figures, rule="point"))


def test_a_tolerance_of_all_of_the_figure_is_no_margin() -> None:
    figures = rows([True] * 100)
    with pytest.raises(CannotJudge, match=r"buckets\.x\.tolerance_pct is 100, and no outcome could be worse"):
        activate(report_only(figures, rule="guard", tolerance_pp=10, buckets={"x": {"tolerance_pct": 100}}))
    with pytest.raises(CannotJudge, match="no candidate could be refused"):
        activate(report_only(figures, rule="point", buckets={"x": {"tolerance_pct": 99.5}}))


@pytest.mark.parametrize("entry", [{"warn_pp": 50}, {"warn_pp": 1, "tolerance_pct": 1}])
def test_a_warning_that_could_never_come_is_refused(entry: dict[str, Any]) -> None:
    figures = rows([True] * 50 + [False] * 50)
    with pytest.raises(CannotJudge, match=r"'x' has warn_pp .* regress beyond .* pp, so it would never warn"):
        activate(report_only(figures, rule="point", buckets={"x": entry}))
    activate(report_only(figures, rule="point", buckets={"x": {**entry, "warn_pp": 0.4}}))


def test_an_eval_set_that_allows_no_comparison_is_refused() -> None:
    few, many = rows([True] * 40), rows([True] * 2000)
    with pytest.raises(CannotJudge, match=r"shelf_life is refuse, and at the overall tolerance of 2 pp the 40 rows"):
        activate(report_only(few, rule="point", shelf_life="refuse"))
    activate(report_only(few, rule="point", shelf_life="warn"))
    activate(report_only(many, rule="point", shelf_life="refuse"))
    with pytest.raises(CannotJudge, match="allow no comparison"):
        activate(report_only({"n": 2000, "correct": 1000}, rule="point", shelf_life="refuse"))
