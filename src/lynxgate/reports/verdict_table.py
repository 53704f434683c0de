"""Show a verdict: as Markdown tables, and as tables for a terminal. Pure; every name and sentence in it is escaped.

- A verdict that was read from a file is text like any other: nothing in it mentions a user, links, or leaves its cell.
- Equal verdicts give equal text.
- No text ends in a newline; the caller adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Tier
from lynxgate.decision.verdict import Figure, Row, Verdict, describe_difference
from lynxgate.errors import Exit
from lynxgate.escape import as_code, visible
from lynxgate.figures import format_change, format_figure, format_interval, format_percent
from lynxgate.reports.layout import aligned_lines, markdown_table

_POINT = ("bucket", "n", "baseline", "candidate", "difference", "tolerance", "outcome")
_PROOF = ("bucket", "n", "baseline", "candidate", "difference", "interval", "margin", "gained / lost", "outcome")
_METRICS = ("metric", "limits", "baseline", "candidate", "change", "outcome")
LEFT = frozenset({"bucket", "metric", "limits", "outcome"})
_LONGEST = 1000  # characters of a sentence: a document may hold a longer one, and a comment on GitHub has a limit


@dataclass(frozen=True)
class Grid:
    """A table as plain text: its columns, and a row for each bucket or metric with as many cells as columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tabulate(verdict: Verdict) -> tuple[Grid, ...]:
    """Return a table of the buckets and one of the metrics, without a table that would be empty. Names are escaped."""
    buckets = tuple((visible(row.bucket), *_cells(row, verdict)) for row in _every_row(verdict))
    metrics = tuple(tuple(map(visible, _metric_names(row))) + _metric_cells(row) for row in verdict.metrics)
    return tuple(grid for grid in (Grid(_columns(verdict), buckets), Grid(_METRICS, metrics)) if grid.rows)


def render_answer(verdict: Verdict) -> str:
    """Return the default output: one line on a pass, else the failing rows; under a report-only baseline both."""
    table = render_markdown(verdict)
    # Only a report-only baseline exits with 0 without a pass: then the summary says that it would fail.
    return f"{verdict.summary}\n\n{table}" if verdict.exit is Exit.OK and not verdict.passed else table


def render_markdown(verdict: Verdict, *, every: bool = False) -> str:
    """Return the rows that block or warn (with ``every``: all rows) as GitHub tables, then the reasons as a list."""
    rows = _every_row(verdict) if every else verdict.blocking
    metrics = verdict.metrics if every else tuple(row for row in verdict.metrics if row.blocks or row.warns)
    tables = [
        _markdown(Grid(_columns(verdict), tuple((_markdown_name(row), *_cells(row, verdict)) for row in rows))),
        _markdown(Grid(_METRICS, tuple((*map(as_code, _metric_names(row)), *_metric_cells(row)) for row in metrics))),
    ]
    reasons = "\n".join(f"- {text}" for text in (*_list_reasons(verdict), *_list_warnings(verdict)))
    head = ""
    if verdict.passed:
        head = _plain_summary(verdict)
    elif every:
        head = f"**{_headline(verdict)}**"
    return "\n\n".join(block for block in (head, *tables, reasons) if block)


def render_table(verdict: Verdict) -> str:
    """Return the summary, all rows in aligned columns for a terminal, and the warnings."""
    warnings = [f"warning: {each.name}: {visible(each.warning or '')}" for each in verdict.doubtful_conditions]
    warnings += [f"warning: {visible(row.bucket)} {visible(row.reason)}" for row in verdict.slipped]
    warnings += [f"warning: {visible(row.bucket)} {row.warning}" for row in verdict.warned_rows]
    warnings += [f"warning: {visible(row.metric)} {visible(row.warning or '')}" for row in verdict.warnings]
    tables = ["\n".join(aligned_lines(grid.columns, grid.rows, left=LEFT)) for grid in tabulate(verdict)]
    return "\n\n".join(block for block in (verdict.summary, *tables, "\n".join(warnings)) if block)


def _markdown(grid: Grid) -> str:
    return markdown_table(grid.columns, grid.rows, left=LEFT) if grid.rows else ""


def _every_row(verdict: Verdict) -> tuple[Row, ...]:
    return verdict.rows if verdict.aggregate is None else (verdict.aggregate, *verdict.rows)


def _headline(verdict: Verdict) -> str:
    rows = len(_every_row(verdict)) + len(verdict.metrics)
    return verdict.summary.partition(":")[0] + f": {len(verdict.reasons)} of {rows} rows"


