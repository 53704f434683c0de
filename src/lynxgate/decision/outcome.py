"""The outcomes of a row of a verdict, and the type of its figures: exact text.

- Only `Outcome.HELD` passes. The outcomes in `WORSE` are a regression (exit 2); the others cannot be judged (exit 3).
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

_EXACT = r"-?[0-9]+(\.[0-9]+|/[1-9][0-9]*)?"


class Outcome(StrEnum):
    """The outcome of one bucket or metric; only `HELD` passes."""

    HELD = "held"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    UNMEASURED = "unmeasured"
    NEW = "new"


WORSE: Final = frozenset({Outcome.REGRESSED, Outcome.MISSING, Outcome.NEW})


def _exact(text: str) -> str:
    Fraction(text)  # the pattern admits only what `Fraction` reads; this makes sure
    return text


Exact = Annotated[
    str,
    Field(pattern=f"^{_EXACT}$", max_length=200),
    AfterValidator(_exact),
    WithJsonSchema({"type": "string", "pattern": f"^{_EXACT}$"}),
]
