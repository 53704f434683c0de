"""From answers to figures: trials, graded means, classes, rows without an answer, and a right count in each bucket."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.exits import CannotJudge
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.task.document import Task
from minieval.task.marking import Marker, Truth
from minieval.task.scores import make_scorer
from minieval.task.tally import UNITS, Tally


def make_marker(**keys: Any) -> Marker:
    task = Task.model_validate({"buckets": {"lists": ["b"]}, **keys})
    return Marker(task, make_scorer(task.score))


def truth(expected: Sequence[Any], accepted: Any = None) -> Truth:
    return Truth(expected, accepted, list, lambda index: f"line {index + 1}")


def test_a_mark_is_right_or_wrong_a_count_of_trials_or_a_mean_in_units() -> None:
    assert make_marker().mark(truth(["a", "b"]), [["a", "c"]]).tolist() == [1, 0]
    three = [["a", "c"], ["a", "b"], ["x", "b"]]
    assert make_marker(trials=3).mark(truth(["a", "b"]), three).tolist() == [2, 2]
    graded = {"kind": "error", "cap": 10}
    assert make_marker(score=graded).mark(truth([0, 0]), [[1, 3.33333]]).tolist() == [9000, 6667]
    assert make_marker(score=graded, trials=2).mark(truth([0]), [[1], [2]]).tolist() == [8500]


def test_a_row_without_an_answer_is_wrong_and_counted_once() -> None:
    marker = make_marker(trials=2)
    assert marker.mark(truth(["a", "b", "c"]), [["a", None, None], [None, None, "c"]]).tolist() == [1, 0, 1]
    assert marker.missing == 3
    marker.mark(truth(["a"]), [["a"], ["a"]])
    assert marker.missing == 3


def test_the_answers_of_few_trials_are_held_at_once() -> None:
    held, most = 0, 0

    class Answers(list[Any]):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def trials() -> Iterator[Sequence[Any]]:
        nonlocal held, most
        for _ in range(20):
            held += 1
            most = max(most, held)
            yield Answers(["a"])

    assert make_marker(trials=20).mark(truth(["a"]), trials()).tolist() == [20]
    assert most <= 2


@pytest.mark.parametrize("label", [None, float("nan")])
def test_a_row_without_a_label_is_refused(label: Any) -> None:
    with pytest.raises(CannotJudge, match=r"^line 2: no expected answer"):
        make_marker().mark(truth([0.5, label]), [[0.5, 0.5]])


def test_all_wrong_because_of_types_is_refused_and_all_wrong_is_not() -> None:
    marker = make_marker()
    marker.mark(truth(["0", "1"]), [[0, 1]])
    with pytest.raises(
        CannotJudge, match=r"the model answers with numbers, and the column 'y' holds text; set its type"
    ):
        marker.check_kinds("y")
    marker.mark(truth(["2"]), [["3"]])
    marker.check_kinds("y")  # one answer is of the labels' type
    marker = make_marker()
    marker.mark(truth([1, 2.5]), [[2, 3]])
    marker.check_kinds("y")  # a whole number and a fraction are of one type
    marker = make_marker()
    marker.mark(truth(["0", "1"]), [[None, None]])
    marker.check_kinds("y")  # a model that never answers is wrong, and is shown as that


rows = st.lists(
    st.tuples(st.sampled_from(["yes", "no", 1]), st.sampled_from(["yes", "no", "1", 1, True, None])), min_size=1
)


@given(rows, st.integers(1, 9))
@pytest.mark.slow
def test_the_counts_of_a_class_are_those_of_a_plain_count(pairs: list[tuple[Any, Any]], size: int) -> None:
    marker = make_marker(score={"gate_classes": ["yes", 1]})
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        marker.mark(truth([right for right, _ in part]), [[answer for _, answer in part]])
    for name, wanted in (("yes", "yes"), ("1", 1)):
        said = [type(answer) is type(wanted) and answer == wanted for _, answer in pairs]
        true = [type(right) is type(wanted) and right == wanted for right, _ in pairs]
        found = marker.classes()[name]
        assert found.n == len(pairs)
        assert found.true_positives == sum(a and b for a, b in zip(said, true, strict=True))
        assert found.false_negatives == sum(b and not a for a, b in zip(said, true, strict=True))
        false_positives = [a and not b for a, b in zip(said, true, strict=True)]
        assert found.false_positives == sum(false_positives)
        assert found.false_positive_bits is not None
        bits = unpack_outcomes(found.false_positive_bits, len(pairs))
        assert [bool(bits >> (len(pairs) - 1 - row) & 1) for row in range(len(pairs))] == false_positives


@given(st.lists(st.lists(st.integers(0, 22_000), min_size=1, max_size=12), min_size=1, max_size=3))
@pytest.mark.slow
def test_a_graded_mark_is_the_exact_mean_rounded_once_half_to_even(errors: list[list[int]]) -> None:
    """Errors in half units: every second mark of one trial lies between two units."""
    width = min(map(len, errors))
    trials = [each[:width] for each in errors]
    marker = make_marker(score={"kind": "error", "cap": 20_000}, trials=len(trials))
    marks = marker.mark(truth([0] * width), trials).tolist()
    for row, mark in enumerate(marks):
        exact = sum(1 - min(Fraction(each[row], 20_000), Fraction(1)) for each in trials) / len(trials) * UNITS
        assert mark == round(exact), "Python rounds a fraction half to even"
        assert 0 <= mark <= UNITS


cases = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True)),
    min_size=1,
    max_size=40,
)


@given(cases, st.integers(1, 17), st.sampled_from(["bits", "counts", "graded"]))
@pytest.mark.slow
def test_figures_are_those_of_a_plain_count_whatever_the_batches(
    given_rows: list[tuple[int, list[int]]], size: int, kind: str
) -> None:
    scale = {"bits": 1, "counts": 3, "graded": UNITS}[kind]
    given_rows = [(3, [0, 1, 2, 3, 4]), *given_rows]  # no bucket is empty
    scored = [(min(score, 1) if kind == "bits" else score * scale // 3, buckets) for score, buckets in given_rows]
    names = [f"b{code}" for code in range(5)]
    tally = Tally(names, graded=kind == "graded", trials=3 if kind == "counts" else 1)
    for start in range(0, len(scored), size):
        part = scored[start : start + size]
        pairs = [(row, code) for row, (_, buckets) in enumerate(part) for code in buckets]
        tally.add(
            np.array([score for score, _ in part], np.int64),
            np.array([row for row, _ in pairs], np.int64),
            np.array([code for _, code in pairs], np.int32),
        )
    found = tally.measure()
    assert list(found.buckets) == names
    for code, name in enumerate(names):
        _check(found.buckets[name], [score for score, buckets in scored if code in buckets], scale, kind)
    _check(found.aggregate, [score for score, _ in scored], scale, kind)


def _check(measured: Any, scores: list[int], scale: int, kind: str) -> None:
    n, total = len(scores), sum(scores)
    share = (Decimal(total) / (n * scale)).quantize(Decimal("0.0001"))
    assert measured.n == n
    if kind == "bits":
        bits = unpack_outcomes(measured.outcomes, n)
        assert [bits >> (n - 1 - row) & 1 for row in range(n)] == scores
        assert (measured.correct, measured.accuracy) == (total, share)
    elif kind == "counts":
        assert list(base64.b64decode(measured.counts)) == scores
        assert (measured.correct, measured.trials, measured.accuracy) == (total, 3, share)
    else:
        packed = base64.b64decode(measured.scores)
        assert [int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2)] == scores
        assert (measured.points, measured.mean) == (total, share)
