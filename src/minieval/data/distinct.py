"""Distinct values over a whole set: eight bytes a row, whatever the length of a value."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

FIRST_CAPACITY = 16_384
GROWTH = 1.25


class Hashes:
    """The hash of a value for each row. Hashes are of this process: equal values have equal ones, and seldom others."""

    def __init__(self) -> None:
        self._hashes: npt.NDArray[np.int64] = np.zeros(FIRST_CAPACITY, np.int64)
        self._n = 0

    def add(self, values: Sequence[Hashable]) -> None:
        """Add the values of further rows."""
        end = self._n + len(values)
        if end > len(self._hashes):
            # In place: a copy would hold all of them twice.
            self._hashes.resize(max(end, int(len(self._hashes) * GROWTH)), refcheck=False)
        self._hashes[self._n : end] = np.fromiter(map(hash, values), np.int64, len(values))
        self._n = end

    def sort(self) -> npt.NDArray[np.int64]:
        """Return all hashes in ascending order. Nothing can be added afterwards."""
        self._hashes.resize(self._n, refcheck=False)
        self._hashes.sort()
        return self._hashes

    def count(self) -> int:
        """Return the number of distinct hashes."""
        ordered = self.sort()
        return int(np.count_nonzero(np.diff(ordered))) + 1 if len(ordered) else 0

    def find_repeated(self) -> set[int]:
        """Return the hashes that occur more than once."""
        ordered = self.sort()
        return set(ordered[1:][np.diff(ordered) == 0].tolist())
