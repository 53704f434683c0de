"""Commands about the documents themselves: ``validate`` and ``schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.output import print_document, print_text
from minieval.contract.exits import Exit


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    add_command(app, "validate", validate, panel=Panel.TOOLS, example="validate eval_baseline.json candidate_eval.json")
    add_command(app, "schema", schema, panel=Panel.TOOLS, example="schema lynxgate.baseline/1")


def validate(
    files: Annotated[list[Path], typer.Argument(help="Evaluations, baselines or verdicts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Check documents against their schemas.

    Each document names its schema. Exit 3 when one is not valid; every problem has a line of its own.
    """
    from lynxgate.decision.documents import Problem, find_problems
    from lynxgate.errors import CannotJudge
    from lynxgate.escape import visible
    from minieval.contract.documents import pretty_json, read_bytes

    findings = []
    for path in files:
        try:
            named, problems = find_problems(read_bytes(path), where=str(path))
        except CannotJudge as error:
            # A file that is not JSON at all has one problem and names no schema.
            named, problems = None, (Problem("", str(error).removeprefix(f"{path}: ")),)
        shown = [{"path": each.path, "reason": each.reason} for each in problems]
        findings.append({"file": str(path), "schema": named, "valid": not problems, "problems": shown})
        if not as_json:
            lines = [f"{each.path or 'the document'}: {each.reason}" for each in problems] or [f"valid {named}"]
            print_text("\n".join(visible(f"{path}: {line}") for line in lines))
    if as_json:
        print_document(pretty_json(findings))
    return Exit.OK if all(each["valid"] for each in findings) else Exit.CANNOT_JUDGE


def schema(
    name: Annotated[
        str | None, typer.Argument(help="The schema to print, for example lynxgate.baseline/1. [default: list all]")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="The directory to write the schemas to, one file each.")
    ] = None,
) -> int:
    """Print the JSON Schema of a document.

    Without a name, list the names of all schemas.
    """
    from lynxgate.decision.documents import KINDS, file_name, render_schema
    from lynxgate.errors import UsageFailure
    from minieval.contract.writes import write_output

    if name is not None and name not in KINDS:
        raise UsageFailure(f"{name!r} is not a schema; choose one of {', '.join(KINDS)}")
    if write is not None:
        for each in KINDS if name is None else (name,):
            write_output(write / file_name(each), render_schema(each))
    elif name is None:
        print_text("\n".join(KINDS))
    else:
        print_document(render_schema(name))
    return Exit.OK
