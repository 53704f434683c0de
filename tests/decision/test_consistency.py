"""An evaluation whose figures contradict each other is not judged; what was decided before stays readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lynxgate.errors import CannotJudge
from lynxgate.rebaseline.activate import activate
from minieval.contract.outcome_bits import pack_outcomes
from tests.samples import MD5, baseline, evaluation, judge, judge_again, write


def right(n: int, *wrong: int) -> dict[str, Any]:
    """The figures of ``n`` rows of which those at ``wrong`` are wrong."""
    outcomes = [index not in wrong for index in range(n)]
    return {"n": n, "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def samples(value: float, *samples: float) -> dict[str, Any]:
    return {"metrics": {"m": {"value": value, "samples": list(samples)}}}


def classes(right: int, **counts: tuple[int, int, int]) -> dict[str, Any]:
    """The counts of classes over ten rows (true positives, false positives, false negatives), and an aggregate."""
    names = ("true_positives", "false_positives", "false_negatives")
    found = {name: {"n": 10, **dict(zip(names, each, strict=True))} for name, each in counts.items()}
    return {"schema": "minieval.evaluation/2", "aggregate": {"n": 10, "correct": right}, "classes": found}


def rows(number: int, **more: Any) -> dict[str, Any]:
    return {"eval_set": {"dvc_md5": MD5, "rows": number, **more}}


X = {"x": {"n": 1599, "correct": 1595}}
CONTRADICTIONS: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "the bucket is all rows": (
        {"x": {"n": 500, "correct": 470}},
        {"aggregate": {"n": 500, "correct": 500}},
        "bucket 'x' has 470 of 500 rows right, and the aggregate 500 of 500",
    ),
    "a bucket of more rows": (X, {"aggregate": {"n": 10, "correct": 10}}, "bucket 'x' has n 1599, and the aggregate"),
    "more right than all rows": (
        {"x": {"n": 90, "correct": 80}},
        {"aggregate": {"n": 100, "correct": 70}},
        "80 of 90 rows right, and the aggregate 70 of 100",
    ),
    "more wrong than all rows": (
        {"x": {"n": 90, "correct": 40}},
        {"aggregate": {"n": 100, "correct": 95}},
        "40 of 90 rows right, and the aggregate 95 of 100",
    ),
    "the sum of the buckets": (
        {"x": {"n": 50, "correct": 40}, "y": {"n": 50, "correct": 45}},
        {"aggregate": {"n": 100, "correct": 90}},
        "the buckets have 85 of 100 rows right, and the aggregate 90 of 100",
    ),
    "accuracies that do not add up": (
        {"x": {"n": 50, "accuracy": 1}, "y": {"n": 50, "accuracy": 0.98}},
        {"aggregate": {"n": 100, "correct": 90}},
        "the buckets together have a share of 0.99, and the aggregate 0.9",
    ),
    "means that do not add up": (
        {"x": {"n": 50, "mean": 1}, "y": {"n": 50, "mean": 1}},
        {"schema": "minieval.evaluation/2", "aggregate": {"n": 100, "points": 900_000}},
        "the buckets together have a share of 1, and the aggregate 0.9",
    ),
    "more missing answers than wrong ones": (
        {"x": {"n": 50, "trials": 2, "correct": 99}},
        {
            "schema": "minieval.evaluation/2",
            "trials": 2,
            "missing_answers": 2,
            "aggregate": {"n": 50, "trials": 2, "correct": 99},
        },
        "the aggregate has 99 of 100 answers right, and missing_answers is 2",
    ),
    "other outcomes of the same rows": ({"x": right(9, 1)}, {"aggregate": right(9, 2)}, "the same 9 rows and other"),
    "fewer rows than a bucket": (X, rows(10), "eval_set.rows is 10, and bucket 'x' has n 1599"),
    "other rows than the aggregate": (
        X,
        {**rows(1700), "aggregate": {"n": 1600, "correct": 1595}},
        "eval_set.rows is 1700, and the aggregate has n 1600",
    ),
    "more groups than rows": (X, rows(1600, groups=1601), "eval_set.rows is 1600, and eval_set.groups is 1601"),
    "one row and nine tenths": (
        {"x": {"n": 1, "accuracy": 0.9}},
        {},
        "'x' has accuracy 0.9, and no number of 1 rows",
    ),
    "more true positives than right rows": (
        {"x": {"n": 10, "correct": 4}},
        classes(4, yes=(3, 1, 2), no=(2, 1, 1)),
        "the classes have 5 true positives, and the aggregate 4 rows right",
    ),
    "classes expected in too many rows": (
        {"x": {"n": 10, "correct": 6}},
        classes(6, yes=(3, 0, 4), no=(3, 0, 1)),
        "the classes are expected in 11 rows, and the eval set has 10",
    ),
    "classes answered in too many rows": (
        {"x": {"n": 10, "correct": 6}},
        {**classes(6, yes=(3, 2, 0), no=(3, 1, 0)), "missing_answers": 2},
        "the classes were answered in 9 rows and 2 have no answer, and the eval set has 10 rows",
    ),
    "a value above its samples": (X, samples(950, 700, 701), "metric 'm' has value 950, and its samples lie in 700 to"),
    "a value below its samples": (X, samples(0.5, 1, 2), "metric 'm' has value 0.5, and its samples lie in 1 to 2"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_evaluation_that_contradicts_itself_is_not_judged(name: str) -> None:
    buckets, more, reason = CONTRADICTIONS[name]
    measured, agreed = evaluation(buckets, **more), baseline(buckets)
    with pytest.raises(CannotJudge, match="the evaluation contradicts itself") as caught:
        judge(measured, agreed)
    assert reason in str(caught.value)
    # Neither does report-only hide it, and what was decided before is still read.
    with pytest.raises(CannotJudge):
        judge(measured, baseline(buckets, status="report-only"))
    assert judge_again(measured, agreed).passed


@pytest.mark.parametrize(
    ("buckets", "more"),
    [
        ({"x": right(9, 1), "y": right(4, 0)}, {"aggregate": right(9, 1), **rows(9, groups=9)}),
        ({"x": {"n": 50, "correct": 40}, "y": {"n": 50, "correct": 45}}, {"aggregate": {"n": 100, "correct": 85}}),
        # Rounded to four decimals: 33 and 34 of 67, and 2 of 3.
        (
            {"x": {"n": 67, "accuracy": 0.4925}, "y": {"n": 67, "accuracy": 0.5075}},
            {"aggregate": {"n": 134, "correct": 67}},
        ),
        ({"x": {"n": 1, "correct": 0}, "y": {"n": 2, "correct": 2}}, {"aggregate": {"n": 3, "accuracy": 0.6667}}),
        # Rows in two buckets, and rows in none.
        ({"x": {"n": 70, "correct": 60}, "y": {"n": 50, "correct": 45}}, {"aggregate": {"n": 100, "correct": 88}}),
        ({"x": {"n": 20, "correct": 20}}, {"aggregate": {"n": 100, "correct": 50}, **rows(100)}),
        ({"x": {"n": 3, "accuracy": 0.3333}}, {"aggregate": {"accuracy": 0.5}}),
        ({"x": {"n": 20000, "accuracy": 0.1234}}, {}),
        (X, samples(700.0004, 700, 700)),
        (X, samples(-1.5, -2, -1)),
        # A false positive can be right, where a row accepts a further class.
        ({"x": {"n": 10, "correct": 10}}, classes(10, yes=(4, 2, 0), no=(2, 0, 2))),
    ],
)
def test_figures_that_can_all_be_true_are_judged(buckets: dict[str, Any], more: dict[str, Any]) -> None:
    assert judge(evaluation(buckets, **more), baseline(buckets)).passed


def test_n_cannot_be_left_out_to_hide_that_it_differs() -> None:
    agreed = baseline({"x": {"n": 300, "correct": 276}, "y": {"n": 9, "correct": 9}})
    with pytest.raises(CannotJudge, match="bucket 'x' has n 300 in the baseline, and the evaluation states no n"):
        judge(evaluation({"x": {"accuracy": 0.95}, "y": {"n": 9, "correct": 9}}), agreed)
    # An advisory bucket never blocks, and a baseline without n has none to compare.
    agreed["policy"]["buckets"] = {"x": {"tier": "advisory"}}
    assert judge(evaluation({"x": {"accuracy": 0.95}, "y": {"n": 9, "correct": 9}}), agreed).passed
    assert judge(evaluation({"x": {"n": 20, "accuracy": 0.95}}), baseline({"x": {"accuracy": 0.9}})).passed
    whole = baseline({"x": {"accuracy": 0.9}}, aggregate={"n": 9, "correct": 8}, policy={"overall_tolerance_pp": 2})
    with pytest.raises(CannotJudge, match="the aggregate has n 9"):
        judge(evaluation({"x": {"accuracy": 0.9}}, aggregate={"accuracy": 0.9}), whole)


def test_a_baseline_that_contradicts_itself_is_not_activated() -> None:
    broken = baseline({"x": {"n": 5, "correct": 4}}, aggregate={"n": 4, "correct": 4}, status="report-only")
    with pytest.raises(CannotJudge, match="the baseline contradicts itself: bucket 'x' has n 5"):
        activate(write(broken))
    # The medians of buckets need not add up to the median of all rows.
    buckets = {"x": {"n": 5, "correct": 4}, "y": {"n": 5, "correct": 4}}
    median = baseline(buckets, aggregate={"n": 10, "correct": 9}, source={"median_of": ["v0.1.0", "v0.2.0"]})
    assert activate(write(median)) == write(median)
    one = baseline(buckets, aggregate={"n": 10, "correct": 9})
    with pytest.raises(CannotJudge, match="the buckets have 8 of 10 rows right"):
        activate(write(one))
