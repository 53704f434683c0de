"""Lay out cells as text: GitHub tables, and columns of equal width for a terminal.

Cells are written as they are: a caller escapes names and sentences first (`lynxgate.escape`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

Cells = Sequence[str]


def markdown_line(cells: Cells) -> str:
    """Return one line of a GitHub table."""
    return f"| {' | '.join(cells)} |"


def markdown_table(columns: Cells, rows: Sequence[Cells], *, left: Collection[str]) -> str:
    """Return a GitHub table; the columns named in ``left`` are aligned left, the others right."""
    rule = ["---" if name in left else "---:" for name in columns]
    return "\n".join(markdown_line(cells) for cells in (columns, rule, *rows))


def aligned_lines(columns: Cells, rows: Sequence[Cells], *, left: Collection[str]) -> list[str]:
    """Return a header and a line for each row, in columns as wide as their longest cell, two spaces apart.

    The columns named in ``left`` are aligned left, the others right.
    """
    table = [columns, *rows]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(columns))]
    return [
        "  ".join(
            cell.ljust(width) if name in left else cell.rjust(width)
            for cell, width, name in zip(cells, widths, columns, strict=True)
        ).rstrip()
        for cells in table
    ]
