"""Commands that look at decisions and take none: ``explain``, ``replay``, ``plan`` and ``calibrate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.decision import BASELINE, CANDIDATE, BaselinePath
from minieval.contract.exits import Exit

CandidatePath = Annotated[Path, typer.Option("--candidate", help="The candidate's evaluation.")]
VerdictPath = Annotated[Path, typer.Argument(help="What `lynxgate compare --output` wrote.")]
EvalSetPath = Annotated[Path | None, typer.Option("--eval-set", help="The eval set itself.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("explain")(explain)
    app.command("replay")(replay)
    app.command("plan")(plan)
    app.command("calibrate")(calibrate)


def explain(
    verdict: VerdictPath,
    bucket: Annotated[str | None, typer.Option("--bucket", help='One bucket, or "all rows".')] = None,
    candidate: CandidatePath = CANDIDATE,
    baseline: BaselinePath = BASELINE,
    eval_set: EvalSetPath = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Ids to name of each kind.")] = 20,
) -> int:
    """Tell a verdict in words; with --bucket and --eval-set, name the examples that were lost."""
    from lynxgate.analysis.explain import find_examples, find_row, render_row, render_verdict
    from lynxgate.analysis.replay import replay as take_again
    from lynxgate.decision.verdict import parse_verdict
    from lynxgate.errors import UsageFailure
    from minieval.contract.documents import parse_document, read_bytes
    from minieval.contract.report import Evaluation

    data = read_bytes(verdict)
    stored = parse_verdict(data, where=str(verdict))
    if bucket is None:
        if eval_set is not None:
            raise UsageFailure(
                '--eval-set names examples of one bucket; name it with --bucket (or --bucket "all rows")'
            )
        _print(render_verdict(stored))
        return Exit.OK
    row, examples = find_row(stored, bucket), None
    if eval_set is not None:
        from lynxgate.decision.baseline import parse_baseline
        from lynxgate.decision.groups import find_groups
        from minieval.contract.evalset import load_eval_set

        measured, agreed, rows = read_bytes(candidate), read_bytes(baseline), load_eval_set(eval_set)
        take_again(data, measured, agreed, groups=find_groups(rows), where=str(verdict))
        examples = find_examples(
            stored,
            row,
            parse_document(measured, Evaluation, where=str(candidate)),
            parse_baseline(agreed, where=str(baseline)),
            rows,
        )
    _print(render_row(stored, row, examples, most=most))
    return Exit.OK


def replay(
    verdict: VerdictPath,
    candidate: CandidatePath = CANDIDATE,
    baseline: BaselinePath = BASELINE,
    eval_set: EvalSetPath = None,
) -> int:
    """Check that a stored verdict follows from its documents; exit 4 when it does not."""
    from lynxgate.analysis.replay import replay as take_again
    from lynxgate.decision.groups import read_groups
    from minieval.contract.documents import read_bytes

    groups = None if eval_set is None else read_groups(eval_set)
    data = read_bytes(verdict)
    again = take_again(data, read_bytes(candidate), read_bytes(baseline), groups=groups, where=str(verdict))
    same = "the same, byte for byte" if again.to_json() == data else "the same decision, in another version's words"
    _print(f"{verdict}: {same}\n{again.summary}")
    return Exit.OK


def plan(
    baseline: BaselinePath = BASELINE,
    disagreement: Annotated[
        str, typer.Option("--disagreement", help="Share of examples on which the two models are assumed to differ.")
    ] = "0.10",
    power: Annotated[str, typer.Option("--power", help="The chance that counts as enough.")] = "0.80",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    """Say what a baseline's policy can see, before anything is evaluated."""
    from lynxgate.analysis.plan import make_plan, render_plan, render_plan_json
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from minieval.contract.documents import read_bytes

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    made = make_plan(agreed, disagreement=_share(disagreement), power=_share(power))
    _print(render_plan_json(made).decode().rstrip() if as_json else render_plan(made))
    return Exit.OK


def calibrate(
    candidate: CandidatePath = CANDIDATE,
    baseline: BaselinePath = BASELINE,
    eval_set: Annotated[Path | None, typer.Option("--eval-set", help="The eval set. [default: the baseline's]")] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", help="How far one bucket falls, as a share. [default: twice its margin]")
    ] = None,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, max=100_000, help="Gates of each kind.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds give equal figures.")] = 0,
) -> int:
    """Gate resampled copies of two recorded evaluations: how often are equal models blocked, and worse ones passed?"""
    from lynxgate.analysis.calibrate import calibrate as measure
    from lynxgate.analysis.calibrate import render_calibration
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.evalset import load_eval_set
    from minieval.contract.report import Evaluation

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    measured = read_document(candidate, Evaluation, missing=EVALUATE_IT)
    rows = load_eval_set(eval_set or baseline.parent / agreed.eval_set)
    fall = None if drop is None else _share(drop)
    _print(render_calibration(measure(measured, agreed, rows, drop=fall, repetitions=repetitions, seed=seed)))
    return Exit.OK


def _share(text: str) -> float:
    from lynxgate.errors import UsageFailure

    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 < share < 1:
        raise UsageFailure(f"{text[:40]!r} is not a share: write a fraction between 0 and 1, as 0.10 for 10 %")
    return share


def _print(text: str) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{text}\n".encode())
    sys.stdout.buffer.flush()
