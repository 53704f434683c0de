"""Render what changed between two evaluations: as text, Markdown, CSV and JSON values. Pure.

- Ids, answers, inputs and names of buckets are hostile; each form has its escape (`lynxgate.escape`, `_guard`).
- Text and Markdown shorten long cells; JSON and CSV hold them whole.
- `render_examples` is how examples look in a terminal, wherever a command shows them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from lynxgate.analysis.diff import Answers, BucketChanges, Diff, Example, iterate_examples
from lynxgate.errors import CannotJudge
from lynxgate.escape import as_code, visible
from lynxgate.reports.layout import aligned_lines, markdown_table
from minieval.contract.documents import Json, parse_json
from minieval.contract.report import Evaluation

SCHEMA: Final = "lynxgate.diff/1"
LONGEST: Final = 300  # characters of a cell in text and Markdown
# Some spreadsheets take the wide forms too.
_FORMULA: Final = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20", "\t", "\r")
# Where a comma is the decimal sign, a spreadsheet ends a cell at a semicolon, whatever is quoted.
_AFTER_SEMICOLON: Final = re.compile(r"""(;[\s"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")
_COLUMNS: Final = ("bucket", "rows", "lost", "gained")


def render_text(diff: Diff) -> str:
    """Return the diff for a terminal: the counts by bucket, and the examples of the shown bucket."""
    lines = [f"before  {_name(diff.before)}", f"now     {_name(diff.now)}", ""]
    cells = [(visible(each.bucket), *_counts(each)) for each in _list_changed(diff)]
    lines += aligned_lines(_COLUMNS, cells, left={"bucket"})
    return "\n".join([*lines, *render_examples(diff)])


def render_examples(diff: Diff) -> list[str]:
    """Return the examples of the shown bucket as lines for a terminal: the lost ones, then the gained ones."""
    lines = []
    for kind in ("lost", "gained"):
        lines += ["", f"{kind} in {visible(diff.shown.bucket)} ({_count_shown(diff, kind)})"]
        for example in (example for name, example in iterate_examples(diff) if name == kind):
            lines += _render_example(example)
    return lines


def _render_example(example: Example) -> list[str]:
    """Return one example as lines: its id, then input, expected answer, and both answers below each other."""
    buckets = f"  {visible(', '.join(example.buckets))}" if example.buckets else ""
    lines = [f"  {_shorten(visible(example.id))} (row {example.row}){_shorten(buckets)}"]
    if example.inputs is not None:
        lines.append(f"    input     {_shorten(visible(example.inputs))}")
    return [
        *lines,
        f"    expected  {_shorten(visible(example.expected))}",
        f"    before    {_describe(example.before)}",
        f"    now       {_describe(example.now)}",
    ]


def render_markdown(diff: Diff) -> str:
    """Return the diff as Markdown: a table of counts, and a table of the examples of the shown bucket."""
    parts = [f"Before: {_name(diff.before)}. Now: {_name(diff.now)}."]
    cells = [(as_code(each.bucket), *_counts(each)) for each in _list_changed(diff)]
    parts.append(markdown_table(_COLUMNS, cells, left={"bucket"}))
    columns = ("id", "input", "expected", "before", "now")
    for kind in ("lost", "gained"):
        rows = [
            (
                _code(example.id),
                "" if example.inputs is None else _code(example.inputs),
                _code(example.expected),
                _code(_join(example.before)),
                _code(_join(example.now)),
            )
            for name, example in iterate_examples(diff)
            if name == kind
        ]
        parts.append(f"**{kind}** in {as_code(diff.shown.bucket)} ({_count_shown(diff, kind)})")
        if rows:
            parts.append(markdown_table(columns, rows, left=columns))
    return "\n\n".join(parts)


def render_csv(diff: Diff) -> str:
    """Return the examples as CSV, one line each; no cell is a formula to a spreadsheet."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = ("change", "row", "id", "buckets", "input", "expected", "before", "now", "score_before", "score_now")
    writer.writerow(columns)
    for kind, each in iterate_examples(diff):
        texts = (
            each.id, ", ".join(each.buckets), each.inputs or "", each.expected, _join(each.before), _join(each.now)
        )  # fmt: skip
        scores = (f"{each.before.score:g}", f"{each.now.score:g}")
        writer.writerow([kind, each.row, *(_guard(visible(text)) for text in texts), *scores])
    return file.getvalue().rstrip("\n")


def to_json(diff: Diff) -> Json:
    """Return the diff as JSON values: the counts of every bucket, and the examples of the shown one."""
    return {
        "schema": SCHEMA,
        "before": _identify(diff.before),
        "now": _identify(diff.now),
        "buckets": {
            each.bucket: {"rows": each.n, "lost": len(each.lost), "gained": len(each.gained)}
            for each in diff.buckets[1:]
        },
        "all_rows": {
            "rows": diff.buckets[0].n, "lost": len(diff.buckets[0].lost), "gained": len(diff.buckets[0].gained)
        },
        "shown": diff.shown.bucket,
        "lost": [_to_json(each) for each in diff.lost],
        "gained": [_to_json(each) for each in diff.gained],
    }  # fmt: skip


def _to_json(example: Example) -> Json:
    return {
        "row": example.row,
        "id": example.id,
        "buckets": list(example.buckets),
        "input": None if example.inputs is None else _read(example.inputs),
        "expected": _read(example.expected),
        "before": {"answers": [_read(text) for text in example.before.texts], "score": example.before.score},
        "now": {"answers": [_read(text) for text in example.now.texts], "score": example.now.score},
    }


def _read(text: str) -> Json:
    """Return JSON text as its value; text that is not JSON as text."""
    try:
        return parse_json(text.encode(), where="a cell", floats=True)
    except CannotJudge:
        return text


def _list_changed(diff: Diff) -> Sequence[BucketChanges]:
    """Return all rows, the shown bucket, and each bucket in which something changed."""
    every, *others = diff.buckets
    return [every, *(each for each in others if each.lost or each.gained or each is diff.shown)]


def _counts(changes: BucketChanges) -> tuple[str, str, str]:
    return str(changes.n), str(len(changes.lost)), str(len(changes.gained))


def _count_shown(diff: Diff, kind: str) -> str:
    total, shown = (
        (len(diff.shown.lost), len(diff.lost)) if kind == "lost" else (len(diff.shown.gained), len(diff.gained))
    )
    return str(total) if shown == total else f"{shown} of {total}"


def _name(evaluation: Evaluation) -> str:
    candidate = evaluation.candidate
    sha = "unknown model" if candidate.canonical_sha is None else candidate.canonical_sha[:12]
    return sha if candidate.mlflow_run_id is None else f"{sha} (run {candidate.mlflow_run_id})"


def _identify(evaluation: Evaluation) -> Json:
    candidate = evaluation.candidate
    return {"canonical_sha": candidate.canonical_sha, "mlflow_run_id": candidate.mlflow_run_id}


def _join(answers: Answers) -> str:
    return " | ".join(answers.texts)


def _describe(answers: Answers) -> str:
    return f"{_shorten(visible(_join(answers)))}  (score {answers.score:g})"


def _code(text: str) -> str:
    return as_code(_shorten(text))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _guard(cell: str) -> str:
    """Return a cell that a spreadsheet shows as text: what begins as a formula gets an apostrophe in front."""
    inside = _AFTER_SEMICOLON.sub(r"\1'", cell)
    return f"'{inside}" if cell.lstrip().startswith(_FORMULA) else inside
