"""Find features that are the answer: a candidate that reads one scores every row without being a model.

- A name proves nothing (`target` may be a sentence in another language), so values are compared: a feature, or a value
  nested in one, is a leak when it is a right answer in every row.
- Where all rows have one answer, a constant feature may equal it by chance, so nothing is found there.
- White space around a value does not matter; upper and lower case do, since restoring case is a task of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from minieval.contract.documents import Json

NEARLY_ALL = Decimal("0.99")  # of the rows: from here on a feature is worth a warning


@dataclass(slots=True)
class AnswerMatches:
    """How often each feature was a right answer, counted row by row while an eval set is read (one pass).

    ``equal`` has a number for each path that matched at least once, as ``meta.answer`` or ``choices[0]``.
    """

    rows: int = 0
    answers: set[str] = field(default_factory=set)
    equal: Counter[str] = field(default_factory=Counter)

    def add(self, features: Mapping[str, Json], expected: str, accepted: tuple[str, ...]) -> None:
        """Count one row: its features, the expected answer, and other accepted ones."""
        self.rows += 1
        if len(self.answers) < 2:
            self.answers.add(expected)
        right = {answer.strip() for answer in (expected, *accepted)}
        for path, text in _list_texts(features):
            if text in right:
                self.equal[path] += 1

    @property
    def leaks(self) -> tuple[str, ...]:
        """Return the features that are a right answer in every row."""
        return tuple(path for path, count in self._found if count == self.rows)

    @property
    def suspects(self) -> tuple[tuple[str, int], ...]:
        """Return the features that are a right answer in `NEARLY_ALL` rows and not in all, with the number of rows."""
        return tuple((path, n) for path, n in self._found if self.rows * NEARLY_ALL <= n < self.rows)

    @property
    def _found(self) -> list[tuple[str, int]]:
        return sorted(self.equal.items()) if len(self.answers) > 1 else []


def _list_texts(features: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value that has a text, with its path: strings without surrounding white space, and numbers."""
    for name, value in features.items():
        path = f"{prefix}{name}"
        if isinstance(value, str):
            yield path, value.strip()
        elif isinstance(value, dict):
            yield from _list_texts(value, f"{path}.")
        elif isinstance(value, list):
            yield from _list_texts({f"[{index}]": each for index, each in enumerate(value)}, path)
        elif isinstance(value, int | Decimal):
            yield path, str(value)
