"""Show what a rebaseline changes, as Markdown to review. Pure; names and figures in it are escaped."""

from __future__ import annotations

from collections.abc import Sequence

from lynxgate.escape import as_code
from lynxgate.rebaseline.differences import ABSENT, Move
from lynxgate.rebaseline.move import Rebaselined
from lynxgate.reports.layout import markdown_table

_COLUMNS = ("what", "before", "after", "difference")


def render_moves(moved: Rebaselined) -> str:
    """Return the counts, a GitHub table of the changes, what the gate says, idle globs, and the unguarded metrics."""
    rows = [(_place(move), as_code(move.before), as_code(move.after), move.difference) for move in moved.moves]
    notes = [
        f"The policy's {as_code(glob)} matches no bucket or metric any more; change the policy."
        for glob in moved.idle_globs
    ]
    if moved.gate is not None:
        notes.insert(0, f"The gate says of it: {as_code(moved.gate)}")
    if moved.accepted:
        notes.insert(1, f"Accepted regressions: {', '.join(as_code(each) for each in moved.accepted)}.")
    notes += [
        f"The metric {as_code(name)} was measured, and the baseline does not have it, so a comparison refuses it as "
        "new; add it there, with its direction, or give `policy.metrics` an advisory `default`."
        for name in moved.unguarded
    ]
    return "\n\n".join([_count(moved.moves), markdown_table(_COLUMNS, rows, left=("what",)), *notes])


def _place(move: Move) -> str:
    match move.place:
        case ("buckets", name):
            return as_code(name)
        case ("metrics", name):
            return f"metric {as_code(name)}"
        case _:
            return ".".join(move.place)


def _count(moves: Sequence[Move]) -> str:
    text = f"Buckets: {_count_kind(moves, 'buckets')}."
    has_metrics = any(move.place[0] == "metrics" for move in moves)
    return f"{text} Metrics: {_count_kind(moves, 'metrics')}." if has_metrics else text


def _count_kind(moves: Sequence[Move], kind: str) -> str:
    of_kind = [move for move in moves if move.place[0] == kind]
    added = sum(move.before == ABSENT for move in of_kind)
    removed = sum(move.after == ABSENT for move in of_kind)
    return f"{len(of_kind) - added - removed} moved, {added} added, {removed} removed"
