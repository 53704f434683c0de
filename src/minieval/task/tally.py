"""The figures of all rows and of each bucket, from scores that arrive batch by batch.

- One value a row is kept, in eval-set order: a bit for right or wrong, a byte for the number of right trials, two bytes
  for a graded score. Nothing else grows with the rows.
- It never sees an answer or a label, only their scores.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minieval.contract.report import Measured

FOUR_DECIMALS = Decimal("0.0001")
UNITS = 10_000  # a graded score of 1 is this many units

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of all rows, and of each bucket, by name in code-point order."""

    aggregate: Measured
    buckets: dict[str, Measured]


class Figures(Protocol):
    """The scores of one set of rows, in the order in which they were added."""

    def add(self, scores: Integers) -> None:
        """Add the scores of further rows."""

    def measure(self) -> Measured:
        """Return the figures; there is at least one row."""


@dataclass(slots=True)
class Bits:
    """Packed bits, the first one the most significant of the first byte."""

    packed: bytearray = field(default_factory=bytearray)
    rest: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    n: int = 0
    ones: int = 0

    def add(self, bits: Integers) -> None:
        """Add bits, each 0 or 1."""
        self.n += len(bits)
        self.ones += int(bits.sum())
        joined = np.concatenate([self.rest, bits.astype(np.uint8)])
        whole = len(joined) // 8 * 8
        self.packed += np.packbits(joined[:whole]).tobytes()
        self.rest = joined[whole:]

    def encode(self) -> str:
        """Return the bits as base64, the last byte padded with zeros."""
        return base64.b64encode(bytes(self.packed) + np.packbits(self.rest).tobytes()).decode()


class Outcomes:
    """Right (1) or wrong (0), one bit a row."""

    def __init__(self) -> None:
        self._bits = Bits()

    def add(self, scores: Integers) -> None:
        """Add the outcomes of further rows, each 0 or 1."""
        self._bits.add(scores)

    def measure(self) -> Measured:
        """Return n, correct, accuracy and outcomes."""
        n, correct = self._bits.n, self._bits.ones
        return Measured(n=n, correct=correct, accuracy=_share(correct, n), outcomes=self._bits.encode())


class Trials:
    """How many of ``trials`` answers were right, one byte a row."""

    def __init__(self, trials: int) -> None:
        self._trials, self._counts, self._right = trials, bytearray(), 0

    def add(self, scores: Integers) -> None:
        """Add the numbers of right trials of further rows, each 0 to ``trials``."""
        self._right += int(scores.sum())
        self._counts += scores.astype(np.uint8).tobytes()

    def measure(self) -> Measured:
        """Return n, trials, correct (of n times trials), accuracy and counts."""
        n, right = len(self._counts), self._right
        accuracy, counts = _share(right, n * self._trials), base64.b64encode(self._counts).decode()
        return Measured(n=n, trials=self._trials, correct=right, accuracy=accuracy, counts=counts)


class Graded:
    """A score from 0 to `UNITS`, two bytes a row, the high byte first."""

    def __init__(self) -> None:
        self._scores, self._points = bytearray(), 0

    def add(self, scores: Integers) -> None:
        """Add the scores of further rows, each 0 to `UNITS`."""
        self._points += int(scores.sum())
        self._scores += scores.astype(">u2").tobytes()

    def measure(self) -> Measured:
        """Return n, points, mean and scores."""
        n = len(self._scores) // 2
        mean, scores = _share(self._points, n * UNITS), base64.b64encode(self._scores).decode()
        return Measured(n=n, points=self._points, mean=mean, scores=scores)


class Tally:
    """The figures of all rows and of each bucket; ``names`` are the buckets by code, and may grow between batches."""

    def __init__(self, names: list[str], *, graded: bool, trials: int) -> None:
        self._names, self._graded, self._trials = names, graded, trials
        self._all = self._figures()
        self._buckets: list[Figures] = []

    def add(self, scores: Integers, rows: Integers, codes: npt.NDArray[np.int32]) -> None:
        """Add one batch: a score for each of its rows, and its pairs of row (from 0) and bucket, ordered by row."""
        self._all.add(scores)
        self._buckets += [self._figures() for _ in self._names[len(self._buckets) :]]
        order = np.argsort(codes, kind="stable")  # rows of one bucket stay in order
        ordered = codes[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
            self._buckets[ordered[start]].add(scores[rows[order[start:end]]])

    def measure(self) -> Score:
        """Return the figures; at least one row was added."""
        named = sorted(zip(self._names, self._buckets, strict=True), key=lambda pair: pair[0])
        return Score(self._all.measure(), {name: figures.measure() for name, figures in named})

    def _figures(self) -> Figures:
        if self._graded:
            return Graded()
        return Outcomes() if self._trials == 1 else Trials(self._trials)


def _share(part: int, whole: int) -> Decimal:
    return (Decimal(part) / whole).quantize(FOUR_DECIMALS, ROUND_HALF_EVEN)
