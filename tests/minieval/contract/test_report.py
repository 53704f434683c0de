"""The evaluation document: what it accepts, what it refuses, and the outcomes bitset."""

from __future__ import annotations

import json
from typing import Any

import pytest

from minieval.contract.documents import parse_document
from minieval.contract.exits import CannotJudge
from minieval.contract.report import Evaluation, dump_evaluation

MD5 = "0" * 32
LEAST: dict[str, Any] = {
    "schema": "minieval.evaluation/1",
    "eval_set": {"dvc_md5": MD5},
    "buckets": {"x": {"accuracy": 0.9}},
}


def parse(document: Any) -> Evaluation:
    return parse_document(json.dumps(document).encode(), Evaluation, where="it")


def test_the_least_document_is_enough_and_comments_are_for_people() -> None:
    assert parse(LEAST).buckets["x"].accuracy is not None
    assert parse(LEAST | {"_comment": "x", "buckets": {"x": {"accuracy": 0.9, "_comment_b": []}}}) == parse(LEAST)


def test_what_is_written_reads_back() -> None:
    document = LEAST | {"buckets": {"x": {"n": 3, "correct": 2, "accuracy": 0.6667, "outcomes": "wA=="}}}
    evaluation = parse(document)
    data = dump_evaluation(evaluation)
    assert parse_document(data, Evaluation, where="it") == evaluation
    assert json.loads(data)["schema"] == "minieval.evaluation/1"
    assert json.loads(data)["buckets"]["x"]["accuracy"] == 0.6667


BUCKETS: dict[str, Any] = {
    "none": {},
    "no figure": {"x": {}},
    "n alone": {"x": {"n": 3}},
    "correct without n": {"x": {"correct": 3}},
    "correct above n": {"x": {"n": 3, "correct": 4}},
    "negative": {"x": {"n": 3, "correct": -1}},
    "zero rows": {"x": {"n": 0, "correct": 0}},
    "boolean": {"x": {"accuracy": True}},
    "text": {"x": {"accuracy": "0.9"}},
    "null": {"x": {"accuracy": None}},
    "above one": {"x": {"accuracy": 1.01}},
    "below zero": {"x": {"accuracy": -0.1}},
    "count as fraction": {"x": {"n": 3.0, "correct": 1}},
    "count as text": {"x": {"n": "3", "correct": 1}},
    "accuracy contradicts": {"x": {"n": 10000, "correct": 9000, "accuracy": 0.9001}},
    "outcomes contradict": {"x": {"n": 3, "correct": 3, "outcomes": "wA=="}},
    "outcomes without n": {"x": {"accuracy": 0.9, "outcomes": "wA=="}},
    "unknown key": {"x": {"accuracy": 0.9, "acuracy": 0.9}},
    "empty name": {"": {"accuracy": 0.9}},
    "control character": {"a\nb": {"accuracy": 0.9}},
    "list": [],
}


@pytest.mark.parametrize("buckets", BUCKETS.values(), ids=BUCKETS.keys())
def test_buckets_without_figures_or_with_contradictory_ones_are_refused(buckets: Any) -> None:
    with pytest.raises(CannotJudge, match=r"^it: ") as caught:
        parse(LEAST | {"buckets": buckets})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "minieval.evaluation/3"},
        {"schema": None},
        {"eval_set": {"dvc_md5": "0" * 31}},
        {"eval_set": {"dvc_md5": MD5 + "\n"}},
        {"eval_set": {"dvc_md5": "g" * 32}},
        {"eval_set": {}},
        {"candidate": {"canonical_sha": "A" * 64}},
        {"candidate": {"mlflow_run_id": "x"}},
        {"metrics": {"m": {"value": None}}},
        {"metrics": {"m": {"value": 1, "direction": "up"}}},
        {"passed": True},
    ],
)
def test_other_fields_are_strict_too(change: dict[str, Any]) -> None:
    with pytest.raises(CannotJudge):
        parse(LEAST | change)


def test_the_slack_of_four_decimals_is_inclusive() -> None:
    parse(LEAST | {"buckets": {"x": {"n": 10000, "correct": 9000, "accuracy": 0.90005}}})
    with pytest.raises(CannotJudge, match="contradicts"):
        parse(LEAST | {"buckets": {"x": {"n": 10000, "correct": 9000, "accuracy": 0.900051}}})
