"""Take the median of several evaluations on one eval set: figures that no single model measured. Pure.

- Counts stay whole numbers: of an even number of evaluations, the higher of the middle two is taken, which is the
  stricter one for a candidate.
- A median has no outcomes, because they are the answers of one model, and no metrics, because it ran on no machine.
- Every bucket must have counts, with one ``n``, in all evaluations; else the median would be of fewer evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence

from lynxgate.errors import CannotJudge
from minieval.contract.report import SCHEMA, Evaluation, Measured


def take_median(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return an evaluation with the median of ``correct`` of each bucket and of all rows; it names no candidate.

    Raises:
        CannotJudge: their buckets or their ``n`` differ, or a bucket has no counts.
    """
    first = evaluations[0]
    names = dict.fromkeys(name for each in evaluations for name in each.buckets)
    buckets = {
        name: _median(f"bucket {name[:80]!r}", [each.buckets.get(name) for each in evaluations]) for name in names
    }
    wholes = [each.aggregate for each in evaluations]
    aggregate = None if not any(wholes) else _median("aggregate", wholes)
    return Evaluation.model_validate(
        {"schema": SCHEMA, "eval_set": first.eval_set, "aggregate": aggregate, "buckets": buckets}
    )


def _median(name: str, sides: Sequence[Measured | None]) -> Measured:
    counts = [(side.n, side.correct) for side in sides if side is not None and side.correct is not None]
    if len(counts) < len(sides):
        raise CannotJudge(f"a median needs `n` and `correct` in every evaluation, and one has none for {name}")
    if len(sizes := {n for n, _ in counts}) > 1:
        raise CannotJudge(f"the evaluations have {' and '.join(map(str, sorted(sizes, key=str)))} rows in {name}")
    correct = sorted(correct for _, correct in counts if correct is not None)
    # Index n // 2 of n sorted counts is the middle one, or the higher of the middle two.
    return Measured(n=counts[0][0], correct=correct[len(correct) // 2])