def _markdown_name(row: Row) -> str:
    # The name of the aggregate is ours. A verdict from a file may have another one, which is escaped.
    return row.bucket if row.bucket == ALL_ROWS else as_code(row.bucket)


def _plain_summary(verdict: Verdict) -> str:
    """Return the summary of a pass with the names of the aggregate and of rows in it escaped for Markdown."""
    # Through a copy, because the summary is built from the verdict.
    rows = tuple(row.model_copy(update={"bucket": as_code(row.bucket)}) for row in verdict.rows)
    whole = verdict.aggregate
    if whole is not None:
        whole = whole.model_copy(update={"bucket": _markdown_name(whole)})
    return verdict.model_copy(update={"aggregate": whole, "rows": rows}).summary


def _columns(verdict: Verdict) -> tuple[str, ...]:
    return _PROOF if verdict.rule.asks_proof else _POINT


def _cells(row: Row, verdict: Verdict) -> tuple[str, ...]:
    floor = "" if row.min is None else f", min {format_percent(Fraction(row.min))}"
    limit = f"{row.tolerance_pp} pp{floor}"
    sides = (_size(row), _share(row.baseline), _share(row.candidate), describe_difference(row))
    if not verdict.rule.asks_proof:
        return (*sides, limit, _outcome(row))
    return (*sides, _interval(row), limit, _flips(row), _outcome(row))


def _outcome(row: Row) -> str:
    if row.tier is Tier.ADVISORY:
        return f"{row.outcome} (advisory)"
    return f"{row.outcome} (passes)" if row.tolerated else str(row.outcome)


def _interval(row: Row) -> str:
    return "" if row.evidence is None else format_interval(row.evidence.difference_pp, signed=True)


def _flips(row: Row) -> str:
    evidence = row.evidence
    return "" if evidence is None or evidence.gains is None else f"+{evidence.gains} / -{evidence.losses}"


def _size(row: Row) -> str:
    sizes = [figure.n for figure in (row.baseline, row.candidate) if figure is not None and figure.n is not None]
    # One number where both sides have the same n, else both.
    return " / ".join(str(size) for size in dict.fromkeys(sizes))


def _share(figure: Figure | None) -> str:
    return "" if figure is None or figure.share is None else format_percent(figure.share)


def _metric_names(row: MetricRow) -> tuple[str, str]:
    return row.metric, ", ".join(f"{name} {limit}" for name, limit in row.limits.items()) or "none"


def _metric_cells(row: MetricRow) -> tuple[str, ...]:
    figures = ["" if text is None else format_figure(Fraction(text)) for text in (row.baseline, row.candidate)]
    change = "" if row.change is None else format_change(Fraction(row.change))
    return (*figures, change, _metric_outcome(row))


def _metric_outcome(row: MetricRow) -> str:
    if row.tier == "advisory":
        return f"{row.outcome} (advisory)"
    return f"{row.outcome} (warning)" if row.warns else str(row.outcome)


def _list_reasons(verdict: Verdict) -> list[str]:
    failed = [
        f"{each.name}: {_sentence(each.reason)}" for each in verdict.conditions if each.outcome is not Outcome.HELD
    ]
    # Under rule `point` the cells of a row with figures already show why it failed.
    proved = verdict.rule.asks_proof
    named = [(row.bucket, row.reason) for row in verdict.blocking if proved or row.difference_pp is None]
    named += [(row.metric, row.reason) for row in verdict.blocking_metrics]
    listed = [*failed, *(f"{as_code(name)}: {_sentence(reason)}" for name, reason in named)]
    if listed or verdict.passed or verdict.blocking:
        return listed
    return list(verdict.reasons)  # nothing is gated: no row and no condition has this reason


def _list_warnings(verdict: Verdict) -> list[str]:
    doubtful = [f"{each.name} warning: {_sentence(each.warning or '')}" for each in verdict.doubtful_conditions]
    slipped = [f"{as_code(row.bucket)} warning: {_sentence(row.reason)}" for row in verdict.slipped]
    slipped += [f"{as_code(row.bucket)} warning: {_sentence(row.warning or '')}" for row in verdict.warned_rows]
    metrics = [f"{as_code(row.metric)} warning: {_sentence(row.warning or '')}" for row in verdict.warnings]
    return [*doubtful, *slipped, *metrics]


def _sentence(text: str) -> str:
    return as_code(text[:_LONGEST])
