"""Commands that study decisions and take none: ``explain``, ``replay``, ``plan`` and ``calibrate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import (
    BASELINE,
    EVALUATION,
    BaselinePath,
    CandidatePath,
    EvalSetPath,
    OwnEvalSetPath,
    VerdictArgument,
)
from lynxgate.cli.output import print_text
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from minieval.contract.documents import Json
    from minieval.data.labels import Labels
    from minieval.task.document import Task


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    add_command(
        app,
        "explain",
        explain,
        panel=Panel.DECIDE,
        example="explain verdict.json\nexplain verdict.json --bucket tense.past --eval-set data/eval.jsonl",
    )
    add_command(app, "replay", replay, panel=Panel.DECIDE, example="replay verdict.json")
    add_command(app, "plan", plan, panel=Panel.DECIDE, example="plan --disagreement 0.10 --power 0.80")
    add_command(app, "calibrate", calibrate, panel=Panel.DECIDE, example="calibrate --repetitions 500")


def explain(
    verdict: VerdictArgument,
    bucket: Annotated[str | None, typer.Option("--bucket", help='The bucket to explain, or "all rows".')] = None,
    candidate: CandidatePath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    eval_set: EvalSetPath = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before", help="The evaluation that the baseline was made from; with its rows, examples are shown whole."
        ),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="The number of examples to show of each kind.")] = 20,
) -> int:
    """Explain a verdict in words.

    With --bucket, explain that bucket's row. With --eval-set too, list the examples that the candidate lost. With
    --before too, show each with its input and both answers; both evaluations have rows beside them (minieval --rows).
    """
    from lynxgate.analysis.explain import find_examples, find_row
    from lynxgate.analysis.replay import replay as recompute
    from lynxgate.decision.verdict import parse_verdict
    from lynxgate.errors import UsageFailure
    from lynxgate.reports.explanation import render_row, render_verdict
    from minieval.contract.documents import parse_document, read_bytes
    from minieval.contract.report import Evaluation

    data = read_bytes(verdict)
    stored = parse_verdict(data, where=str(verdict))
    if bucket is None:
        if eval_set is not None or before is not None:
            raise UsageFailure(
                '--eval-set lists the examples of one bucket; name the bucket with --bucket (or --bucket "all rows")'
            )
        print_text(render_verdict(stored))
        return Exit.OK
    row, examples, whole = find_row(stored, bucket), None, ""
    if before is not None and eval_set is None:
        raise UsageFailure("--before shows examples of the eval set; name it with --eval-set")
    if eval_set is not None:
        from lynxgate.decision.agreed_task import read_reading_task
        from lynxgate.decision.baseline import parse_baseline
        from lynxgate.decision.groups import find_groups
        from minieval.data.labels import read_labels

        measured, agreed = read_bytes(candidate), read_bytes(baseline)
        task = read_reading_task(agreed, baseline.parent, where=str(baseline))
        labels = read_labels(eval_set, task)
        recompute(data, measured, agreed, groups=find_groups(labels), where=str(verdict))
        examples = find_examples(
            stored,
            row,
            parse_document(measured, Evaluation, where=str(candidate)),
            parse_baseline(agreed, where=str(baseline)),
            labels,
        )
        if before is not None:
            whole = _render_whole((before, candidate), agreed, ExampleSource(eval_set, task, labels), bucket, most)
    print_text(render_row(stored, row, examples, most=most) + whole)
    return Exit.OK


@dataclass(frozen=True)
class ExampleSource:
    """An eval set: its path, the task by which it is read, and its labels."""

    path: Path
    task: Task
    labels: Labels

    def read_inputs(self, rows: frozenset[int]) -> Mapping[int, Mapping[str, Json]]:
        """Return the features of rows, numbered from 1."""
        from minieval.data.examples import read_inputs

        return read_inputs(self.path, rows, self.task)


def _render_whole(
    evaluations: tuple[Path, Path], baseline: bytes, eval_set: ExampleSource, bucket: str, most: int
) -> str:
    """Return the examples of a bucket with the answers of both models, as `lynxgate diff` shows them."""
    from lynxgate.analysis.diff import check_is_of_baseline, find_changes
    from lynxgate.cli.diff import open_side
    from lynxgate.decision.baseline import parse_baseline
    from lynxgate.reports.examples import render_examples

    with open_side(evaluations[0], None) as first, open_side(evaluations[1], None) as second:
        check_is_of_baseline(first, parse_baseline(baseline))
        inputs, labels = eval_set.read_inputs, eval_set.labels
        found = find_changes(first, second, labels=labels, inputs=inputs, bucket=bucket, limit=most)
    return "\n".join(["", *render_examples(found)])


def replay(
    verdict: VerdictArgument,
    candidate: CandidatePath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    eval_set: EvalSetPath = None,
) -> int:
    """Recompute a stored verdict from its documents.

    Exit 4 when the two differ.
    """
    from lynxgate.analysis.replay import replay as recompute
    from lynxgate.decision.agreed_task import read_agreed_groups
    from minieval.contract.documents import read_bytes

    agreed = read_bytes(baseline)
    groups = None if eval_set is None else read_agreed_groups(eval_set, agreed, baseline.parent, where=str(baseline))
    documents = read_bytes(verdict), read_bytes(candidate), agreed
    again = recompute(*documents, groups=groups, where=str(verdict))
    print_text(f"{verdict}: the same, byte for byte\n{again.summary}")
    return Exit.OK


def plan(
    baseline: BaselinePath = BASELINE,
    disagreement: Annotated[
        str, typer.Option("--disagreement", help="The assumed share of examples on which the two models differ.")
    ] = "0.10",
    power: Annotated[str, typer.Option("--power", help="The chance of detection that is enough.")] = "0.80",
    rows_per_group: Annotated[
        int, typer.Option("--rows-per-group", min=1, help="The assumed number of rows that share a group.")
    ] = 1,
    correlation: Annotated[
        float, typer.Option("--correlation", min=0, max=1, help="The assumed correlation of changes inside a group.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    """Show which regressions the policy can detect.

    This needs the baseline only, no evaluation.
    """
    from lynxgate.analysis.plan import make_plan
    from lynxgate.analysis.planned_row import Grouping
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.enforceable import check_globs
    from lynxgate.reports.plan_text import render_plan, render_plan_json
    from minieval.contract.documents import read_bytes

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    check_globs(agreed, where=str(baseline))
    made = make_plan(
        agreed,
        disagreement=_parse_fraction(disagreement),
        power=_parse_fraction(power),
        grouping=Grouping(rows_per_group, correlation),
    )
    print_text(render_plan_json(made).decode().rstrip() if as_json else render_plan(made))
    return Exit.OK


def calibrate(
    candidate: CandidatePath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    eval_set: OwnEvalSetPath = None,
    drop: Annotated[
        str | None, typer.Option("--drop", help="How far one bucket falls, as a fraction. [default: twice its margin]")
    ] = None,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=1, max=100_000, help="The number of simulated gates of each kind.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The random seed; equal seeds give equal figures.")] = 0,
) -> int:
    """Measure how often the gate decides wrongly.

    It resamples two recorded evaluations, and counts how often an equal model is blocked and a worse one passes.
    """
    from lynxgate.analysis.calibrate import calibrate as run_calibration
    from lynxgate.decision.agreed_task import read_reading_task
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.reports.calibration_text import render_calibration
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.report import Evaluation
    from minieval.data.labels import read_labels

    data = read_bytes(baseline, missing=CREATE_IT)
    agreed = parse_baseline(data, where=str(baseline))
    measured = read_document(candidate, Evaluation, missing=EVALUATE_IT)
    task = read_reading_task(data, baseline.parent, where=str(baseline))
    labels = read_labels(eval_set or baseline.parent / agreed.eval_set, task)
    fall = None if drop is None else _parse_fraction(drop)
    print_text(
        render_calibration(run_calibration(measured, agreed, labels, drop=fall, repetitions=repetitions, seed=seed))
    )
    return Exit.OK


def _parse_fraction(text: str) -> float:
    from lynxgate.errors import UsageFailure

    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 < share < 1:
        raise UsageFailure(f"{text[:40]!r} is not a fraction between 0 and 1; write 0.10 for 10 %")
    return share
