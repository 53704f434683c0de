"""The scores of a bucket in a document, one a row in eval-set order: counts of right answers, or graded scores.

- Counts have one byte a row, from 0 to the number of trials. Graded scores have two (big-endian), 0 to `FULL_SCORE`.
- The bytes are strict base64. A million graded rows take 2.7 MB.
"""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Iterable
from typing import Final

FULL_SCORE: Final = 10_000  # a graded score is a whole number of ten-thousandths


def pack_counts(counts: Iterable[int]) -> str:
    """Return ``counts`` (right answers of each row, 0 to 255) as base64.

    Raises:
        ValueError: a count is not in that range.
    """
    return base64.b64encode(bytes(counts)).decode()


def unpack_counts(text: str, n: int, trials: int) -> tuple[int, ...]:
    """Return the counts of ``n`` rows with ``trials`` answers each.

    Raises:
        ValueError: ``text`` is not strict base64 of ``n`` bytes, or a count is above ``trials``.
    """
    counts = tuple(_decode(text, "counts", n, 1))
    if max(counts) > trials:
        raise ValueError(f"counts have a row with {max(counts)} right answers of {trials}")
    return counts


def pack_scores(scores: Iterable[int]) -> str:
    """Return ``scores`` (one a row, in ten-thousandths) as base64.

    Raises:
        OverflowError: a score does not fit in two bytes.
    """
    packed = array("H", scores)
    _to_big_endian(packed)
    return base64.b64encode(packed.tobytes()).decode()


def unpack_scores(text: str, n: int) -> tuple[int, ...]:
    """Return the scores of ``n`` rows, in ten-thousandths.

    Raises:
        ValueError: ``text`` is not strict base64 of ``n`` pairs of bytes, or a score is above `FULL_SCORE`.
    """
    scores = array("H", _decode(text, "scores", n, 2))
    _to_big_endian(scores)
    if max(scores) > FULL_SCORE:
        raise ValueError(f"scores have a row with {max(scores)}, and a score is at most {FULL_SCORE}")
    return tuple(scores)


def _decode(text: str, what: str, n: int, width: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{what} are not strict base64: {error}") from error
    # The last character may have bits that decoding drops; with them, two texts would be the same scores.
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{what} are not strict base64: its last character has unused bits that are not 0")
    if len(data) != n * width:
        raise ValueError(f"{what} hold {len(data)} bytes where {n} rows need {n * width}")
    return data


def _to_big_endian(numbers: array[int]) -> None:
    """Turn the bytes of each number around, where the machine has the other order; it is its own inverse."""
    if sys.byteorder == "little":
        numbers.byteswap()
