"""The command ``compare``: the decision on an evaluation, without registry or MLflow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import BASELINE, EVALUATION, BaselinePath, CandidatePath, EvalSetPath
from lynxgate.cli.output import note, print_document, print_text
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.decision.verdict import Verdict


class Format(StrEnum):
    """How ``compare`` shows its verdict."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    add_command(
        app,
        "compare",
        compare,
        panel=Panel.DECIDE,
        example="compare --candidate candidate_eval.json --output verdict.json",
    )


def compare(
    candidate: CandidatePath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    tolerance: Annotated[
        str | None,
        typer.Option(
            "--tolerance", help="The general tolerance as a fraction: 0.02 is 2 pp. It may only be smaller than agreed."
        ),
    ] = None,
    eval_set: EvalSetPath = None,
    output: Annotated[Path | None, typer.Option("--output", help="The file to write the verdict to (JSON).")] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="[table|markdown|json]",
            help="Show every row in this format. [default: one line, or the failing rows]",
        ),
    ] = None,
) -> int:
    """Compare a candidate with the baseline.

    Every bucket and metric is compared. Exit 2 reports a regression; the failing rows are then on stdout.
    """
    from lynxgate.decision.agreed_task import list_named_files
    from lynxgate.decision.decide import decide, parse_tolerance
    from minieval.contract.writes import discard_output, write_output

    earlier = None
    if output is not None:
        # Before anything can fail: an earlier verdict must not be taken for the one that could not be reached.
        given = [] if eval_set is None else [eval_set]
        earlier = discard_output(output, inputs=[candidate, baseline, *given, *list_named_files(baseline)])
    shown = None if form is None else _parse_format(form)
    tolerance_pp = None if tolerance is None else parse_tolerance(tolerance)
    verdict = decide(candidate, baseline, tolerance_pp, eval_set)
    if output is not None:
        write_output(output, verdict.to_json(), like=earlier)
    _show(verdict, shown)
    return verdict.exit


def _parse_format(text: str) -> Format:
    # Not by Typer: it would end the command before the verdict of an earlier call is removed.
    from lynxgate.errors import UsageFailure

    if text not in list(Format):
        raise UsageFailure(f"--format {text[:40]!r} is not a format; choose one of {', '.join(Format)}")
    return Format(text)


def _show(verdict: Verdict, form: Format | None) -> None:
    from lynxgate.reports.verdict_table import render_answer, render_markdown, render_table

    match form:
        case Format.JSON:
            print_document(verdict.to_json())
        case Format.TABLE:
            print_text(render_table(verdict))
        case Format.MARKDOWN:
            print_text(render_markdown(verdict, every=True))
        case None:
            print_text(render_answer(verdict))
    if verdict.exit is not Exit.OK:
        note(f"lynxgate: {verdict.summary}")
