"""The double quotes of a CSV file, checked while it is read: Arrow would read a broken one as text, and lose rows.

- As in RFC 4180, a quote opens at the start of a cell and closes at its end; inside, it is written twice.
- A quote that is never closed would make one cell of all rows after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minieval.contract.evalset import FileDigests
from minieval.data.files import HashingFile

BOM = b"\xef\xbb\xbf"
QUOTE = 0x22


def _table(allowed: bytes) -> npt.NDArray[np.bool_]:
    found = np.zeros(256, np.bool_)
    found[list(allowed)] = True
    return found


# A quote beside another one is one half of a quote that is written twice.
BEFORE_OPENING = _table(b',\n\r"')
AFTER_CLOSING = _table(b',\n\r"')


class QuotedFile:
    """A CSV file as Arrow reads it, once from its start to its end: hashed, and its quotes checked.

    ``fault`` is the first thing wrong with the quotes, with its line; `None` if nothing is.
    """

    closed = False  # of Python's file protocol, which Arrow asks for

    def __init__(self, file: HashingFile) -> None:
        self._file = file
        self._quotes = 0  # seen so far; after an odd number the text is inside a cell
        self._line, self._opened = 1, 1
        self._last = ord("\n")
        self.fault: str | None = None

    def read(self, size: int) -> bytes:
        """Read, hash and check up to ``size`` bytes."""
        data = self._file.read(size)
        if not data:
            if self._quotes % 2 and self.fault is None:
                self.fault = f"line {self._opened}: a double quote is opened and never closed"
        elif self.fault is None:
            self._check(data)
        return data

    def close(self) -> None:
        """Do nothing; the file is closed where it was opened."""

    def finish(self) -> FileDigests:
        """Read what is left, and return the digests of the whole file."""
        while self.read(1024 * 1024):
            pass
        return self._file.digests

    def _check(self, data: bytes) -> None:
        raw = np.frombuffer(data, np.uint8)
        ends_closed = self._last == QUOTE and self._quotes % 2 == 0 and self._quotes > 0
        if ends_closed and not AFTER_CLOSING[raw[0]]:
            self.fault = f"line {self._line}: {STRAY}"
            return
        places = np.flatnonzero(raw == QUOTE) if b'"' in data else np.zeros(0, np.int64)
        if len(places):
            self._check_places(data, raw, places)
        self._quotes += len(places)
        self._line += data.count(b"\n")
        self._last = data[-1]

    def _check_places(self, data: bytes, raw: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]) -> None:
        opens = (np.arange(len(places)) + self._quotes) % 2 == 0
        before = np.where(places > 0, raw[places - 1], self._last)
        after = raw[np.minimum(places + 1, len(raw) - 1)]  # the last byte of a block is its own: a quote, checked later
        is_first = (places == len(BOM)) & data.startswith(BOM) & (self._quotes == 0) & (self._line == 1)
        fine = np.where(opens, BEFORE_OPENING[before] | is_first, AFTER_CLOSING[after])
        if not fine.all():
            place = int(places[np.argmin(fine)])
            self.fault = f"line {self._line + data[:place].count(10)}: {STRAY}"
        if opens.any():
            self._opened = self._line + data[: int(places[opens][-1])].count(10)


STRAY = (
    "a double quote inside a cell that is not enclosed in quotes, or text after a closing one; enclose the cell, and "
    "write the quote twice"
)
