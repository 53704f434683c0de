"""The command ``minieval``: arguments in, `evaluate` called, the document written. No rule lives here."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minieval import __version__
from minieval.contract import exits
from minieval.contract.exits import UsageFailure
from minieval.runner.sandbox import Isolation

if TYPE_CHECKING:
    from minieval.contract.report import Context, Evaluation, Measured
    from minieval.data.kept_rows import KeepRows

PER_TASK = "[default: that of the task file]"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"minieval {__version__}")
        raise typer.Exit


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def command(
    invoked: typer.Context,
    *,
    bundle: Annotated[
        Path | None, typer.Option(help="The candidate: an MLflow model directory as downloaded. Required.")
    ] = None,
    eval_set: Annotated[
        Path | None, typer.Option(help="The eval set: a JSONL, CSV or Parquet file, or a folder of them. Required.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the evaluation. Required.")] = None,
    task: Annotated[
        Path | None, typer.Option(help="The task file (minieval.task/1). [default: the conventions of JSONL]")
    ] = None,
    isolation: Annotated[
        Isolation, typer.Option(help="Require bwrap, do without, or (auto) use it where it works.")
    ] = Isolation.AUTO,
    batch_size: Annotated[int | None, typer.Option(min=1, help=f"Rows given to the model at once. {PER_TASK}")] = None,
    timeout: Annotated[float | None, typer.Option(help=f"Seconds for the whole prediction. {PER_TASK}")] = None,
    memory_mb: Annotated[
        int | None, typer.Option(help=f"Resident memory of the predictor's processes together, in MiB. {PER_TASK}")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help=f"The Python of the model: gate, model (built from its requirements), or a path. {PER_TASK}"),
    ] = None,
    python_index: Annotated[
        str | None,
        typer.Option(
            envvar="LYNXGATE_PYTHON_INDEX", help="The package index for --python model: a URL. [default: uv's own]"
        ),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option(help="The MLflow run. [default: the one that fetch noted, or MLmodel names]")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Also write id, answer, expected answer and score of each row (Parquet).")
    ] = None,
    with_inputs: Annotated[bool, typer.Option("--with-inputs", help="Keep the features in --rows too.")] = False,
    context: Annotated[
        list[str] | None,
        typer.Option(help="Note KEY=VALUE in the evaluation: commit, branch, time, or a tag. Decides nothing."),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Score a candidate bundle on an eval set, without showing it a label."""
    if invoked.invoked_subcommand is not None:
        return
    from minieval.contract.model_environment import lock_path  # noqa: PLC0415 - --help stays fast
    from minieval.contract.writes import discard_output, write_output  # noqa: PLC0415
    from minieval.environment.build import choose_builder  # noqa: PLC0415
    from minieval.evaluation import choose_limits, evaluate, write  # noqa: PLC0415
    from minieval.task.document import NO_TASK_FILE, read_task  # noqa: PLC0415

    missing = [name for name, value in (("bundle", bundle), ("eval-set", eval_set), ("output", output)) if not value]
    if bundle is None or eval_set is None or output is None:
        raise UsageFailure(f"--{missing[0]} is missing; see minieval --help")
    # Before anything can fail: an evaluation of an earlier candidate must not be taken for that of this one.
    inputs = (bundle, eval_set, *([task] if task else []))
    earlier = discard_output(output, inputs=inputs)
    kept = _choose_rows(rows, with_inputs, output=output, inputs=inputs)
    discard_output(lock_path(output), inputs=inputs)
    task_file = NO_TASK_FILE if task is None else read_task(task)
    with _progress() as progress:
        evaluation = evaluate(
            bundle,
            eval_set,
            task=task_file,
            isolation=isolation,
            limits=choose_limits(task_file, timeout_s=timeout, memory_mb=memory_mb),
            batch_size=batch_size,
            run_id=run_id,
            context=_parse_context(context or []),
            rows=kept,
            python=python,
            builder=choose_builder(os.environ, python_index),
            keep_lock=lambda lock: write_output(lock_path(output), lock),
            progress=progress,
            warn=_say,
        )
    write(evaluation, output, like=earlier)
    _say(f"{_summary(evaluation)}; wrote {output}")


