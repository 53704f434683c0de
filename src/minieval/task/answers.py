"""Read answers out of what a model returned for each row: a column, a class from scores, the first few. Pure.

`None` is a row without an answer: the model returned null or NaN. A model that scores classes with a NaN has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.task.document import Reading, Threshold

Places = Callable[[int], str]  # names the place of a row of the batch, counted from 0

NUMBERS = (int, float, Decimal)


def read_answers(reading: Reading, answers: Sequence[Json], where: Places) -> list[Json]:
    """Return the answer of each row, `None` where there is none.

    Raises:
        CannotJudge: an answer has another form than the task reads; the message names the row.
    """
    found = list(answers)
    if reading.column is not None:
        found = [_pick(answer, reading.column, index, where) for index, answer in enumerate(found)]
    if reading.reduce is None and reading.top is None:
        return found
    return [None if answer is None else _reduce(reading, answer, index, where) for index, answer in enumerate(found)]


def _pick(answer: Json, column: str, index: int, where: Places) -> Json:
    if answer is None:
        return None
    if not isinstance(answer, dict) or column not in answer:
        has = f"has {', '.join(sorted(answer)[:10])}" if isinstance(answer, dict) else f"is {describe_kind(answer)}"
        raise CannotJudge(f"{where(index)}: the answer has no column {column[:80]!r}; it {has[:200]}")
    return answer[column]


def _reduce(reading: Reading, answer: Json, index: int, where: Places) -> Json:
    if isinstance(reading.reduce, Threshold):
        return _apply_threshold(reading, answer, index, where)
    scores, classes = _score_classes(reading, answer, index, where)
    if any(score is None for score in scores):
        return None
    # `sorted` is stable: of equal scores the first class is taken, as numpy.argmax does.
    ranked = sorted(range(len(scores)), key=lambda place: -scores[place])
    if reading.top is not None:
        return [classes[place] for place in ranked[: reading.top]]
    return classes[ranked[0]]


def _apply_threshold(reading: Reading, answer: Json, index: int, where: Places) -> Json:
    assert isinstance(reading.reduce, Threshold), "checked by the caller"  # noqa: S101 - for the type checker
    assert reading.classes is not None, "checked when the task was parsed"  # noqa: S101 - for the type checker
    if isinstance(answer, list) and len(answer) == 2:
        answer = answer[1]  # probabilities of both classes, as predict_proba returns them
    if answer is None:
        return None
    if not is_number(answer):
        raise CannotJudge(f"{where(index)}: a threshold needs a number, and the answer is {describe_kind(answer)}")
    return reading.classes[int(as_written(answer) >= reading.reduce.threshold)]


def _score_classes(reading: Reading, answer: Json, index: int, where: Places) -> tuple[list[Json], Sequence[Json]]:
    """Return the score of each class, and the classes: named by the task, by the answer, or numbered from 0."""
    if isinstance(answer, dict):
        scores, classes = list(answer.values()), reading.classes or tuple(answer)
    elif isinstance(answer, list):
        scores, classes = answer, reading.classes or tuple(range(len(answer)))
    else:
        raise CannotJudge(
            f"{where(index)}: a list of one number a class is needed, and the answer is {describe_kind(answer)}"
        )
    if len(scores) != len(classes) or not scores:
        raise CannotJudge(f"{where(index)}: the answer has {len(scores)} scores, and there are {len(classes)} classes")
    if wrong := [score for score in scores if score is not None and not is_number(score)]:
        raise CannotJudge(f"{where(index)}: the score of a class is {describe_kind(wrong[0])}, not a number")
    return scores, classes


def is_number(value: Json) -> bool:
    """Return whether a value is a number; a boolean is none."""
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def as_written(value: float | Decimal) -> Decimal:
    """Return a number as it is written in decimal: 0.3 is at least 0.3, and within 0.1 of 0.4."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def describe_kind(value: Json) -> str:
    """Return what kind of value this is, for a message."""
    if value is None:
        return "null"
    for kind, words in (
        (bool, "a boolean"), (NUMBERS, "a number"), (str, "text"), (list, "a list"), (dict, "an object"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return words
    return f"a {type(value).__name__}"
