"""The command ``minieval``: arguments in, `evaluate` called, the document written. No rule lives here."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minieval import __version__
from minieval.contract import exits
from minieval.runner.child import Limits
from minieval.runner.sandbox import Isolation

if TYPE_CHECKING:
    from minieval.contract.report import Evaluation

DEFAULT = Limits()


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"minieval {__version__}")
        raise typer.Exit


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def command(
    *,
    bundle: Annotated[Path, typer.Option(help="The candidate: an MLflow model directory as downloaded.")],
    eval_set: Annotated[Path, typer.Option(help="The eval set: a JSONL file, or a folder of them.")],
    output: Annotated[Path, typer.Option(help="Where to write the evaluation.")],
    isolation: Annotated[
        Isolation, typer.Option(help="Require bwrap, do without, or (auto) use it where it works.")
    ] = Isolation.AUTO,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows given to the model at once.")] = 256,
    timeout: Annotated[float, typer.Option(help="Seconds for the whole prediction.")] = DEFAULT.timeout_s,
    memory_mb: Annotated[int, typer.Option(help="Address space of the predictor, in MiB.")] = DEFAULT.memory_mb,
    run_id: Annotated[
        str | None, typer.Option(help="The MLflow run. [default: the one that fetch noted, or MLmodel names]")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Score a candidate bundle on an eval set, without showing it a label."""
    from minieval.contract.writes import discard_output  # noqa: PLC0415 - --help stays fast
    from minieval.evaluation import evaluate, write  # noqa: PLC0415

    # Before anything can fail: an evaluation of an earlier candidate must not be taken for that of this one.
    earlier = discard_output(output, inputs=(bundle, eval_set))
    limits = Limits(timeout_s=timeout, memory_mb=memory_mb)
    with _progress() as progress:
        evaluation = evaluate(
            bundle,
            eval_set,
            isolation=isolation,
            limits=limits,
            batch_size=batch_size,
            run_id=run_id,
            progress=progress,
            warn=_say,
        )
    write(evaluation, output, like=earlier)
    _say(f"{_summary(evaluation)}; wrote {output}")


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command in this process and return its exit code."""
    return exits.run(app, argv, prog="minieval")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield the progress callback: a bar on a terminal, elsewhere one line."""
    if not sys.stderr.isatty():
        yield _report_plainly
        return
    import rich.console  # noqa: PLC0415 - only a terminal needs it
    import rich.progress  # noqa: PLC0415

    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(console=console, transient=True) as bar:
        task = bar.add_task("loading the model", total=None)
        yield lambda done, total: bar.update(task, description="predicting", completed=done, total=total)


def _report_plainly(done: int, total: int) -> None:
    if done == 0:
        _say(f"the model is loaded; predicting {total} rows")


def _summary(evaluation: Evaluation) -> str:
    measured = evaluation.aggregate
    assert measured is not None, "minieval always measures the whole set"  # noqa: S101
    isolation = evaluation.evaluator and evaluation.evaluator.isolation
    return f"{measured.correct} of {measured.n} rows right ({measured.accuracy}), isolation {isolation}"


def _say(words: str) -> None:
    exits.print_line(f"minieval: {words}")
