"""How an answer is read: a column, a class from scores, a threshold, the first few; and none stays none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.exits import CannotJudge
from minieval.task.answers import read_answers
from minieval.task.document import Reading


def read(reading: dict[str, Any], answers: list[Any]) -> list[Any]:
    return read_answers(Reading.model_validate(reading), answers, lambda index: f"line {index + 1}")


def test_without_a_reading_answers_stay_as_they_are() -> None:
    answers = [1, "a", None, [1, 2], {"a": 1}, True]
    assert read({}, answers) == answers


READ = {
    "a column": ({"column": "label"}, [{"label": "a", "p": 1}, {"label": None}, None], ["a", None, None]),
    "the highest, by number": ({"reduce": "argmax"}, [[0.1, 0.7, 0.2], [2, 1]], [1, 0]),
    "the highest, by name": ({"reduce": "argmax", "classes": ["no", "yes"]}, [[0.1, 0.9]], ["yes"]),
    "the highest of an object": ({"reduce": "argmax"}, [{"no": 0.1, "yes": 0.9}], ["yes"]),
    "the first of equal ones": ({"reduce": "argmax"}, [[0.5, 0.5]], [0]),
    "the first two": ({"top": 2, "classes": ["a", "b", "c"]}, [[0.1, 0.7, 0.2]], [["b", "c"]]),
    "more than there are": ({"top": 5}, [[0.1, 0.7]], [[1, 0]]),
    "a score is missing": ({"reduce": "argmax"}, [[0.1, None]], [None]),
    "a column of scores": (
        {"column": "p", "reduce": "argmax", "classes": ["no", "yes"]}, [{"p": [1, 0]}, {"p": None}], ["no", None]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reading", "answers", "found"), READ.values(), ids=READ)
def test_answers_are_read(reading: dict[str, Any], answers: list[Any], found: list[Any]) -> None:
    assert read(reading, answers) == found


def test_a_threshold_is_compared_as_it_is_written() -> None:
    """The float 0.3 lies below three tenths; a person reads it as 0.3."""
    reading = {"reduce": {"threshold": Decimal("0.3")}, "classes": ["no", "yes"]}
    assert read(reading, [0.3, 0.29999, 1, 0, None]) == ["yes", "no", "yes", "no", None]
    assert read(reading, [[0.8, 0.2], [0.7, 0.3], [0.5, None]]) == ["no", "yes", None]


WRONG = {
    "no object": ({"column": "a"}, "x", "the answer has no column 'a'; it is text"),
    "no such column": ({"column": "a"}, {"b": 1, "c": 2}, "the answer has no column 'a'; it has b, c"),
    "no list": ({"reduce": "argmax"}, 3, "a list of one number a class is needed, and the answer is a number"),
    "text among scores": ({"reduce": "argmax"}, [1, "2"], "the score of a class is text, not a number"),
    "booleans as scores": ({"reduce": "argmax"}, [True, False], "the score of a class is a boolean"),
    "no score": ({"reduce": "argmax"}, [], "the answer has 0 scores"),
    "too few scores": (
        {"reduce": "argmax", "classes": ["a", "b", "c"]}, [1, 2], "the answer has 2 scores, and there are 3 classes"
    ),
    "a threshold of text": (
        {"reduce": {"threshold": Decimal(1)}, "classes": [0, 1]}, "x", "a threshold needs a number, and the answer is"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reading", "answer", "words"), WRONG.values(), ids=WRONG)
def test_an_answer_of_another_form_is_refused_with_its_row(reading: dict[str, Any], answer: Any, words: str) -> None:
    with pytest.raises(CannotJudge, match=f"^line 2: {words}"):
        read(reading, [None, answer])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.integers(1, 25))
def test_the_first_is_the_highest_and_the_others_follow_in_order(scores: list[float], top: int) -> None:
    (first,), (ranked,) = read({"reduce": "argmax"}, [scores]), read({"top": top}, [scores])
    assert first == scores.index(max(scores)) == ranked[0]
    assert [scores[place] for place in ranked] == sorted(scores, reverse=True)[:top]
    assert len(set(ranked)) == len(ranked) == min(top, len(scores))
