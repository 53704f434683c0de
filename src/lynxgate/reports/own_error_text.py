"""Render what a decision reveals about its own error, as two sentences. Pure; the caller escapes bucket names."""

from __future__ import annotations

from collections.abc import Callable

from lynxgate.analysis.own_error import POWER, OwnError, measure_own_error
from lynxgate.analysis.planned_row import PlannedRow
from lynxgate.decision.verdict import Verdict

_MOST_NAMED = 5  # rows, those that see the least first


def describe_own_error(verdict: Verdict, escape: Callable[[str], str]) -> tuple[str, ...]:
    """Return the sentences; none where the error cannot be computed. ``escape`` makes a bucket's name printable."""
    found = measure_own_error(verdict)
    return () if found is None else (_describe_blocks(found), _describe_drops(found, escape))


def _describe_blocks(found: OwnError) -> str:
    return (
        f"This policy blocks an equal model in at most {100 * found.blocks_equal_at_most:.1f} % of gates, at the "
        f"{100 * found.disagreement:.2g} % of rows on which the two models differ."
    )


def _describe_drops(found: OwnError, escape: Callable[[str], str]) -> str:
    least = sorted(found.rows, key=lambda row: (-(1.0 if row.smallest_drop is None else row.smallest_drop), row.bucket))
    named = ", ".join(f"{escape(row.bucket)} {_drop(row)}" for row in least[:_MOST_NAMED])
    more = len(least) - _MOST_NAMED
    rest = f", and less in {more} more" if more > 0 else ""
    return f"The smallest drop that it sees with a chance of {100 * POWER:g} %: {named}{rest}."


def _drop(row: PlannedRow) -> str:
    return "none at all" if row.smallest_drop is None else f"{100 * row.smallest_drop:.1f} pp"
