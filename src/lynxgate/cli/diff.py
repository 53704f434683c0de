"""The command ``diff``: which rows a second model lost and gained, and what both answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.output import print_json, print_text
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.analysis.diff import Diff, Side
    from minieval.contract.documents import Json
    from minieval.contract.report import Evaluation
    from minieval.data.labels import Labels
    from minieval.task.document import Task


class Format(StrEnum):
    """How ``diff`` shows its result."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    example = (
        "diff production_eval.json candidate_eval.json\n"
        "diff production_eval.json candidate_eval.json --eval-set data/eval.jsonl --bucket tense.past"
    )
    add_command(app, "diff", diff, panel=Panel.DECIDE, example=example)


def diff(
    before: Annotated[Path, typer.Argument(help="The evaluation of the first model, written with --rows.")],
    now: Annotated[Path, typer.Argument(help="The evaluation of the second model, written with --rows.")],
    eval_set: Annotated[
        Path | None, typer.Option("--eval-set", help="The eval set: gives buckets, and the input of each example.")
    ] = None,
    task: Annotated[
        Path | None, typer.Option("--task", help="The task file of the evaluations; needed with --eval-set if any.")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option("--bucket", help="Show the examples of this bucket. [default: all rows]")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to show the result.")] = Format.TEXT,
    limit: Annotated[int, typer.Option("--limit", min=0, help="The number of examples to show of each kind.")] = 20,
    rows_before: Annotated[
        Path | None, typer.Option("--rows-before", help="The rows of the first. [default: beside the evaluation]")
    ] = None,
    rows_now: Annotated[
        Path | None, typer.Option("--rows-now", help="The rows of the second. [default: beside the evaluation]")
    ] = None,
) -> int:
    """Show which rows a model lost and gained.

    Each example has its expected answer and the answers of both models, below each other. The rows must be those that
    the evaluations name by digest (exit 4).
    """
    from lynxgate.analysis.diff import find_changes

    with open_side(before, rows_before) as first, open_side(now, rows_now) as second:
        labels: Labels | None = None
        reading = read_task_of(second.evaluation, task, needed=eval_set is not None)
        if eval_set is not None:
            from minieval.data.labels import read_labels

            labels = read_labels(eval_set, reading)

        def read(rows: frozenset[int]) -> Mapping[int, Mapping[str, Json]]:
            from minieval.data.examples import read_inputs

            return {} if eval_set is None else read_inputs(eval_set, rows, reading)

        _show(find_changes(first, second, labels=labels, inputs=read, bucket=bucket, limit=limit), form)
    return Exit.OK


@contextlib.contextmanager
def open_side(path: Path, rows: Path | None) -> Iterator[Side]:
    """Open an evaluation and its rows, which lie beside it unless ``rows`` names them.

    Raises:
        CannotJudge: a file is missing or invalid, or the evaluation names no rows.
        IntegrityFailure: the rows are not those that it names.
    """
    from lynxgate.analysis.diff import Side
    from minieval.contract.documents import read_document
    from minieval.contract.report import Evaluation
    from minieval.data.kept_rows_reader import open_kept_rows

    evaluation = read_document(path, Evaluation, missing="evaluate with --rows first")
    # The name in the document has no folder, so it stays beside the evaluation.
    beside = path.parent / (evaluation.rows.path if evaluation.rows else "")
    with open_kept_rows(rows or beside, evaluation.rows, where=str(path)) as opened:
        yield Side(str(path), evaluation, opened)


def read_task_of(evaluation: Evaluation, path: Path | None, *, needed: bool) -> Task:
    """Return the task of an evaluation, whose file is ``path``; without one, the conventions.

    Raises:
        UsageFailure: the evaluation names no task and a path is given, or no path is given where it is ``needed``.
        IntegrityFailure: it is not the task that the evaluation names.
    """
    from lynxgate.errors import IntegrityFailure, UsageFailure
    from minieval.task.document import CONVENTIONS, read_task

    named = evaluation.task
    if path is None:
        if named is not None and needed:
            raise UsageFailure(f"the evaluations were made with the task file {named.path!r}; give it with --task")
        return CONVENTIONS
    if named is None:
        raise UsageFailure("--task: the evaluations name no task file; leave it out")
    found = read_task(path)
    if found.sha256 != named.sha256:
        raise IntegrityFailure(
            f"{path}: SHA-256 {found.sha256}, and the evaluations were made with {named.sha256}; give their task file"
        )
    return found.task


def _show(found: Diff, form: Format) -> None:
    from lynxgate.reports.examples import render_csv, render_markdown, render_text, to_json

    match form:
        case Format.TEXT:
            print_text(render_text(found))
        case Format.MARKDOWN:
            print_text(render_markdown(found))
        case Format.CSV:
            print_text(render_csv(found))
        case Format.JSON:
            print_json(to_json(found))
