"""Write figures for people: exactly, or short.

- A shortened difference never looks like the tolerance that it missed.
- Arithmetic is exact: values are fractions and decimals, never binary floats, until a text is made.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

_DIGITS = range(2, 9)  # decimals that are tried, the fewest first, before the exact value is written
_LONGEST_EXACT = 16  # characters


def format_exactly(value: Fraction | Decimal) -> str:
    """Return a decimal where the value has one (as ``2.0`` or ``-1.25``), else the fraction ``p/q`` in lowest terms."""
    value = Fraction(value)
    # A fraction in lowest terms has a finite decimal exactly when its denominator has no prime factor but 2 and 5. The
    # decimal then has as many digits as the larger of the two exponents.
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    return f"{value.numerator}/{value.denominator}" if rest > 1 else _round(value, max(twos, fives, 1))


def format_figure(value: Fraction | Decimal) -> str:
    """Return the exact value where that is short, else six significant digits; a whole number has no point."""
    text = format_exactly(value).removesuffix(".0")
    return text if "/" not in text and len(text) <= _LONGEST_EXACT else f"{float(value):.6g}"


def format_change(value: Fraction) -> str:
    """Return the text of `format_figure` with a sign."""
    return ("+" if value > 0 else "") + format_figure(value)


def format_points(points: Fraction, limit: Fraction | None = None) -> str:
    """Return signed percentage points with two decimals, or with more where they else equal 0 or ``limit``."""
    return ("+" if points > 0 else "") + _round_apart(points, Fraction(0) if limit is None else limit, Fraction(0))


def format_percent(share: Fraction, limit: Fraction | None = None) -> str:
    """Return a share as a percentage with two decimals, or with more where they else equal ``limit``."""
    limits = () if limit is None else (limit * 100,)
    return f"{_round_apart(share * 100, *limits)} %"


def format_interval(interval: tuple[str, str], *, signed: bool = False) -> str:
    """Return both limits of an interval with two decimals: ``-1.25 to +0.40`` (``signed``) or ``93.10 to 96.22``."""
    low, high = (_round(Fraction(limit), 2) for limit in interval)
    return f"{_sign(low)} to {_sign(high)}" if signed else f"{low} to {high}"


def _round_apart(value: Fraction, *others: Fraction) -> str:
    """Return the shortest decimal that is not equal to one of ``others``, unless ``value`` itself is."""
    for digits in _DIGITS:
        text = _round(value, digits)
        if value in others or Fraction(text) not in others:
            return text
    return format_exactly(value)


def _round(value: Fraction, digits: int) -> str:
    # Round the magnitude, so that -0.5 and 0.5 round alike, and write the digits of the integer, so that no float is
    # involved. A value that rounds to 0 has no sign.
    scaled = round(abs(value) * 10**digits)
    sign = "-" if value < 0 and scaled else ""
    return f"{sign}{scaled // 10**digits}.{scaled % 10**digits:0{digits}d}"


def _sign(text: str) -> str:
    return text if text.startswith("-") or not Fraction(text) else f"+{text}"
