"""Trials, graded scores and classes: what is stated is checked against what follows from it."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.documents import pretty_json
from minieval.contract.exits import CannotJudge
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import (
    FIRST_SCHEMA,
    SCHEMA,
    ClassCounts,
    Evaluation,
    Scale,
    dump_evaluation,
    measure_classes,
    parse_evaluation,
)
from minieval.contract.score_bytes import pack_counts, pack_scores, unpack_counts, unpack_scores

MD5 = "a" * 32
GRADED = {"n": 3, "points": 17500, "mean": 0.5833, "scores": pack_scores([10000, 7500, 0])}
TRIALS = {"n": 3, "trials": 4, "correct": 7, "accuracy": 0.5833, "counts": pack_counts([4, 3, 0])}
YES = {"n": 4, "true_positives": 2, "false_positives": 1, "false_negatives": 1}


def parse(buckets: Any, **changes: Any) -> Evaluation:
    tree = {"schema": SCHEMA, "eval_set": {"dvc_md5": MD5}, "buckets": buckets, **changes}
    return parse_evaluation(pretty_json(tree))


@given(st.lists(st.integers(0, 10_000), min_size=1))
@pytest.mark.slow
def test_graded_scores_are_two_bytes_a_row_and_come_back(scores: list[int]) -> None:
    packed = pack_scores(scores)
    assert b64decode(packed) == struct.pack(f">{len(scores)}H", *scores)
    assert unpack_scores(packed, len(scores)) == tuple(scores)
    figures = parse({"x": {"n": len(scores), "points": sum(scores), "scores": packed}}).buckets["x"]
    assert (figures.scale, figures.share) == (Scale.GRADED, Fraction(sum(scores), 10_000 * len(scores)))


@given(st.lists(st.integers(0, 7), min_size=1))
@pytest.mark.slow
def test_counts_are_a_byte_a_row_and_come_back(counts: list[int]) -> None:
    packed = pack_counts(counts)
    assert b64decode(packed) == bytes(counts)
    assert unpack_counts(packed, len(counts), 7) == tuple(counts)
    tree = {"n": len(counts), "trials": 7, "correct": sum(counts), "counts": packed}
    figures = parse({"x": tree}, trials=7).buckets["x"]
    assert (figures.scale, figures.share) == (Scale.TRIALS, Fraction(sum(counts), 7 * len(counts)))


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (GRADED | {"points": 17499}, "scores have 17500 points, and points is 17499"),
        (GRADED | {"mean": 0.5834}, "mean 0.5834 contradicts 17500/30000"),
        (GRADED | {"points": 30001}, "points 30001 > 10000 for each of n rows, 30000"),
        (GRADED | {"n": 4, "mean": None}, "hold 6 bytes where 4 rows need 8"),
        (GRADED | {"scores": b64encode(struct.pack(">3H", 10001, 7499, 0)).decode()}, "a score is at most 10000"),
        (GRADED | {"scores": "AAAAAAA"}, "not strict base64"),
        (GRADED | {"correct": 1}, "`correct` is of right or wrong answers"),
        (GRADED | {"trials": 4}, "`trials` is of right or wrong answers"),
        ({"points": 1}, "`points` needs `n`"),
        ({"mean": 0.5, "scores": GRADED["scores"]}, "`scores` need `n` and `points`"),
        ({"mean": 1.1}, "less than or equal to 1"),
        (TRIALS | {"correct": 6, "accuracy": 0.5}, "counts have 7 right answers, and correct is 6"),
        (TRIALS | {"correct": 13}, "correct 13 > 4 for each of n rows, 12"),
        (TRIALS | {"accuracy": 0.5}, "accuracy 0.5 contradicts 7/12"),
        (TRIALS | {"counts": pack_counts([5, 2, 0])}, "a row with 5 right answers of 4"),
        (TRIALS | {"counts": pack_counts([4, 3])}, "hold 2 bytes where 3 rows need 3"),
        (TRIALS | {"outcomes": pack_outcomes([True])}, "with `trials`, give `counts`"),
        (TRIALS | {"trials": 1}, "greater than or equal to 2"),
        (TRIALS | {"trials": 3, "accuracy": None}, "a row with 4 right answers of 3"),
        ({"n": 3, "correct": 2, "counts": TRIALS["counts"]}, "`counts` need `n`, `trials` and `correct`"),
    ],
)
def test_figures_that_contradict_each_other_are_refused(figures: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotJudge, match=said.replace("(", r"\(")):
        parse({"x": figures}, trials=figures.get("trials"))


def test_every_bucket_has_the_trials_of_the_document() -> None:
    for trials in (None, 3):
        with pytest.raises(CannotJudge, match=f"has 4 trials, and the document has {trials or 1}"):
            parse({"x": TRIALS}, trials=trials)
    # A graded score is a mean over the trials already.
    assert parse({"x": GRADED}, trials=3).trials == 3


def test_a_mean_alone_is_enough() -> None:
    assert parse({"x": {"mean": 0.25}}).buckets["x"].share == Fraction(1, 4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"task": {"path": "eval.toml", "sha256": "d" * 64}}, "task"),
        ({"trials": 4, "buckets": {"x": {"accuracy": 1, "trials": 4}}}, "trials"),
        ({"missing_answers": 1}, "missing_answers"),
        ({"classes": {"yes": YES}}, "classes"),
        ({"context": {"branch": "main"}}, "context"),
        ({"buckets": {"x": GRADED}}, "buckets.x.points"),
        ({"aggregate": {"mean": 0.5}}, "aggregate.mean"),
    ],
)
def test_the_first_version_has_none_of_it(change: dict[str, Any], named: str) -> None:
    tree = {"schema": FIRST_SCHEMA, "eval_set": {"dvc_md5": MD5}, "buckets": {"x": {"accuracy": 1}}} | change
    with pytest.raises(CannotJudge, match=f"{named} is new in {SCHEMA}, and this document is {FIRST_SCHEMA}"):
        parse_evaluation(pretty_json(tree))
    assert parse_evaluation(pretty_json(tree | {"schema": SCHEMA})).schema_ == SCHEMA


def test_a_document_without_the_new_fields_has_the_same_bytes_in_both_versions() -> None:
    first, second = (
        dump_evaluation(parse({"x": {"n": 3, "correct": 2}}, schema=schema)) for schema in (FIRST_SCHEMA, SCHEMA)
    )
    assert first.replace(FIRST_SCHEMA.encode(), SCHEMA.encode()) == second


def test_what_is_written_reads_back() -> None:
    for buckets, more in (({"x": GRADED}, {}), ({"x": TRIALS}, {"trials": 4})):
        written = parse(
            buckets,
            **more,
            task={"path": "eval.toml", "sha256": "d" * 64},
            missing_answers=1,
            classes={"yes": YES},
            context={"commit": "f" * 40, "tags": {"pipeline": "nightly"}},
        )
        assert parse_evaluation(dump_evaluation(written)) == written


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (YES | {"n": 3}, "are 4 rows, and n is 3"),
        (YES | {"false_positive_bits": pack_outcomes([True, True, False, False])}, "have 2 rows, and false_positives"),
        (YES | {"false_positive_bits": pack_outcomes([True] * 9)}, "hold 2 bytes where 4 rows need 1"),
        (YES | {"false_positives": -1}, "greater than or equal to 0"),
    ],
)
def test_counts_of_a_class_that_contradict_each_other_are_refused(counts: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        parse({"x": {"accuracy": 1}}, classes={"yes": counts})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
@pytest.mark.slow
def test_precision_recall_and_f1_are_those_of_the_rows(rows: list[tuple[bool, bool]]) -> None:
    """``rows`` are (is of the class, was answered as the class)."""
    right = sum(is_in and answered for is_in, answered in rows)
    answered, expected = sum(answer for _, answer in rows), sum(is_in for is_in, _ in rows)
    counts = ClassCounts(
        n=len(rows), true_positives=right, false_positives=answered - right, false_negatives=expected - right
    )
    rates = counts.rates
    assert rates["precision"] == (Fraction(right, answered) if answered else 0)
    assert rates.get("recall") == (Fraction(right, expected) if expected else None)
    if right:
        assert rates["f1"] == 2 * rates["precision"] * rates["recall"] / (rates["precision"] + rates["recall"])
    else:
        assert rates.get("f1") == (0 if answered + expected else None)
    metrics = measure_classes({"yes": counts})
    assert set(metrics) == {f"{rate}.yes" for rate in rates}
    for rate, share in rates.items():
        assert abs(Fraction(metrics[f"{rate}.yes"].value) - share) <= Fraction(1, 2 * 10**6)
    assert {metric.direction for metric in metrics.values()} == {"higher"}
