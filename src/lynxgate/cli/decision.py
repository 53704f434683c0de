"""Commands about the decision: ``compare``, ``baseline``, ``schema`` and ``validate``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.registry import Registry
from lynxgate.settings import DEFAULT_REGISTRY
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.decision.verdict import Verdict

BASELINE = Path("eval_baseline.json")
CANDIDATE = Path("candidate_eval.json")
BaselinePath = Annotated[Path, typer.Option("--baseline", help="The committed baseline.")]
EvaluationPath = Annotated[Path, typer.Option("--evaluation", help="What minieval wrote about the model.")]
EvalSetPath = Annotated[
    Path | None, typer.Option("--eval-set", help="The eval set itself, for rules that respect groups of its rows.")
]
Semver = Annotated[str | None, typer.Option("--semver", help="The version of the model that was evaluated, as v0.3.1.")]


class Format(StrEnum):
    """How ``compare`` shows its verdict."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


class Origin(StrEnum):
    """Where the registry's numbers come from: what is in production, one version, or the median of the last."""

    PRODUCTION = "production"
    TAGGED = "tagged"
    MEDIAN = "median"


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("compare")(compare)
    app.command("validate")(validate)
    app.command("schema")(schema)
    baseline = typer.Typer(help="Create, move and arm the committed baseline.", no_args_is_help=True)
    baseline.command("init")(init)
    baseline.command("rebaseline")(rebaseline)
    baseline.command("arm")(arm)
    baseline.command("show")(show)
    app.add_typer(baseline, name="baseline")


def compare(
    candidate: Annotated[Path, typer.Option("--candidate", help="The candidate's evaluation.")] = CANDIDATE,
    baseline: BaselinePath = BASELINE,
    tolerance: Annotated[
        str | None,
        typer.Option("--tolerance", help="The general tolerance as a fraction: 0.02 is 2 pp. May only tighten."),
    ] = None,
    eval_set: EvalSetPath = None,
    output: Annotated[Path | None, typer.Option("--output", help="Where the verdict is written as JSON.")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Show every row. [default: a line, or the failing rows]")
    ] = None,
) -> int:
    """Compare an evaluation with the baseline, bucket by bucket; exit 2 on a regression."""
    from lynxgate.decision.decide import decide, parse_tolerance
    from lynxgate.errors import GateError, UsageFailure
    from minieval.contract.writes import write_output

    tolerance_pp = None if tolerance is None else parse_tolerance(tolerance)
    if output is not None and output.resolve() in {candidate.resolve(), baseline.resolve()}:
        raise UsageFailure(f"--output {output} is one of the two documents compared; choose another file")
    try:
        verdict = decide(candidate, baseline, tolerance_pp, eval_set)
    except GateError:
        if output is not None and output.is_file():
            # An earlier verdict must not pass for the one that could not be reached.
            output.unlink()
        raise
    if output is not None:
        write_output(output, verdict.to_json())
    _show(verdict, form)
    return verdict.exit


