"""The command ``compare``: the decision on an evaluation, without registry or MLflow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import BASELINE, EVALUATION, BaselinePath, CandidatePath, EvalSetPath
from lynxgate.cli.output import note, print_text
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
        Format | None,
        typer.Option("--format", help="Show every row in this format. [default: one line, or the failing rows]"),
    ] = None,
) -> int:
    """Compare a candidate with the baseline.

    Every bucket and metric is compared. Exit 2 reports a regression; the failing rows are then on stdout.
    """
    from lynxgate.decision.decide import decide, parse_tolerance
    from lynxgate.errors import GateError
    from minieval.contract.writes import check_output, remove_output, write_output

    tolerance_pp = None if tolerance is None else parse_tolerance(tolerance)
    if output is not None:
        check_output(output, (candidate, baseline, eval_set))
    try:
        verdict = decide(candidate, baseline, tolerance_pp, eval_set)
    except GateError:
        if output is not None:
            # An earlier verdict must not be taken for the one that could not be reached.
            remove_output(output)
        raise
    if output is not None:
        write_output(output, verdict.to_json())
    _show(verdict, form)
    return verdict.exit


def _show(verdict: Verdict, form: Format | None) -> None:
    from lynxgate.reports.verdict_table import render_answer, render_markdown, render_table

    match form:
        case Format.JSON:
            print_text(verdict.to_json().decode().rstrip())
        case Format.TABLE:
            print_text(render_table(verdict))
        case Format.MARKDOWN:
            print_text(render_markdown(verdict, every=True))
        case None:
            print_text(render_answer(verdict))
    if verdict.exit is not Exit.OK:
        note(f"lynxgate: {verdict.summary}")