@app.command()
def check(
    task: Annotated[Path, typer.Argument(help="The task file (minieval.task/1).")],
    eval_set: Annotated[
        Path | None,
        typer.Option(help="The eval set. [default: the file or folder beside the task that has its name]"),
    ] = None,
) -> None:
    """Check a task file against its eval set, and print what was understood: columns, buckets, three rows."""
    from minieval.check import check_task, describe_findings, find_eval_set  # noqa: PLC0415
    from minieval.task.document import read_task  # noqa: PLC0415

    print(describe_findings(check_task(read_task(task), eval_set or find_eval_set(task))))


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command in this process and return its exit code."""
    return exits.run(app, argv, prog="minieval")


def _choose_rows(path: Path | None, with_inputs: bool, *, output: Path, inputs: Sequence[Path]) -> KeepRows | None:
    """Remove the rows of an earlier call, and return where those of this one go."""
    if path is None:
        if with_inputs:
            raise UsageFailure("--with-inputs keeps the features in the file of --rows; name it")
        return None
    from minieval.contract.writes import discard_output  # noqa: PLC0415 - --help stays fast
    from minieval.data.kept_rows import KeepRows  # noqa: PLC0415

    if os.path.realpath(path) == os.path.realpath(output):  # `resolve` raises for a loop of links
        raise UsageFailure(f"--rows and --output are both {path}; choose another file for one")
    discard_output(path, inputs=inputs)
    return KeepRows(path, with_inputs)


def _parse_context(pairs: Sequence[str]) -> Context | None:
    from pydantic import ValidationError  # noqa: PLC0415 - --help stays fast

    from minieval.contract.documents import list_reasons  # noqa: PLC0415
    from minieval.contract.report import Context  # noqa: PLC0415

    named = dict(pair.partition("=")[::2] for pair in pairs)
    if wrong := [pair for pair in pairs if not pair.partition("=")[2]]:
        raise UsageFailure(f"--context {wrong[0][:80]!r}: write KEY=VALUE, as commit=0a1b2c3")
    known = {key: named.pop(key) for key in ("commit", "branch", "time") if key in named}
    try:
        return Context.model_validate({**known, "tags": named}) if pairs else None
    except ValidationError as error:
        place, reason = list_reasons(error)[0]
        raise UsageFailure(f"--context: {place}: {reason}") from error


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Yield the progress callback: a count on a terminal, elsewhere one line."""
    if not sys.stderr.isatty():
        yield _report_plainly
        return
    import rich.console  # noqa: PLC0415 - only a terminal needs it
    import rich.progress  # noqa: PLC0415

    console = rich.console.Console(stderr=True)
    columns = (rich.progress.SpinnerColumn(), "{task.description}", rich.progress.TimeElapsedColumn())
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("loading the model", total=None)
        yield lambda done: bar.update(shown, description=f"predicting: {done:,} rows done")


def _report_plainly(done: int) -> None:
    if done == 0:
        _say("the model is loaded; predicting")


def _summary(evaluation: Evaluation) -> str:
    measured = evaluation.aggregate
    if measured is None:  # only where a command of the task evaluated
        return f"{len(evaluation.buckets)} buckets, isolation {evaluation.evaluator and evaluation.evaluator.isolation}"
    isolation = evaluation.evaluator and evaluation.evaluator.isolation
    without = f", {evaluation.missing_answers} without an answer" if evaluation.missing_answers else ""
    return f"{_describe(measured)}{without}, isolation {isolation}"


def _describe(measured: Measured) -> str:
    if measured.accuracy is not None and (measured.correct is None or measured.n is None):
        return f"an accuracy of {measured.accuracy}"
    if measured.correct is None:
        return f"a mean score of {measured.mean} over {measured.n} rows"
    if measured.trials is not None:
        return f"{measured.correct} of {measured.reachable} answers right ({measured.accuracy})"
    return f"{measured.correct} of {measured.n} rows right ({measured.accuracy})"


def _say(words: str) -> None:
    exits.print_line(f"minieval: {words}")
