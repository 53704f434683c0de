"""How figures and names are written for people: figures exactly or shortly, names harmlessly.

- What a candidate or an evaluator named is hostile until it went through `visible` (terminals) or `as_code` (Markdown).
- A shortened difference never looks like the tolerance it missed.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

_PLAIN = re.compile(r"[^`|\\\s]+( [^`|\\\s]+)*")
_DIGITS = range(2, 9)


def format_exactly(value: Fraction | Decimal) -> str:
    """A decimal where the value has one (as ``2.0`` or ``-1.25``), else the fraction ``p/q`` in lowest terms."""
    value = Fraction(value)
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    return f"{value.numerator}/{value.denominator}" if rest > 1 else _round(value, max(twos, fives, 1))


def format_figure(value: Fraction | Decimal) -> str:
    """Exactly where that is short, else six significant digits; a whole number without a point."""
    text = format_exactly(value).removesuffix(".0")
    return text if "/" not in text and len(text) <= 16 else f"{float(value):.6g}"


def format_change(value: Fraction) -> str:
    """As `format_figure`, with its sign."""
    return ("+" if value > 0 else "") + format_figure(value)


def format_points(points: Fraction, limit: Fraction | None = None) -> str:
    """Signed percentage points with two decimals, or as many more as it takes to differ from 0 and ``limit``."""
    return ("+" if points > 0 else "") + _round_apart(points, Fraction(0) if limit is None else limit, Fraction(0))


def format_percent(share: Fraction, limit: Fraction | None = None) -> str:
    """A share as a percentage with two decimals, or as many more as it takes to differ from ``limit``."""
    return f"{_round_apart(share * 100, *(() if limit is None else (limit * 100,)))} %"


def format_interval(interval: tuple[str, str], *, signed: bool = False) -> str:
    """Both limits of an interval with two decimals, as ``-1.25 to +0.40`` (``signed``) or ``93.10 to 96.22``."""
    low, high = (_round(Fraction(limit), 2) for limit in interval)
    return f"{_sign(low)} to {_sign(high)}" if signed else f"{low} to {high}"


def visible(text: str) -> str:
    """``text`` on one line, with every character that a terminal or an editor acts upon written out."""
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)


def as_code(text: str) -> str:
    """``text`` as Markdown that shows it, in a table cell or anywhere, and does nothing else.

    In code nothing mentions, links or closes; whatever could end a code span or a cell is spelled as HTML entities.
    """
    shown = visible(text)
    if _PLAIN.fullmatch(shown):
        return f"`{shown}`"
    return "<code>" + "".join(c if c.isalnum() else f"&#{ord(c)};" for c in shown) + "</code>"


def _round_apart(value: Fraction, *others: Fraction) -> str:
    for digits in _DIGITS:
        text = _round(value, digits)
        if value in others or Fraction(text) not in others:
            return text
    return format_exactly(value)


def _round(value: Fraction, digits: int) -> str:
    scaled = round(abs(value) * 10**digits)
    sign = "-" if value < 0 and scaled else ""
    return f"{sign}{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}"


def _sign(text: str) -> str:
    return text if text.startswith("-") or not Fraction(text) else f"+{text}"