def validate(
    files: Annotated[list[Path], typer.Argument(help="Evaluations, baselines, verdicts.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Check documents by the schema each names; exit 3 when one is not valid."""
    from lynxgate.decision.documents import Problem, find_problems
    from lynxgate.errors import CannotJudge
    from lynxgate.figures import visible
    from minieval.contract.documents import pretty_json, read_bytes

    findings = []
    for path in files:
        try:
            named, problems = find_problems(read_bytes(path), where=str(path))
        except CannotJudge as error:
            named, problems = None, (Problem("", str(error).removeprefix(f"{path}: ")),)
        shown = [{"path": each.path, "reason": each.reason} for each in problems]
        findings.append({"file": str(path), "schema": named, "valid": not problems, "problems": shown})
        if not as_json:
            lines = [f"{each.path or 'the document'}: {each.reason}" for each in problems] or [f"valid {named}"]
            _print("\n".join(visible(f"{path}: {line}") for line in lines))
    if as_json:
        _print(pretty_json(findings).decode().rstrip())
    return Exit.OK if all(each["valid"] for each in findings) else Exit.CANNOT_JUDGE


def schema(
    name: Annotated[str | None, typer.Argument(help="The schema to print, as lynxgate.baseline/1.")] = None,
    write: Annotated[Path | None, typer.Option("--write", help="A directory to write all of them to.")] = None,
) -> int:
    """Print the JSON Schema of a document, write all of them, or list their names."""
    from lynxgate.decision.documents import KINDS, file_name, render_schema
    from lynxgate.errors import UsageFailure
    from minieval.contract.writes import write_output

    if name is not None and name not in KINDS:
        raise UsageFailure(f"{name!r} is no schema; there are {', '.join(KINDS)}")
    if write is not None:
        for each in KINDS if name is None else (name,):
            write_output(write / file_name(each), render_schema(each))
    elif name is None:
        _print("\n".join(KINDS))
    else:
        _print(render_schema(name).decode().rstrip())
    return Exit.OK


def init(
    evaluation: EvaluationPath = CANDIDATE,
    baseline: BaselinePath = BASELINE,
    semver: Semver = None,
    eval_set: Annotated[
        str | None, typer.Option("--eval-set", help="The eval set's path, where the evaluation does not name it.")
    ] = None,
) -> int:
    """Create a first baseline, report-only, from an evaluation."""
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.errors import Refused
    from lynxgate.rebaseline.rebaseline import init_baseline
    from minieval.contract.documents import read_document
    from minieval.contract.report import Evaluation
    from minieval.contract.writes import write_output

    if baseline.exists():
        raise Refused(f"{baseline} exists; move its numbers with: lynxgate baseline rebaseline")
    measured = read_document(evaluation, Evaluation, missing=EVALUATE_IT)
    write_output(baseline, init_baseline(measured, eval_set=eval_set, semver=_version(semver)))
    _print(f"{baseline}: created, report-only, {len(measured.buckets)} buckets; review it, then: lynxgate baseline arm")
    return Exit.OK


def rebaseline(
    evaluation: Annotated[
        Path | None, typer.Option("--evaluation", help="What minieval wrote. [default: candidate_eval.json]")
    ] = None,
    baseline: BaselinePath = BASELINE,
    semver: Semver = None,
    source: Annotated[
        Origin | None, typer.Option("--from", help="Take the numbers from the registry's evidence instead.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="With --from median: how many promoted versions.")
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="A bucket that leaves; once for each of them.")
    ] = None,
    remove_metric: Annotated[
        list[str] | None, typer.Option("--remove-metric", help="A metric that leaves; once for each of them.")
    ] = None,
) -> int:
    """Move the baseline's numbers to those of an evaluation; everything else stays as it is."""
    from lynxgate.cli.numbers import RebaselineOptions, bring_numbers
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.rebaseline.rebaseline import rebaseline as move_numbers
    from lynxgate.reports.tables import render_moves
    from minieval.contract.documents import read_bytes
    from minieval.contract.writes import write_output

    data = read_bytes(baseline, missing=CREATE_IT)
    numbers = bring_numbers(
        RebaselineOptions(evaluation, source, _version(semver), last, registry),
        data,
        where=str(baseline),
        default=CANDIDATE,
    )
    moved = move_numbers(
        data,
        numbers.evaluation,
        semver=numbers.semver,
        median_of=numbers.median_of,
        remove=remove or (),
        remove_metrics=remove_metric or (),
        where=str(baseline),
    )
    if moved.data == data:
        _print(f"{baseline}: nothing moved, nothing written")
        return Exit.OK
    write_output(baseline, moved.data)
    _print(render_moves(moved))
    for note in numbers.notes:
        print(f"lynxgate: {note}", file=sys.stderr)
    return Exit.OK


def arm(baseline: BaselinePath = BASELINE) -> int:
    """Set a baseline active, after checking that it can be enforced."""
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.rebaseline.rebaseline import arm as set_active
    from minieval.contract.documents import read_bytes
    from minieval.contract.writes import write_output

    data = read_bytes(baseline, missing=CREATE_IT)
    active = set_active(data, where=str(baseline))
    if active == data:
        _print(f"{baseline}: already active, nothing written")
        return Exit.OK
    write_output(baseline, active)
    _print(f"{baseline}: active; give it a pull request of its own")
    return Exit.OK


def show(baseline: BaselinePath = BASELINE) -> int:
    """What a candidate will be held against: status, source, policy, and every bucket with its terms."""
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.reports.tables import render_baseline
    from minieval.contract.documents import read_bytes

    _print(render_baseline(parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))))
    return Exit.OK


def _show(verdict: Verdict, form: Format | None) -> None:
    from lynxgate.reports.tables import render_answer, render_markdown, render_table

    match form:
        case Format.JSON:
            _print(verdict.to_json().decode().rstrip())
        case Format.TABLE:
            _print(render_table(verdict))
        case Format.MARKDOWN:
            _print(render_markdown(verdict, every=True))
        case None:
            _print(render_answer(verdict))
    if verdict.exit is not Exit.OK:
        print(f"lynxgate: {verdict.summary}", file=sys.stderr)


def _version(text: str | None) -> str | None:
    from lynxgate.identity import parse_semver

    return None if text is None else str(parse_semver(text))


def _print(text: str) -> None:
    """Data to stdout as UTF-8, whatever the locale: equal verdicts are equal bytes."""
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{text}\n".encode())
    sys.stdout.buffer.flush()
