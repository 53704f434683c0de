"""A verdict for people: Markdown tables, tables for terminals. Pure; every name and sentence in it is made harmless.

- A verdict that was read from a file is text like any other: nothing in it mentions, links, or leaves its cell.
- Equal verdicts give equal text.
- No text ends in a newline: whoever writes it adds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.metrics.policy import terms_of
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Tier
from lynxgate.decision.verdict import Figure, Row, Verdict, describe_difference
from lynxgate.errors import Exit
from lynxgate.figures import as_code, format_change, format_figure, format_interval, format_percent, visible
from lynxgate.rebaseline.rebaseline import ABSENT, Move, Rebaselined

_POINT = ("bucket", "n", "baseline", "candidate", "difference", "tolerance", "outcome")
_PROOF = ("bucket", "n", "baseline", "candidate", "difference", "interval", "margin", "gained / lost", "outcome")
_METRICS = ("metric", "limits", "baseline", "candidate", "change", "outcome")
LEFT = frozenset({"bucket", "metric", "limits", "outcome"})
_LONGEST = 1000  # characters of a sentence


@dataclass(frozen=True)
class Grid:
    """A table as plain text: its columns, and a row for each bucket or metric, with as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tabulate(verdict: Verdict) -> tuple[Grid, ...]:
    """Every row of a verdict, buckets and then metrics; a kind that has none has no table. Names are `visible`."""
    buckets = tuple((visible(row.bucket), *_cells(row, verdict)) for row in _every_row(verdict))
    metrics = tuple(tuple(map(visible, _metric_names(row))) + _metric_cells(row) for row in verdict.metrics)
    return tuple(grid for grid in (Grid(_columns(verdict), buckets), Grid(_METRICS, metrics)) if grid.rows)


def render_answer(verdict: Verdict) -> str:
    """What a person gets who asked for no form: a line on a pass, else the failing rows; report-only has both."""
    table = render_markdown(verdict)
    return f"{verdict.summary}\n\n{table}" if verdict.exit is Exit.OK and not verdict.passed else table


def render_markdown(verdict: Verdict, *, every: bool = False) -> str:
    """The rows that block or warn (with ``every``: all rows) as GitHub tables, then what is amiss."""
    rows = _every_row(verdict) if every else verdict.blocking
    metrics = verdict.metrics if every else tuple(row for row in verdict.metrics if row.blocks or row.warns)
    tables = [
        _markdown_table(_columns(verdict), [(_markdown_name(row), *_cells(row, verdict)) for row in rows]),
        _markdown_table(_METRICS, [tuple(map(as_code, _metric_names(row))) + _metric_cells(row) for row in metrics]),
    ]
    amiss = "\n".join(f"- {text}" for text in (*_amiss(verdict), *_warnings(verdict)))
    head = ""
    if every:
        head = f"**{_headline(verdict)}**"
    elif verdict.passed:
        head = _plain_summary(verdict)
    return "\n\n".join(block for block in (head, *tables, amiss) if block)


def render_table(verdict: Verdict) -> str:
    """All rows in aligned columns, for a terminal, under the summary, and what is to be said of metrics."""
    warnings = [f"warning: {visible(row.metric)} {visible(row.warning or '')}" for row in verdict.warnings]
    tables = (*(_aligned(grid) for grid in tabulate(verdict)), "\n".join(warnings))
    return "\n\n".join(block for block in (verdict.summary, *tables) if block)


def render_baseline(baseline: Baseline) -> str:
    """What a baseline demands: where its figures come from, its policy, and every bucket with its terms."""
    source, policy = baseline.source, baseline.policy
    terms_of_rule = f"{policy.rule}, {policy.tolerance_pp:f} pp"
    if policy.rule.asks_proof:
        overall = policy.overall_terms.tolerance_pp
        terms_of_rule += f" (all rows {overall:f} pp), confidence {policy.confidence:f}"
    single = f"{source.semver or 'no semver'}, {source.canonical_sha or 'no SHA'}"
    median = "" if source.median_of is None else f"synthetic: the median of {', '.join(source.median_of)}"
    lines = [
        f"status     {baseline.status}",
        f"source     {median or single}",
        f"eval set   {visible(baseline.eval_set)}, md5 {baseline.eval_set_dvc_hash or 'not known yet'}",
        f"rule       {terms_of_rule}",
    ]
    if baseline.metrics:
        lines.append(f"machine    {visible(baseline.environment.fingerprint or 'no fingerprint')}")
    lines.append("")
    table = [("bucket", "n", "accuracy", "tier", "tolerance")]
    for name, figure in sorted(baseline.buckets.items()):
        terms = policy.terms_of(name)
        share = "none" if figure.accuracy is None else f"{figure.accuracy:f}"
        table.append((visible(name), str(figure.n or ""), share, terms.tier.value, f"{terms.tolerance_pp:f} pp"))
    lines += _left_aligned(table)
    if baseline.metrics:
        lines += ["", *_left_aligned(_agreed_metrics(baseline))]
    return "\n".join(lines)


