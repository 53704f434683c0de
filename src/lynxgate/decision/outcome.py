"""What can come of one row of a verdict, and how its figures are written: exactly, as text.

- Only `Outcome.HELD` lets a candidate through; `WORSE` are those that fail it rather than leave it unjudged.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

_EXACT = r"-?[0-9]+(\.[0-9]+|/[1-9][0-9]*)?"


class Outcome(StrEnum):
    """What came of one bucket or metric; only `HELD` lets a candidate through."""

    HELD = "held"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    UNMEASURED = "unmeasured"
    NEW = "new"


WORSE: Final = frozenset({Outcome.REGRESSED, Outcome.MISSING, Outcome.NEW})


def _exact(text: str) -> str:
    Fraction(text)
    return text


Exact = Annotated[
    str,
    Field(pattern=f"^{_EXACT}$", max_length=200),
    AfterValidator(_exact),
    WithJsonSchema({"type": "string", "pattern": f"^{_EXACT}$"}),
]
