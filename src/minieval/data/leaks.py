"""Find features that are the answer: a candidate that reads one scores every row without being a model.

- A name proves nothing (`target` may be a sentence in another language), so values are compared: a feature, or a value
  nested in one, is a leak when it is a right answer in every row.
- Where all rows have one answer, a constant feature may equal it by chance, so nothing is found there.
- White space around a value does not matter; upper and lower case do, since restoring case is a task of its own.
- Features that equal the answer in less than half of the first `FIRST` rows are let go, and the others are counted in
  all rows: few sets have one, and comparing every feature would cost as much as reading it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from minieval.contract.documents import Json

FIRST = 1000  # rows in which every feature is compared
NEARLY_ALL = Decimal("0.99")  # of the rows: from here on a feature is worth a warning


class AnswerMatches:
    """How often each feature was a right answer, counted while an eval set is read.

    A feature is named by its path, as ``meta.answer`` or ``choices[0]``.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._answers: set[str] = set()
        self._equal: Counter[str] = Counter()
        self._wanted: frozenset[str] | None = None  # the columns that are still compared; None: all

    @property
    def columns(self) -> frozenset[str] | None:
        """Return the features that are still compared; `None` for all of them."""
        return self._wanted

    def add(self, features: Mapping[str, Sequence[Json]], right: Sequence[Sequence[Json]]) -> None:
        """Count further rows: their features by column, and the right answers of each row."""
        for index, answers in enumerate(right):
            texts = {text for answer in answers if (text := _text(answer)) is not None}
            if len(self._answers) < 2:
                self._answers |= texts
            for name, cells in features.items():
                for path, text in _list_texts(name, cells[index]):
                    if text in texts:
                        self._equal[path] += 1
        self._rows += len(right)
        if self._wanted is None and self._rows >= FIRST:
            likely = {path for path, count in self._equal.items() if 2 * count >= self._rows}
            self._wanted = frozenset(name for name in features if any(_is_of(path, name) for path in likely))

    def skip(self, answers: Sequence[Json]) -> None:
        """Count further rows of which no feature is compared any more; ``answers`` are their expected ones."""
        self._rows += len(answers)
        if len(self._answers) < 2:
            self._answers |= {text for answer in answers if (text := _text(answer)) is not None}

    @property
    def leaks(self) -> tuple[str, ...]:
        """Return the features that are a right answer in every row."""
        return tuple(path for path, count in self._found if count == self._rows)

    @property
    def suspects(self) -> tuple[tuple[str, int], ...]:
        """Return the features that are a right answer in `NEARLY_ALL` rows and not in all, with the number of rows."""
        return tuple((path, n) for path, n in self._found if self._rows * NEARLY_ALL <= n < self._rows)

    @property
    def _found(self) -> list[tuple[str, int]]:
        return sorted(self._equal.items()) if len(self._answers) > 1 else []


def _is_of(path: str, column: str) -> bool:
    return path == column or path.startswith((f"{column}.", f"{column}["))


def _list_texts(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield each value that has a text, with its path: strings without surrounding white space, and numbers."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _list_texts(f"{path}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _list_texts(f"{path}[{index}]", each)
    elif (text := _text(value)) is not None:
        yield path, text


def _text(value: Json) -> str | None:
    """Return a value as answers are compared here; `None` for one that has no text of its own."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float | Decimal) else None
