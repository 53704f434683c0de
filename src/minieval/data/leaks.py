"""Find features that are the answer: a candidate that reads one scores every row without being a model.

- A name proves nothing (`target` may be a sentence in another language), so values are compared: a feature, or a value
  nested in one, is a leak when it is a right answer in every row.
- Where all rows have one answer, a constant feature may equal it by chance, so nothing is found there.
- White space around a value does not matter; upper and lower case do, since restoring case is a task of its own.
- Features that equal the answer in less than half of the first `FIRST` rows are let go, and the others are counted in
  all rows: few sets have one, and comparing every feature would cost as much as reading it.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from minieval.contract.documents import Json
from minieval.data.batch import Batch, list_values
from minieval.data.schema import Kind

FIRST = 1000  # rows in which every feature is compared
NEARLY_ALL = Decimal("0.99")  # of the rows: from here on a feature is worth a warning


class AnswerMatches:
    """How often each feature was a right answer, counted while an eval set is read.

    A feature is named by its path, as ``meta.answer`` or ``choices[0]``.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._answers: set[str] = set()
        self._equal: Counter[tuple[str, str]] = Counter()  # by column and path
        self._wanted: tuple[str, ...] | None = None  # the columns that are still compared; None: all

    def compare(self, batch: Batch) -> None:
        """Count the rows of a further batch. Where `FIRST` ends does not depend on the batches."""
        left = max(0, FIRST - self._rows)
        if left:
            self._count(batch, batch.table.slice(0, left), batch.roles.features)
        if self._wanted is None and self._rows >= FIRST:
            likely = {name for (name, _), count in self._equal.items() if 2 * count >= self._rows}
            self._wanted = tuple(name for name in batch.roles.features if name in likely)
        if self._wanted is not None and left < len(batch.table):
            self._count(batch, batch.table.slice(left), self._wanted)

    def _count(self, batch: Batch, table: pa.Table, names: Sequence[str]) -> None:
        self._rows += len(table)
        if not names and len(self._answers) > 1:
            return
        roles = batch.roles
        if roles.accepted is None and len(self._answers) > 1 and batch.kind(roles.expected) is Kind.TEXT:
            # Comparing whole columns costs a hundredth of comparing cells.
            answers = pc.utf8_trim_whitespace(table.column(roles.expected))
            for name in (each for each in names if batch.kind(each) is Kind.TEXT):
                equal = pc.sum(pc.equal(pc.utf8_trim_whitespace(table.column(name)), answers))
                self._equal[name, name] += equal.as_py() or 0
            names = [name for name in names if batch.kind(name) is not Kind.TEXT]
            if not names:
                return
        right = [{_text(answer)} for answer in list_values(table.column(roles.expected), batch.kind(roles.expected))]
        if len(self._answers) < 2:
            self._answers |= set(itertools.islice(set().union(*right), 2))
        if roles.accepted is not None:
            others = list_values(table.column(roles.accepted), batch.kind(roles.accepted))
            for answers, more in zip(right, others, strict=True):
                answers |= {_text(answer) for answer in more or ()}
        for name in names:
            cells = list_values(table.column(name), batch.kind(name))
            for cell, answers in zip(cells, right, strict=True):
                self._equal.update({(name, path) for path, text in _list_texts(name, cell) if text in answers})

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
        found = [(path, count) for (_, path), count in self._equal.items()]
        return sorted(found) if len(self._answers) > 1 else []


def _list_texts(path: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield a value and each one nested in it as text, with its path; what is missing has none."""
    if value is not None:
        yield path, _text(value)
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _list_texts(f"{path}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _list_texts(f"{path}[{index}]", each)


def _text(value: Json) -> str:
    """Return a value as it is compared here; 1 and 1.0 and "1" are equal."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)
