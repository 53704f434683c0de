"""The bitset in a document that says which rows of a bucket were right.

The first row is the most significant bit of the first byte; the last byte is padded with zeros; the bytes are
strict base64. A million rows take 167 kB.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence


def pack_outcomes(outcomes: Sequence[bool]) -> str:
    """Bitset of ``outcomes``: the first row is the most significant bit of the first byte, zero padded, base64."""
    bits = "".join("1" if right else "0" for right in outcomes)
    size = (len(bits) + 7) // 8
    return base64.b64encode(int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")).decode()


def unpack_outcomes(text: str, n: int) -> int:
    """The bitset of ``n`` rows as an integer whose most significant of ``n`` bits is the first row.

    Raises:
        ValueError: when ``text`` is not strict base64 of exactly ``n`` bits with zero padding.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"outcomes are not strict base64: {error}") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("outcomes are not strict base64: its last character carries stray bits")
    if len(data) != (n + 7) // 8:
        raise ValueError(f"outcomes hold {len(data)} bytes where {n} rows need {(n + 7) // 8}")
    bits = int.from_bytes(data, "big")
    padding = len(data) * 8 - n
    if bits & ((1 << padding) - 1):
        raise ValueError("outcomes have bits set beyond the last row")
    return bits >> padding
