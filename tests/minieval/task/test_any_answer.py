"""Whatever a model answers, a row has a score from 0 to 1, or one sentence names it: never another error."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.documents import parse_json
from minieval.contract.exits import CannotJudge
from minieval.task.document import Task
from minieval.task.marking import Marker, Truth
from minieval.task.scores import make_scorer
from minieval.task.tally import UNITS

SCORES: dict[str, dict[str, Any]] = {
    "exact": {"gate_classes": ["a", 1, True]},
    "text": {"kind": "text", "ignore": ["case", "space", "punctuation", "articles"]},
    "numeric": {"kind": "numeric", "atol": Decimal("0.5"), "rtol": Decimal("1e40")},
    "top_k": {"kind": "top_k", "k": 2},
    "any_of": {"kind": "any_of"},
    "set": {"kind": "set"},
    "tokens": {"kind": "overlap"},
    "items": {"kind": "overlap", "of": "items"},
    "error": {"kind": "error", "cap": Decimal("1e-40")},
}
READINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a column": {"column": "a"},
    "argmax": {"reduce": "argmax"},
    "classes": {"reduce": "argmax", "classes": ["a", 1]},
    "a threshold": {"reduce": {"threshold": Decimal("0.5")}, "classes": ["a", 1]},
    "the first two": {"top": 2},
}
numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**39, 10**40 - 1, 10**40, -(10**39), 1.7e308, -1.7e308, 5e-324, 0.0, -0.0, 2**53 + 1])
)
texts = st.text(max_size=6) | st.text("a \u0301\u0327\u0f73\u0130.", max_size=80)
answers = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab") | texts, inner, max_size=3),
    max_leaves=8,
)
labels = answers.filter(lambda value: value is not None)


def deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@given(
    reading=st.sampled_from([*READINGS.values()]),
    pairs=st.lists(st.tuples(labels, answers, st.lists(answers, max_size=2)), min_size=1, max_size=4),
)
@pytest.mark.slow
def test_any_answer_has_a_score_or_one_sentence(
    score: dict[str, Any], reading: dict[str, Any], pairs: list[tuple[Any, Any, list[Any]]]
) -> None:
    task = Task.model_validate({"buckets": {"lists": ["b"]}, "score": score, "prediction": reading})
    marker = Marker(task, make_scorer(task.score))
    expected, given_answers, accepted = (list(each) for each in zip(*pairs, strict=True))
    truth = Truth(expected, accepted, list, lambda row: f"line {row + 1}")
    try:
        marks = marker.mark(truth, [given_answers])
    except CannotJudge as error:
        assert str(error).startswith("line ") and "\n" not in str(error)
        return
    assert marks.dtype == np.int64 and len(marks) == len(pairs)
    assert all(0 <= mark <= (UNITS if task.graded else 1) for mark in marks.tolist())
    assert all(mark == 0 for mark, answer in zip(marks.tolist(), given_answers, strict=True) if answer is None)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_the_deepest_answer_that_is_read_is_scored(score: dict[str, Any]) -> None:
    answer = parse_json(json.dumps(deep(99)).encode(), where="the answer", floats=True)
    task = Task.model_validate({"buckets": {"lists": ["b"]}, "score": score})
    for label in (answer, [answer]):
        marker = Marker(task, make_scorer(task.score))
        truth = Truth([label], None, list, lambda row: f"line {row + 1}")
        try:
            (mark,) = marker.mark(truth, [[answer]]).tolist()
        except CannotJudge as error:
            assert str(error).startswith("line 1: ")
        else:
            assert mark in (0, 1, UNITS)
