"""Trials, graded scores and tasks move with the figures; a bucket at 0 % is activated only by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lynxgate.errors import CannotJudge, IntegrityFailure, Refused, UsageFailure
from lynxgate.rebaseline.activate import activate
from lynxgate.rebaseline.create import init_baseline
from lynxgate.rebaseline.median import take_median
from lynxgate.rebaseline.move import rebaseline
from lynxgate.reports.rebaseline_table import render_moves
from minieval.contract.score_bytes import pack_counts, pack_scores
from tests.samples import baseline, evaluation, judge, parse_agreed, parse_evaluation, write

TASK = {"path": "data/eval.toml", "sha256": "d" * 64}
GRADED = {"n": 2, "points": 15000, "scores": pack_scores([10000, 5000])}
TRIALS = {"n": 2, "trials": 3, "correct": 4, "counts": pack_counts([3, 1])}


def newer(buckets: Any, **changes: Any) -> dict[str, Any]:
    return evaluation(buckets, schema="minieval.evaluation/2", **changes)


@pytest.mark.parametrize(("figures", "trials", "mean"), [(GRADED, None, 0.75), (TRIALS, 3, 0.6667)])
def test_a_first_baseline_judges_its_own_evaluation(figures: Any, trials: Any, mean: float) -> None:
    tree = newer({"x": figures}, aggregate=figures, trials=trials, task=TASK)
    data = init_baseline(parse_evaluation(tree))
    written = json.loads(data)
    assert written["task"] == TASK
    assert written["buckets"]["x"] == figures | {"mean" if trials is None else "accuracy": mean}
    assert judge(tree, json.loads(activate(data)), "0").passed
    assert rebaseline(data, parse_evaluation(tree)).data == data


def test_a_baseline_moves_from_one_scale_to_another_and_back() -> None:
    right = {"n": 2, "correct": 1, "accuracy": 0.5}
    data = write(baseline({"x": right}, status="report-only"))
    to_graded = rebaseline(data, parse_evaluation(newer({"x": GRADED}, task=TASK)))
    assert json.loads(to_graded.data)["buckets"]["x"] == GRADED | {"mean": 0.75}
    assert json.loads(to_graded.data)["task"] == TASK
    shown = render_moves(to_graded)
    assert "| task.sha256" in shown
    assert "75.00 %" in shown
    back = rebaseline(to_graded.data, parse_evaluation(newer({"x": right})))
    assert json.loads(back.data)["buckets"]["x"] == right
    assert "task" not in json.loads(back.data)


def test_a_comment_in_the_task_stays() -> None:
    task = {"_comment": "reviewed", "path": "old.toml", "sha256": "1" * 64}
    data = write(baseline({"x": {"n": 2, "points": 15000}}, task=task, status="report-only"))
    moved = rebaseline(data, parse_evaluation(newer({"x": GRADED}, task=TASK)))
    assert json.loads(moved.data)["task"] == task | TASK


def test_an_active_baseline_moves_to_a_lower_mean_only_by_name() -> None:
    data = write(baseline({"x": {"n": 2, "points": 18000}}))
    lower = parse_evaluation(newer({"x": GRADED}))
    with pytest.raises(Refused, match="--accept-regression"):
        rebaseline(data, lower)
    assert rebaseline(data, lower, accept=("x",)).accepted[0].startswith("x: -15.00 pp")


@pytest.mark.parametrize(
    ("three", "trials", "middle"),
    [
        ([{"n": 2, "points": points} for points in (100, 300, 200)], None, {"n": 2, "points": 200}),
        ([{"n": 2, "trials": 3, "correct": each} for each in (6, 1, 4)], 3, {"n": 2, "trials": 3, "correct": 4}),
    ],
)
def test_a_median_of_points_and_of_answers(three: list[Any], trials: Any, middle: Any) -> None:
    found = take_median([parse_evaluation(newer({"x": each}, trials=trials, task=TASK)) for each in three])
    assert found.buckets["x"].model_dump(exclude_none=True) == middle
    assert found.task is not None
    assert found.task.sha256 == TASK["sha256"]


def test_a_median_is_of_one_task_and_one_scale() -> None:
    graded, right = (parse_evaluation(newer({"x": each})) for each in (GRADED, {"n": 2, "correct": 1}))
    with pytest.raises(CannotJudge, match="in one way"):
        take_median([graded, right])
    with pytest.raises(IntegrityFailure, match="not the same task"):
        take_median([graded, parse_evaluation(newer({"x": GRADED}, task=TASK))])


ZERO = {"x": {"n": 3, "correct": 0}, "y": {"n": 3, "correct": 2}}


def test_a_bucket_without_a_right_answer_is_activated_only_by_name() -> None:
    data = write(baseline(ZERO, status="report-only"))
    with pytest.raises(Refused, match=r"no answer is right in bucket x.*--accept-zero"):
        activate(data)
    with pytest.raises(UsageFailure, match="--accept-zero 'y': no bucket"):
        activate(data, accept_zero=("x", "y"))
    active = activate(data, accept_zero=("x",))
    assert json.loads(active)["status"] == "active"
    assert json.loads(active)["source"]["_comment_accepted_zeros"] == "x"
    assert parse_agreed(json.loads(active)).status == "active"
    assert activate(active) == active
    without = {key: value for key, value in baseline(ZERO, status="report-only").items() if key != "source"}
    with pytest.raises(CannotJudge, match=r"source names no model; .* or write the model's canonical_sha, semver"):
        activate(write(without), accept_zero=("x",))


@pytest.mark.parametrize("figures", [{"accuracy": 0}, {"n": 2, "points": 0}, {"mean": 0}])
def test_every_scale_can_be_at_zero(figures: Any) -> None:
    with pytest.raises(Refused, match="--accept-zero"):
        activate(write(baseline({"x": figures, "y": {"accuracy": 0.9}}, status="report-only")))


def test_an_advisory_bucket_may_be_at_zero() -> None:
    policy = {"buckets": {"x": {"tier": "advisory"}}}
    active = activate(write(baseline(ZERO, status="report-only", policy=policy)))
    assert "_comment_accepted_zeros" not in json.loads(active)["source"]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"rule": "guard"}, "rule guard needs the score of each row"),
        ({"max_negative_flip_rate": 0.1}, "max_negative_flip_rate cannot judge"),
    ],
)
def test_a_policy_that_could_never_judge_graded_scores_is_not_activated(policy: Any, said: str) -> None:
    bare = {key: value for key, value in GRADED.items() if key != "scores"}
    tree = baseline({"x": bare}, aggregate=bare, policy=policy, status="report-only")
    with pytest.raises(CannotJudge, match=said):
        activate(write(tree))


@pytest.mark.parametrize("rule", ["guard", "noninferior"])
def test_a_rule_that_proves_something_judges_graded_scores_with_their_rows(rule: str) -> None:
    rows = {"n": 180, "points": 60 * 24_000, "scores": pack_scores([8000, 7000, 9000] * 60)}
    tree = baseline({"x": rows}, aggregate=rows, policy={"rule": rule}, status="report-only")
    assert json.loads(activate(write(tree)))["status"] == "active"
