"""The command ``import``: what another tool measured becomes an evaluation, or metrics of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from minieval.contract.report import Candidate, EvalSetIdentity


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path | None, typer.Argument(help="What the other tool wrote.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Its format; --list names them.")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Name the formats that can be read.")] = False,
    eval_set_md5: Annotated[str | None, typer.Option(help="DVC's md5 of the eval set it was measured on.")] = None,
    canonical_sha: Annotated[str | None, typer.Option(help="The model's canonical SHA (64 hex digits).")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="The model's MLflow run (32 hex digits).")] = None,
    buckets: Annotated[
        list[str] | None, typer.Option("--buckets", help="Names or globs of figures that are accuracies of buckets.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="An evaluation to add to, instead of making a new one.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Where the evaluation is written.")] = None,
) -> int:
    """Turn what another tool measured into an evaluation, or add its metrics to one."""
    from lynxgate.errors import UsageFailure
    from lynxgate.figures import visible
    from lynxgate.importers import PROVIDERS, Origin, add_to_document, build_evaluation, read_foreign
    from minieval.contract.documents import read_bytes
    from minieval.contract.report import dump_evaluation
    from minieval.contract.writes import write_output

    if list_them:
        print("\n".join(f"{each.name:<17} {each.says}" for each in PROVIDERS.values()))
        return Exit.OK
    if file is None or provider is None or output is None:
        raise UsageFailure("a FILE, --provider and --output are needed; lynxgate import --list names the providers")
    identity = (eval_set_md5, canonical_sha, run_id)
    if into is not None and any(identity):
        raise UsageFailure("--into takes eval set and model from the evaluation; leave out what names them")
    if into is None and eval_set_md5 is None:
        raise UsageFailure(
            "--eval-set-md5 is needed: figures of an unknown eval set cannot be compared (or use --into)"
        )
    found = read_foreign(provider, read_bytes(file), where=str(file), buckets=buckets or ())
    if into is None:
        evaluation = build_evaluation(found, Origin(provider, *_identify(*identity)), where=str(file))
        data = dump_evaluation(evaluation)
    else:
        data = add_to_document(found, read_bytes(into), where=str(file), into=str(into))
    write_output(output, data)
    said = f"{output}: {len(found.buckets)} buckets and {len(found.metrics)} metrics from {file}"
    print(visible(said), file=sys.stderr)
    if found.left_out:
        print(visible(f"left out, since they are no figures: {', '.join(found.left_out)}"), file=sys.stderr)
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
