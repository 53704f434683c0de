"""The bitset of a bucket in a document: which of its rows were right.

The first row is the most significant bit of the first byte; the last byte is padded with zeros; the bytes are
strict base64. A million rows take 167 kB.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence


def pack_outcomes(outcomes: Sequence[bool]) -> str:
    """Return the bitset of ``outcomes`` (one boolean a row, in eval-set order) as base64."""
    bits = "".join("1" if right else "0" for right in outcomes)
    size = (len(bits) + 7) // 8
    return base64.b64encode(int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")).decode()


def unpack_outcomes(text: str, n: int) -> int:
    """Return the bitset of ``n`` rows as an integer; of its ``n`` bits the most significant is the first row.

    Raises:
        ValueError: ``text`` is not strict base64 of exactly ``n`` bits with zero padding.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"outcomes are not strict base64: {error}") from error
    # The last character may have bits that decoding drops; with them, two texts would be one bitset.
    if base64.b64encode(data).decode() != text:
        raise ValueError("outcomes are not strict base64: its last character has unused bits that are not 0")
    if len(data) != (n + 7) // 8:
        raise ValueError(f"outcomes hold {len(data)} bytes where {n} rows need {(n + 7) // 8}")
    bits = int.from_bytes(data, "big")
    padding = len(data) * 8 - n
    if bits & ((1 << padding) - 1):
        raise ValueError("outcomes have bits set beyond the last row")
    return bits >> padding