def _agreed_metrics(baseline: Baseline) -> list[tuple[str, ...]]:
    table: list[tuple[str, ...]] = [("metric", "value", "better", "machine", "tier", "limits")]
    for name, metric in sorted(baseline.metrics.items()):
        terms = terms_of(baseline.policy.metrics, name)
        value = "none" if metric.value is None else format_figure(metric.value)
        limits = {} if terms is None else terms.limits
        table.append((
            visible(name),
            f"{value} {visible(metric.unit)}" if metric.unit else value,
            metric.direction,
            "any" if not metric.machine or (terms is not None and terms.across_machines) else "this one",
            "no entry" if terms is None else terms.tier,
            ", ".join(f"{key} {limit:f}" for key, limit in limits.items()) or "none",
        ))  # fmt: skip
    return table


def _left_aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def render_moves(moved: Rebaselined) -> str:
    """What a rebaseline moves, as a GitHub table to review, the globs it leaves idle, and what is not guarded."""
    lines = [_line(["what", "before", "after", "difference"]), _line(["---", "---:", "---:", "---:"])]
    lines += [_line([_place(move), as_code(move.before), as_code(move.after), move.difference]) for move in moved.moves]
    notes = [
        f"\nThe policy's {as_code(glob)} matches no bucket or metric any more; change the policy."
        for glob in moved.idle_globs
    ]
    notes += [
        f"\nThe metric {as_code(name)} was measured and the baseline has none such, so that a comparison refuses it as "
        "new; add it there, with its direction, or give `policy.metrics` an advisory `default`."
        for name in moved.unguarded
    ]
    return "\n".join([f"{_count(moved.moves)}\n", *lines, *notes])


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
    these = [move for move in moves if move.place[0] == kind]
    added = sum(move.before == ABSENT for move in these)
    removed = sum(move.after == ABSENT for move in these)
    return f"{len(these) - added - removed} moved, {added} added, {removed} removed"


def _every_row(verdict: Verdict) -> tuple[Row, ...]:
    return verdict.rows if verdict.aggregate is None else (verdict.aggregate, *verdict.rows)


def _headline(verdict: Verdict) -> str:
    if verdict.passed:
        return verdict.summary.partition(":")[0]
    rows = len(_every_row(verdict)) + len(verdict.metrics)
    return verdict.summary.partition(":")[0] + f": {len(verdict.reasons)} of {rows} rows"


def _markdown_name(row: Row) -> str:
    return row.bucket if row.bucket == ALL_ROWS else as_code(row.bucket)


def _plain_summary(verdict: Verdict) -> str:
    """The summary of a pass, whose only name is that of the aggregate."""
    whole = verdict.aggregate
    if whole is None or whole.bucket == ALL_ROWS:
        return verdict.summary
    named = whole.model_copy(update={"bucket": as_code(whole.bucket)})
    return verdict.model_copy(update={"aggregate": named}).summary


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
    return " / ".join(str(size) for size in dict.fromkeys(sizes))


def _share(figure: Figure | None) -> str:
    return "" if figure is None or figure.share is None else format_percent(figure.share)


def _metric_names(row: MetricRow) -> tuple[str, str]:
    return row.metric, ", ".join(f"{name} {limit}" for name, limit in row.limits.items()) or "none"


def _metric_cells(row: MetricRow) -> tuple[str, ...]:
    figures = ["" if text is None else format_figure(Fraction(text)) for text in (row.baseline, row.candidate)]
    change = "" if row.change is None else format_change(Fraction(row.change))
    state = "advisory" if row.tier == "advisory" else "warning" if row.warns else ""
    return (*figures, change, f"{row.outcome} ({state})" if state else str(row.outcome))


def _amiss(verdict: Verdict) -> list[str]:
    failed = [
        f"{each.name}: {_sentence(each.reason)}" for each in verdict.conditions if each.outcome is not Outcome.HELD
    ]
    proved = verdict.rule.asks_proof
    named = [(row.bucket, row.reason) for row in verdict.blocking if proved or row.difference_pp is None]
    named += [(row.metric, row.reason) for row in verdict.blocking_metrics]
    told = [*failed, *(f"{as_code(name)}: {_sentence(reason)}" for name, reason in named)]
    return told or ([] if verdict.passed or verdict.blocking else list(verdict.reasons))


def _warnings(verdict: Verdict) -> list[str]:
    return [f"{as_code(row.metric)} warning: {_sentence(row.warning or '')}" for row in verdict.warnings]


def _sentence(text: str) -> str:
    return as_code(text[:_LONGEST])


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    rule = ["---" if name in LEFT else "---:" for name in columns]
    return "\n".join(_line(cells) for cells in (columns, rule, *rows))


def _aligned(grid: Grid) -> str:
    table = [grid.columns, *grid.rows]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(grid.columns))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if name in LEFT else cell.rjust(width)
            for cell, width, name in zip(cells, widths, grid.columns, strict=True)
        ).rstrip()
        for cells in table
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
