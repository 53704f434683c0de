"""A verdict for people: a Markdown table, a table for terminals. Pure; every name in it is made harmless.

- Equal verdicts give equal text.
- No text ends in a newline: whoever writes it adds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lynxgate.baseline import Baseline
from lynxgate.errors import Exit
from lynxgate.policy import Tier
from lynxgate.rebaseline import ABSENT, Move
from lynxgate.verdict import Figure, Outcome, Row, Verdict, describe_difference
from lynxgate.words import as_code, visible, write_interval, write_percent

_POINT = ("bucket", "n", "baseline", "candidate", "difference", "tolerance", "outcome")
_PROOF = ("bucket", "n", "baseline", "candidate", "difference", "interval", "margin", "gained / lost", "outcome")
_LEFT = frozenset({"bucket", "outcome"})


def render_answer(verdict: Verdict) -> str:
    """What a person gets who asked for no form: a line on a pass, else the failing rows; report-only has both."""
    if verdict.passed:
        return verdict.summary
    table = render_markdown(verdict)
    return f"{verdict.summary}\n\n{table}" if verdict.exit is Exit.OK else table


def render_markdown(verdict: Verdict, *, every: bool = False) -> str:
    """The rows that keep the candidate out (with ``every``: all rows) as a GitHub table, then what else is amiss."""
    rows = _every_row(verdict) if every else verdict.blocking
    head = f"**{_headline(verdict)}**" if every else ""
    columns = _columns(verdict)
    table = "\n".join((_line(columns), _line(["---" if name in _LEFT else "---:" for name in columns])))
    lines = [_line([_markdown_name(row, verdict), *_cells(row, verdict)]) for row in rows]
    blocks = [head, "\n".join([table, *lines]) if lines else "", "\n".join(f"- {text}" for text in _amiss(verdict))]
    if not any(blocks):
        return verdict.summary
    return "\n\n".join(block for block in blocks if block)


def render_table(verdict: Verdict) -> str:
    """All rows in aligned columns, for a terminal, under the summary."""
    columns = _columns(verdict)
    table = [columns, *((visible(row.bucket), *_cells(row, verdict)) for row in _every_row(verdict))]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(width) if name in _LEFT else cell.rjust(width)
            for cell, width, name in zip(cells, widths, columns, strict=True)
        ).rstrip()
        for cells in table
    ]
    return "\n".join([verdict.summary, "", *lines])


def render_baseline(baseline: Baseline) -> str:
    """What a baseline demands: where its figures come from, its policy, and every bucket with its terms."""
    source, policy = baseline.source, baseline.policy
    terms_of_rule = f"{policy.rule}, {policy.tolerance_pp:f} pp"
    if policy.rule.asks_proof:
        overall = policy.overall_terms.tolerance_pp
        terms_of_rule += f" (all rows {overall:f} pp), confidence {policy.confidence:f}"
    lines = [
        f"status     {baseline.status}",
        f"source     {source.semver or 'no semver'}, {source.canonical_sha or 'no SHA'}",
        f"eval set   {visible(baseline.eval_set)}, md5 {baseline.eval_set_dvc_hash}",
        f"rule       {terms_of_rule}",
        "",
    ]
    table = [("bucket", "n", "accuracy", "tier", "tolerance")]
    for name, figure in sorted(baseline.buckets.items()):
        terms = policy.terms_of(name)
        share = "none" if figure.accuracy is None else f"{figure.accuracy:f}"
        table.append((visible(name), str(figure.n or ""), share, terms.tier.value, f"{terms.tolerance_pp:f} pp"))
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join(lines)


def render_moves(moves: Sequence[Move], idle_globs: Sequence[str] = ()) -> str:
    """What a rebaseline moves, as a GitHub table to review, and the globs it leaves without a bucket."""
    lines = [_line(["what", "before", "after", "difference"]), _line(["---", "---:", "---:", "---:"])]
    for move in moves:
        name = as_code(move.place[-1]) if move.place[0] == "buckets" else ".".join(move.place)
        lines.append(_line([name, as_code(move.before), as_code(move.after), move.difference]))
    notes = [f"\nThe policy's {as_code(glob)} matches no bucket any more; change the policy." for glob in idle_globs]
    return "\n".join([f"{_count(moves)}\n", *lines, *notes])


def _count(moves: Sequence[Move]) -> str:
    buckets = [move for move in moves if move.place[0] == "buckets"]
    added = sum(move.before == ABSENT for move in buckets)
    removed = sum(move.after == ABSENT for move in buckets)
    return f"Buckets: {len(buckets) - added - removed} moved, {added} added, {removed} removed."


def _every_row(verdict: Verdict) -> tuple[Row, ...]:
    return verdict.rows if verdict.aggregate is None else (verdict.aggregate, *verdict.rows)


def _headline(verdict: Verdict) -> str:
    if verdict.passed:
        return verdict.summary.partition(":")[0]
    return verdict.summary.partition(":")[0] + f": {len(verdict.reasons)} of {len(_every_row(verdict))} rows"


def _markdown_name(row: Row, verdict: Verdict) -> str:
    return row.bucket if row is verdict.aggregate else as_code(row.bucket)


def _columns(verdict: Verdict) -> tuple[str, ...]:
    return _PROOF if verdict.rule.asks_proof else _POINT


def _cells(row: Row, verdict: Verdict) -> tuple[str, ...]:
    floor = "" if row.min is None else f", min {write_percent(Fraction(row.min))}"
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
    return "" if row.evidence is None else write_interval(row.evidence.difference_pp, signed=True)


def _flips(row: Row) -> str:
    evidence = row.evidence
    return "" if evidence is None or evidence.gains is None else f"+{evidence.gains} / -{evidence.losses}"


def _size(row: Row) -> str:
    sizes = [figure.n for figure in (row.baseline, row.candidate) if figure is not None and figure.n is not None]
    return " / ".join(str(size) for size in dict.fromkeys(sizes))


def _share(figure: Figure | None) -> str:
    return "" if figure is None or figure.share is None else write_percent(figure.share)


def _amiss(verdict: Verdict) -> list[str]:
    failed = [f"{each.name}: {as_code(each.reason)}" for each in verdict.conditions if each.outcome is not Outcome.HELD]
    proved = verdict.rule.asks_proof
    named = [f"{as_code(row.bucket)}: {row.reason}" for row in verdict.blocking if proved or row.difference_pp is None]
    return [*failed, *named] or ([] if verdict.passed or verdict.blocking else list(verdict.reasons))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
