"""Take the median of several evaluations on one eval set: figures that no single model measured. Pure.

- Counts stay whole numbers: of an even number of evaluations, the higher of the middle two is taken, which is the
  stricter one for a candidate.
- A median has no outcomes, because they are the answers of one model, and no metrics, because it ran on no machine.
- Every bucket must have counts, with one ``n``, in all evaluations; else the median would be of fewer evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence

from lynxgate.decision.same_task import check_same_task
from lynxgate.errors import CannotJudge
from minieval.contract.report import SCHEMA, Evaluation, Measured, Scale


def take_median(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return an evaluation with the median of ``correct`` or ``points`` of each bucket and of all rows.

    It names no candidate.

    Raises:
        CannotJudge: their buckets, their scales or their ``n`` differ, or a bucket has no counts.
        IntegrityFailure: they were made by different tasks.
    """
    first = evaluations[0]
    names = dict.fromkeys(name for each in evaluations for name in each.buckets)
    buckets = {
        name: _median(f"bucket {name[:80]!r}", [each.buckets.get(name) for each in evaluations]) for name in names
    }
    wholes = [each.aggregate for each in evaluations]
    aggregate = None if not any(wholes) else _median("aggregate", wholes)
    for each in evaluations:
        check_same_task(("one evaluation", first.task), ("another", each.task), advice="take versions of one task")
    measured = {"aggregate": aggregate, "buckets": buckets, "trials": first.trials}
    return Evaluation.model_validate({"schema": SCHEMA, "eval_set": first.eval_set, "task": first.task, **measured})


def _median(name: str, sides: Sequence[Measured | None]) -> Measured:
    counted = [side for side in sides if side is not None and side.reached is not None]
    if len(counted) < len(sides):
        raise CannotJudge(f"a median needs counts (`n` and `correct`) in every evaluation, and one has none for {name}")
    first = counted[0]
    if any((side.scale, side.trials) != (first.scale, first.trials) for side in counted):
        raise CannotJudge(f"the evaluations do not score {name} in one way: right or wrong, trials, or graded")
    if len(sizes := {side.n for side in counted}) > 1:
        raise CannotJudge(f"the evaluations have {' and '.join(map(str, sorted(sizes, key=str)))} rows in {name}")
    reached = sorted(side.reached for side in counted if side.reached is not None)
    # Index n // 2 of n sorted counts is the middle one, or the higher of the middle two.
    middle = reached[len(reached) // 2]
    if first.scale is Scale.GRADED:
        return Measured(n=first.n, points=middle)
    return Measured(n=first.n, correct=middle, trials=first.trials)
