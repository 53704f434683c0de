"""Commands that create, update, activate and show the committed baseline: ``baseline ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    EVALUATION,
    REGISTRY,
    AcceptRegression,
    AcceptZero,
    BaselinePath,
    EvalSetPath,
    EvaluatedSemver,
    EvaluationPath,
    Registry,
    Remove,
    RemoveMetric,
)
from lynxgate.cli.output import note, print_text
from lynxgate.cli.rebaseline_source import Origin
from minieval.contract.exits import Exit


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    group = open_group(app, "baseline", "Create, update and activate the baseline.", Panel.BASELINE)
    add_command(group, "init", init, example="baseline init --evaluation candidate_eval.json --semver v0.3.1")
    add_command(
        group,
        "rebaseline",
        rebaseline,
        example="baseline rebaseline --evaluation candidate_eval.json\nbaseline rebaseline --from production",
    )
    add_command(
        group,
        "rotate",
        rotate,
        example="baseline rotate --evaluation champion_eval.json --candidate candidate_eval.json",
    )
    add_command(group, "activate", activate, example="baseline activate", alias="arm")
    add_command(group, "show", show, example="baseline show")


def init(
    evaluation: EvaluationPath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    semver: EvaluatedSemver = None,
    eval_set: Annotated[
        str | None, typer.Option("--eval-set", help="The path of the eval set, if the evaluation does not name it.")
    ] = None,
) -> int:
    """Create a first baseline from an evaluation.

    It is report-only until you activate it. An existing file is never overwritten.
    """
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.errors import Refused
    from lynxgate.rebaseline.create import init_baseline
    from lynxgate.rebaseline.relocate import relocate
    from minieval.contract.documents import read_document
    from minieval.contract.report import Evaluation
    from minieval.contract.writes import write_output

    if baseline.exists():
        raise Refused(f"{baseline} exists; update its numbers with: lynxgate baseline rebaseline")
    measured = relocate(read_document(evaluation, Evaluation, missing=EVALUATE_IT), baseline.parent)
    write_output(baseline, init_baseline(measured, eval_set=eval_set, semver=_parse_version(semver)))
    created = f"{baseline}: created, report-only, {len(measured.buckets)} buckets"
    print_text(f"{created}; review it, then: lynxgate baseline activate")
    return Exit.OK


def rebaseline(
    evaluation: Annotated[
        Path | None,
        typer.Option("--evaluation", help="The evaluation that minieval wrote. [default: candidate_eval.json]"),
    ] = None,
    baseline: BaselinePath = BASELINE,
    semver: EvaluatedSemver = None,
    source: Annotated[
        Origin | None, typer.Option("--from", help="Take the numbers from evidence in the registry instead.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="With --from median: the number of promoted versions.")
    ] = None,
    registry: Registry = REGISTRY,
    remove: Remove = None,
    remove_metric: RemoveMetric = None,
    accept_regression: AcceptRegression = None,
    eval_set: EvalSetPath = None,
) -> int:
    """Update the numbers of the baseline.

    They are taken from an evaluation, or from evidence in the registry. Status, policy, tolerances and comments
    stay as they are. An active baseline moves only to what passes or was promoted; else name each regression.
    """
    from lynxgate.cli.rebaseline_source import RebaselineOptions, read_numbers
    from lynxgate.decision.agreed_task import read_agreed_groups
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.rebaseline.move import rebaseline as move_numbers
    from lynxgate.rebaseline.relocate import relocate
    from lynxgate.reports.rebaseline_table import render_moves
    from minieval.contract.documents import read_bytes
    from minieval.contract.writes import write_output

    data = read_bytes(baseline, missing=CREATE_IT)
    numbers = read_numbers(
        RebaselineOptions(evaluation, source, _parse_version(semver), last, registry),
        data,
        where=str(baseline),
        default=EVALUATION,
    )
    moved = move_numbers(
        data,
        relocate(numbers.evaluation, baseline.parent),
        semver=numbers.semver,
        median_of=numbers.median_of,
        remove=remove or (),
        remove_metrics=remove_metric or (),
        accept=accept_regression or (),
        is_promoted=source is not None,
        groups=None if eval_set is None else read_agreed_groups(eval_set, data, baseline.parent, where=str(baseline)),
        where=str(baseline),
    )
    if moved.data == data:
        print_text(f"{baseline}: no number changed, nothing written")
        return Exit.OK
    write_output(baseline, moved.data)
    print_text(render_moves(moved))
    for each in numbers.notes:
        note(f"lynxgate: {each}")
    return Exit.OK


def rotate(
    evaluation: Annotated[
        Path, typer.Option("--evaluation", help="The evaluation of the baseline's model on the new eval set.")
    ],
    baseline: BaselinePath = BASELINE,
    candidate: Annotated[
        Path | None, typer.Option("--candidate", help="An evaluation of a candidate on it, to judge as well.")
    ] = None,
    remove: Remove = None,
    eval_set: EvalSetPath = None,
) -> int:
    """Move the baseline to another eval set.

    Its own model, evaluated on the new eval set, gives the figures, so that the bar stays. The exit code is that of the
    candidate's verdict, where one is given.
    """
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.decision.groups import read_groups
    from lynxgate.rebaseline.relocate import relocate
    from lynxgate.rebaseline.rotate import rotate as move_to
    from lynxgate.reports.rebaseline_table import render_moves
    from lynxgate.reports.verdict_table import render_table
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.report import Evaluation
    from minieval.contract.writes import write_output
    from minieval.task.document import CONVENTIONS, read_task

    data = read_bytes(baseline, missing=CREATE_IT)
    champion = relocate(read_document(evaluation, Evaluation, missing=EVALUATE_IT), baseline.parent)
    groups = None
    if eval_set is not None:
        named = champion.task
        groups = read_groups(eval_set, CONVENTIONS if named is None else read_task(baseline.parent / named.path).task)
    rotated = move_to(
        data,
        champion,
        None if candidate is None else read_document(candidate, Evaluation, missing=EVALUATE_IT),
        remove=remove or (),
        groups=groups,
        where=str(baseline),
    )
    write_output(baseline, rotated.moved.data)
    print_text(render_moves(rotated.moved))
    if rotated.verdict is None:
        return Exit.OK
    print_text(render_table(rotated.verdict))
    return rotated.verdict.exit


def activate(baseline: BaselinePath = BASELINE, accept_zero: AcceptZero = None) -> int:
    """Activate the baseline, to block regressions.

    A baseline that cannot be enforced is refused, and one with a bucket at 0 % that is not accepted by name.
    """
    from lynxgate.decision.baseline import CREATE_IT
    from lynxgate.rebaseline.activate import activate as set_active
    from minieval.contract.documents import read_bytes
    from minieval.contract.writes import write_output

    data = read_bytes(baseline, missing=CREATE_IT)
    active = set_active(data, accept_zero=accept_zero or (), where=str(baseline))
    if active == data:
        print_text(f"{baseline}: already active, nothing written")
        return Exit.OK
    write_output(baseline, active)
    print_text(f"{baseline}: active; give it a pull request of its own")
    return Exit.OK


def show(baseline: BaselinePath = BASELINE) -> int:
    """Show what a candidate is compared with.

    That is: status, source, policy, and each bucket with its tolerance.
    """
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.reports.baseline_table import render_baseline
    from minieval.contract.documents import read_bytes

    print_text(render_baseline(parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))))
    return Exit.OK


def _parse_version(text: str | None) -> str | None:
    from lynxgate.identity import parse_semver

    return None if text is None else str(parse_semver(text))
