"""The kinds of scores: right or wrong, or graded from 0 to 1. Pure; one score a row.

- Numbers are equal by value (1 and 1.0), booleans and text only to themselves, lists in order, `None` to nothing.
- Numbers are subtracted as they are written in decimal, so that 0.4 is within 0.1 of 0.3.
- Where a row accepts several answers, the best score counts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from operator import eq
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minieval.contract.documents import MAX_NUMBER_DIGITS, Json
from minieval.contract.exits import CannotJudge
from minieval.contract.report import Metric
from minieval.task.answers import Places, as_written, describe_kind, is_number
from minieval.task.document import Kind, Scoring

ARTICLES = frozenset({"a", "an", "the"})
# Unicode's stream-safe text (UAX #15, section 13): in a longer run of marks, NFC takes time with its square.
LONGEST_RUN = 30
JOINER = "\N{COMBINING GRAPHEME JOINER}"
PAIRS_OF_MARKS = "\u0f73\u0f75\u0f81"  # no marks themselves, and two marks each after NFC
ALIKE = ({str}, {int, float}, {bool})  # types that Python compares as the gate does

INFINITE = (float("inf"), float("-inf"))
LARGEST_ROUNDED = 20  # power of ten

Rows = Callable[[], Sequence[dict[str, Json]]]
Scores = npt.NDArray[np.float64]


class Scorer(Protocol):
    """Scores one batch after the other.

    ``graded``: a score may lie between 0 and 1. ``types_matter``: answers of another type than the labels are all
    wrong.
    """

    graded: bool
    types_matter: bool

    def score(
        self,
        expected: Sequence[Json],
        accepted: Sequence[Sequence[Json]] | None,
        answers: Sequence[Json],
        features: Rows,
        where: Places,
    ) -> Scores:
        """Return a score from 0 to 1 for each row of a batch.

        ``features`` returns the features of each row; ``where`` names the place of a row, counted from 0.

        Raises:
            CannotJudge: a label or an answer is not what this kind of score needs; the message names the row.
        """

    def metrics(self) -> dict[str, Metric]:
        """Return figures beside the score, over all rows so far."""


Compare = Callable[[Json, Json], float]  # of one expected and one given answer, which is not None


class _RowByRow:
    """A score that follows from one expected and one given answer."""

    types_matter = True

    def __init__(self, compare: Compare, *, graded: bool) -> None:
        self._compare, self.graded = compare, graded

    def score(
        self,
        expected: Sequence[Json],
        accepted: Sequence[Sequence[Json]] | None,
        answers: Sequence[Json],
        features: Rows,  # noqa: ARG002 - of the protocol
        where: Places,
    ) -> Scores:
        """Score each row by its best accepted answer."""
        found = np.zeros(len(expected))
        for index, (label, answer) in enumerate(zip(expected, answers, strict=True)):
            if answer is None:
                continue
            others = accepted[index] if accepted is not None else ()
            try:
                found[index] = max(self._compare(right, answer) for right in (label, *others))
            except WrongKind as error:
                raise CannotJudge(f"{where(index)}: {error}") from error
        return found

    def metrics(self) -> dict[str, Metric]:
        """Return nothing: the score is the figure."""
        return {}


class WrongKind(Exception):
    """A label or an answer is not what a score needs."""


class Exact(_RowByRow):
    """Right when equal to the expected answer, or to an accepted one."""

    def __init__(self) -> None:
        super().__init__(equal_values, graded=False)

    def score(
        self,
        expected: Sequence[Json],
        accepted: Sequence[Sequence[Json]] | None,
        answers: Sequence[Json],
        features: Rows,
        where: Places,
    ) -> Scores:
        """Score a batch; at once where Python's own equality is the gate's."""
        types = {*map(type, expected), *map(type, answers)} - {type(None)}
        if accepted is None and any(types <= alike for alike in ALIKE):
            return np.fromiter(map(eq, expected, answers), np.float64, len(expected))
        return super().score(expected, accepted, answers, features, where)


class Error:
    """Graded by the distance from the expected number: 1 without an error, 0 from ``cap`` on."""

    graded = True
    types_matter = False  # text where a number is needed is refused

    def __init__(self, cap: Decimal, unit: str | None) -> None:
        self._cap, self._unit = cap, unit
        self._sum, self._answered = Decimal(0), 0

    def score(
        self,
        expected: Sequence[Json],
        accepted: Sequence[Sequence[Json]] | None,
        answers: Sequence[Json],
        features: Rows,  # noqa: ARG002 - of the protocol
        where: Places,
    ) -> Scores:
        """Score each row by the nearest accepted number, and add its error to the mean."""
        found = np.zeros(len(expected))
        for index, (label, answer) in enumerate(zip(expected, answers, strict=True)):
            if answer is None:
                continue
            others = accepted[index] if accepted is not None else ()
            try:
                given = _number(answer, "the answer")
                error = min(abs(given - _number(right, "the expected answer")) for right in (label, *others))
            except WrongKind as wrong:
                raise CannotJudge(f"{where(index)}: {wrong}") from wrong
            self._sum += error
            self._answered += 1
            found[index] = float(1 - min(error, self._cap) / self._cap)
        return found

    def metrics(self) -> dict[str, Metric]:
        """Return the mean absolute error of the rows that were answered, in the unit of the answer."""
        if not self._answered:
            return {}
        mean = self._sum / self._answered
        # A decimal has 28 digits: a larger mean has no six of them after the point.
        value = mean if mean.adjusted() > LARGEST_ROUNDED else round(mean, 6)
        return {"mean_absolute_error": Metric(value=value, unit=self._unit, direction="lower")}


def make_scorer(scoring: Scoring) -> Scorer:
    """Return the scorer of a task; for every kind but ``python``, which runs in a process of its own.

    Raises:
        ValueError: the kind is ``python``.
    """
    if scoring.kind is Kind.EXACT:
        return Exact()
    if scoring.kind is Kind.ERROR:
        return Error(scoring.cap or Decimal(1), scoring.unit)
    if scoring.kind is Kind.PYTHON:
        raise ValueError("a scorer of the repository's own runs in a process of its own")
    return _RowByRow(_comparisons(scoring)[scoring.kind], graded=scoring.is_graded)


def _comparisons(scoring: Scoring) -> Mapping[Kind, Compare]:
    """Return how each kind compares an expected answer (first) with a given one."""
    fold, most = _Fold(frozenset(scoring.ignore)), scoring.k
    return {
        Kind.TEXT: lambda right, answer: fold(right) == fold(answer),
        Kind.NUMERIC: lambda right, answer: _is_near(right, answer, scoring),
        Kind.TOP_K: lambda right, answer: _holds(_list(answer)[:most], right),
        Kind.ANY_OF: lambda right, answer: _holds(_expected_list(right), answer),
        Kind.SET: lambda right, answer: _same_set(_expected_list(right), _list(answer)),
        Kind.OVERLAP: _overlap_of_items if scoring.of == "items" else _overlap_of_tokens,
    }


def equal_values(right: Json, answer: Json) -> bool:
    """Return whether two values are equal as answers are: by value and type, lists and objects by their parts."""
    if is_number(right) and is_number(answer):
        mixed = isinstance(right, Decimal) != isinstance(answer, Decimal)  # the classes of a task are decimals
        return bool(as_written(right) == as_written(answer) if mixed else right == answer)
    if type(right) is not type(answer) or right is None:
        return False
    if isinstance(right, list):
        return len(right) == len(answer) and all(map(equal_values, right, answer))
    if isinstance(right, dict):
        return right.keys() == answer.keys() and all(equal_values(right[key], answer[key]) for key in right)
    return bool(right == answer)


class _Fold:
    """Text after NFC, without what is ignored."""

    def __init__(self, ignored: frozenset[str]) -> None:
        self._ignored = ignored

    def __call__(self, value: Json) -> str:
        if not isinstance(value, str):
            raise WrongKind(f"text is compared, and this is {describe_kind(value)}")
        text = _compose(value)
        if "case" in self._ignored:
            text = _compose(text.casefold())  # folding can decompose a character
        if "punctuation" in self._ignored:
            text = "".join(each for each in text if not unicodedata.category(each).startswith("P"))
        if "articles" in self._ignored:
            text = " ".join(word for word in text.split() if word.casefold() not in ARTICLES)
        return " ".join(text.split()) if "space" in self._ignored else text


def _compose(text: str) -> str:
    """Return the text in NFC; a run of combining marks is parted first, after every `LONGEST_RUN` of them."""
    if text.isascii():
        return text
    parts, run = [], 0
    for each in text:
        run = run + 1 if unicodedata.combining(each) or each in PAIRS_OF_MARKS else 0
        if run > LONGEST_RUN:
            parts.append(JOINER)
            run = 1
        parts.append(each)
    return unicodedata.normalize("NFC", "".join(parts))


def _is_near(right: Json, answer: Json, scoring: Scoring) -> bool:
    expected, given = _number(right, "the expected answer"), _number(answer, "the answer")
    return abs(given - expected) <= scoring.atol + scoring.rtol * abs(expected)


def _number(value: Json, what: str) -> Decimal:
    """Return a number as it is written in decimal.

    Raises:
        WrongKind: it is none, infinite, or so large that a document cannot hold its error.
    """
    if not is_number(value):
        raise WrongKind(f"{what} is {describe_kind(value)}, and a number is needed")
    number = as_written(value)
    if not number.is_finite():
        raise WrongKind(f"{what} is {number}, and a finite number is needed")
    if number.adjusted() >= MAX_NUMBER_DIGITS:
        raise WrongKind(f"{what} is {number:.3g}, and numbers below 1e{MAX_NUMBER_DIGITS} are compared")
    return number


def _list(answer: Json) -> list[Json]:
    if not isinstance(answer, list):
        raise WrongKind(f"the answer is {describe_kind(answer)}, and a list is needed")
    return answer


def _expected_list(right: Json) -> list[Json]:
    if not isinstance(right, list):
        raise WrongKind(f"the expected answer is {describe_kind(right)}, and a list is needed")
    return right


def _holds(values: Sequence[Json], wanted: Json) -> bool:
    return any(equal_values(value, wanted) for value in values)


def _same_set(right: Sequence[Json], answer: Sequence[Json]) -> bool:
    return {_key(value) for value in right} == {_key(value) for value in answer}


def _overlap_of_items(right: Json, answer: Json) -> float:
    expected, given = ({_key(value) for value in values} for values in (_expected_list(right), _list(answer)))
    return _f1(len(expected & given), len(expected), len(given))


def _key(value: Json) -> Hashable:
    """Return a key that two values share if they are equal as answers are: a long list is not compared pair by pair."""
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return object()  # equal to nothing
    if is_number(value):
        # As text, whose hash is secret: a candidate can choose many integers of one hash, and a set of them is slow.
        number = float(value) if isinstance(value, Decimal) else value
        if number in INFINITE:  # in the labels of a Parquet file
            return float, str(number)
        top, bottom = number.as_integer_ratio()
        return float, f"{top:x}/{bottom:x}"
    if isinstance(value, list):
        return (list, *map(_key, value))
    if isinstance(value, dict):
        return dict, frozenset((name, _key(each)) for name, each in value.items())
    return type(value), value


def _overlap_of_tokens(right: Json, answer: Json) -> float:
    """Return the F1 of two texts as bags of words, without case (P. Rajpurkar et al., SQuAD, EMNLP 2016)."""
    fold = _Fold(frozenset({"case", "punctuation", "space"}))
    expected, given = Counter(fold(right).split()), Counter(fold(answer).split())
    return _f1((expected & given).total(), expected.total(), given.total())


def _f1(both: int, expected: int, given: int) -> float:
    return 2 * both / (expected + given) if expected + given else 1.0
