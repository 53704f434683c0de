"""The command ``import``: measurements of another tool become an evaluation, or metrics of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.output import note, print_text
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from minieval.contract.report import Candidate, EvalSetIdentity


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    example = "import bench.json --provider pytest-benchmark --into candidate_eval.json --output candidate_eval.json"
    add_command(app, "import", import_file, panel=Panel.TOOLS, example=f"{example}\nimport --list")


def import_file(
    file: Annotated[Path | None, typer.Argument(help="The file that the other tool wrote.")] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="The file's format; --list prints the formats.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the formats that can be read.")] = False,
    eval_set_md5: Annotated[
        str | None, typer.Option("--eval-set-md5", help="The DVC md5 of the eval set that was measured on.")
    ] = None,
    canonical_sha: Annotated[
        str | None, typer.Option("--canonical-sha", help="The model's canonical SHA (64 hex digits).")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="The model's MLflow run (32 hex digits).")] = None,
    buckets: Annotated[
        list[str] | None,
        typer.Option("--buckets", help="A name or glob of figures that are bucket accuracies; may be repeated."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="An evaluation to add the figures to, instead of a new one.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="The file to write the evaluation to.")] = None,
) -> int:
    """Import measurements from another tool.

    They become an evaluation of their own, or metrics of an existing one (--into).
    """
    from lynxgate.errors import UsageFailure
    from lynxgate.escape import visible
    from lynxgate.importers import PROVIDERS, Origin, add_to_document, build_evaluation, read_foreign
    from minieval.contract.documents import read_bytes
    from minieval.contract.report import dump_evaluation
    from minieval.contract.writes import check_output, write_output

    if list_them:
        print_text("\n".join(f"{each.name:<17} {each.description}" for each in PROVIDERS.values()))
        return Exit.OK
    if file is None or provider is None or output is None:
        raise UsageFailure("FILE, --provider and --output are required; lynxgate import --list lists the providers")
    identity = (eval_set_md5, canonical_sha, run_id)
    if into is not None and any(identity):
        raise UsageFailure("--into takes eval set and model from the evaluation; do not name them too")
    if into is None and eval_set_md5 is None:
        raise UsageFailure(
            "--eval-set-md5 is required, since figures of an unknown eval set cannot be compared; or use --into"
        )
    # Not --into: to add figures to an evaluation in its place is what it is for.
    check_output(output, (file,))
    found = read_foreign(provider, read_bytes(file), where=str(file), buckets=buckets or ())
    if into is None:
        evaluation = build_evaluation(found, Origin(provider, *_identify(*identity)), where=str(file))
        data = dump_evaluation(evaluation)
    else:
        data = add_to_document(found, read_bytes(into), where=str(file), into=str(into))
    write_output(output, data)
    note(visible(f"{output}: {len(found.buckets)} buckets and {len(found.metrics)} metrics from {file}"))
    if found.left_out:
        note(visible(f"left out, since they are not figures: {', '.join(found.left_out)}"))
    return Exit.OK


def _identify(
    eval_set_md5: str | None, canonical_sha: str | None, run_id: str | None
) -> tuple[EvalSetIdentity, Candidate]:
    from pydantic import ValidationError

    from lynxgate.errors import UsageFailure
    from minieval.contract.documents import list_reasons
    from minieval.contract.report import Candidate, EvalSetIdentity

    try:
        eval_set = EvalSetIdentity.model_validate({"dvc_md5": eval_set_md5})
        return eval_set, Candidate.model_validate({"canonical_sha": canonical_sha, "mlflow_run_id": run_id})
    except ValidationError as error:
        raise UsageFailure(list_reasons(error)[0][1]) from error
