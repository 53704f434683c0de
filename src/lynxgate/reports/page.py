"""Render a verdict as one HTML file that can be read without a network. Pure; every text in it is escaped.

- It has no script, image or address: its content security policy forbids all but its one style sheet, named by hash.
- It has every row, in the words of the other forms; equal verdicts are equal bytes.
- It is readable on a narrow screen, on a dark one, and on paper; an outcome is a word, never only a colour.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from lynxgate.decision.verdict import Verdict
from lynxgate.escape import visible
from lynxgate.reports.own_error_text import describe_own_error
from lynxgate.reports.verdict_table import LEFT, Grid, tabulate

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #8888; padding: .3rem .8rem; text-align: right; white-space: nowrap; }
.left { text-align: left; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } div { overflow: visible; } }
"""
# The browser applies the style sheet only if its hash is the one in the policy: markup in a name can add no style.
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def render_page(verdict: Verdict) -> str:
    """Return the whole page, without a newline at its end."""
    title = f"Lynxgate: {verdict.summary.partition(':')[0]}"
    warned: list[tuple[str, str | None]] = [(each.name, each.warning) for each in verdict.doubtful_conditions]
    warned += [*((row.bucket, row.warning) for row in verdict.warned_rows)]
    warned += [(row.metric, row.warning) for row in verdict.warnings]
    sentences = [*verdict.reasons, *(f"{name} warning: {warning}" for name, warning in warned)]
    return "\n".join((
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{_HASH}'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{_text(title)}</h1>",
        f"<p>{_text(verdict.summary)}</p>",
        *_list(sentences),
        *(line for grid in tabulate(verdict) for line in _table(grid)),
        *_list(describe_own_error(verdict, str)),
        "<dl>",
        *(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in _facts(verdict)),
        "</dl>",
        "</body>",
        "</html>",
    ))  # fmt: skip


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    unknown = "not named"
    yield "candidate, canonical SHA", verdict.candidate.canonical_sha or unknown
    yield "candidate, MLflow run", verdict.candidate.mlflow_run_id or unknown
    yield "baseline, of version", verdict.baseline.semver or unknown
    yield "baseline, canonical SHA", verdict.baseline.canonical_sha or unknown
    yield "status of the baseline", str(verdict.status)
    yield "rule", f"{verdict.rule}, {verdict.tolerance_pp} pp, confidence {verdict.confidence}"
    for each in verdict.conditions:
        yield each.name, f"{each.outcome}: {each.reason}"
    for name, value in verdict.inputs.model_dump(mode="json").items():
        if value is not None:
            yield name, str(value)


def _list(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "<ul>"
        yield from (f"<li>{_text(sentence)}</li>" for sentence in sentences)
        yield "</ul>"


def _table(grid: Grid) -> Iterator[str]:
    # Numbers are aligned right, names and outcomes left, as in the other forms.
    kinds = [' class="left"' if name in LEFT else "" for name in grid.columns]
    yield "<div><table>"
    head = (f'<th scope="col"{kind}>{_text(name)}</th>' for kind, name in zip(kinds, grid.columns, strict=True))
    yield f"<thead><tr>{''.join(head)}</tr></thead>"
    yield "<tbody>"
    for row in grid.rows:
        yield f"<tr>{''.join(f'<td{kind}>{_text(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>"
    yield "</tbody>"
    yield "</table></div>"


def _text(value: str) -> str:
    # First `visible`, so that control and bidirectional characters are shown; then HTML, quotes included.
    return escape(visible(value))
