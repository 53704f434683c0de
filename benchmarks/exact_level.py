"""Print the exact level of the gate's paired tests, summed over every outcome, as the Markdown of docs/statistics.md.

``python -m benchmarks.exact_level`` (about a minute). False pass: the candidate is truly worse by exactly the
margin, and "not worse than the margin" is declared proved. False block: the same truth, and "worse than the margin"
is declared proved. Each cell of the first two tables is the largest probability over every disagreement from the
margin to 1; the third shows it at single disagreements.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from lynxgate.decision.statistics import chance_of_holding, quantile
from lynxgate.decision.statistics.decision import EXACT_ROWS, correction
from lynxgate.decision.statistics.exact import critical_z, size, worse_size

ROWS = (10, 20, 50, 100, 200, 268, 300, 500, 1000, 2000, 5000, 20000)
MARGINS = (0.01, 0.02, 0.03, 0.05, 0.1)
LEVELS = (0.05, 0.025)
DISAGREEMENTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def false_pass(n: int, margin: float, level: float) -> tuple[float, float]:
    """Largest false-pass probability of Tango's test as published, and of the exact test, by which the gate passes."""
    z = quantile(1 - level)
    tango = size(n, margin, z)[0]
    if n > EXACT_ROWS:
        return tango, size(n, margin, z, correction(margin, z, 1))[0]
    return tango, size(n, margin, critical_z(n, margin, level))[0]


def false_block(n: int, margin: float, level: float) -> tuple[float, float]:
    """Largest exact false-block probability of Tango's test, by which the gate blocks, and of the exact test."""
    z = quantile(1 - level)
    tango = worse_size(n, margin, -z)[0]
    if n > EXACT_ROWS:
        return tango, worse_size(n, margin, -z, correction(margin, z, -1))[0]
    return tango, worse_size(n, margin, -critical_z(n, margin, level, -1))[0]


def level_rows(level: float, rows: Iterable[int] = ROWS) -> Iterator[str]:
    """One Markdown row for each n, per margin ``false pass / false block`` in percent, Tango's then exact."""
    for n in rows:
        cells = []
        for margin in MARGINS:
            passes, blocks = false_pass(n, margin, level), false_block(n, margin, level)
            cells.append(" → ".join(f"{100 * p:.2f} / {100 * b:.2f}" for p, b in zip(passes, blocks, strict=True)))
        yield _row(str(n), cells)


def disagreement_rows(margin: float, rows: Iterable[int] = ROWS) -> Iterator[str]:
    """One Markdown row for each n: the gate's false-pass probability at single disagreements, level 5 %."""
    for n in rows:
        yield _row(
            str(n),
            [
                f"{100 * chance_of_holding(n, margin, share, -margin):.2f}" if share >= margin else ""
                for share in DISAGREEMENTS
            ],
        )


def _row(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"


def tables() -> Iterator[str]:
    """Every line of the generated part of docs/statistics.md."""
    for level in LEVELS:
        yield f"Level {100 * level:g} %: false pass / false block in percent, Tango's test → the exact test."
        yield ""
        yield _row("n", [f"margin {100 * margin:g} pp" for margin in MARGINS])
        yield "|" + "---|" * (len(MARGINS) + 1)
        yield from level_rows(level)
        yield ""
    for margin in (0.01, 0.03):
        yield f"The gate's false pass in percent at level 5 %, margin {100 * margin:g} pp, for single disagreements."
        yield ""
        yield _row("n", [f"{100 * share:g} %" for share in DISAGREEMENTS])
        yield "|" + "---|" * (len(DISAGREEMENTS) + 1)
        yield from disagreement_rows(margin)
        yield ""


if __name__ == "__main__":
    for line in tables():
        sys.stdout.write(line + "\n")
