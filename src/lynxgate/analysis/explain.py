"""Find what explains one row of a verdict: the row, and the ids of the examples that changed. Pure.

- The examples follow from the two documents that the verdict was made from and from the eval set; the eval set is first
  checked against the verdict's hashes. The caller checks the documents (`lynxgate.analysis.replay`).
- Of an example only the id is returned, never its input or answer.
- `lynxgate.reports.explanation` renders a verdict in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.rules.bucket_comparison import BucketComparison
from lynxgate.decision.same_eval_set import EvalSetOf, check_same_eval_set, of_identity
from lynxgate.decision.statistics.units import units_interval
from lynxgate.decision.verdict import Row, Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.escape import visible
from minieval.contract.report import Evaluation
from minieval.data.labels import Labels


@dataclass(frozen=True)
class Examples:
    """The ids of the examples of one row that changed, in eval-set order, and the interval that respects groups.

    ``groups`` and ``interval_pp`` (percentage points) are set when the eval set has groups.
    """

    lost: tuple[str, ...]
    gained: tuple[str, ...]
    groups: int | None = None
    interval_pp: tuple[float, float] | None = None


def find_row(verdict: Verdict, bucket: str) -> Row:
    """Return the row of a bucket, or of `lynxgate.decision.compare.ALL_ROWS`.

    Raises:
        CannotJudge: the verdict has no such row.
    """
    rows: tuple[Row, ...] = (*verdict.rows, *((verdict.aggregate,) if verdict.aggregate else ()))
    for row in rows:
        if row.bucket == bucket:
            return row
    raise CannotJudge(f"the verdict has no bucket {bucket[:80]!r}; it has {', '.join(row.bucket for row in rows)}")


def find_examples(
    verdict: Verdict, row: Row, evaluation: Evaluation, baseline: Baseline, labels: Labels
) -> Examples | None:
    """Return the examples of a row that changed; `None` where a side has no outcomes, counts or scores.

    With trials or graded scores, an example is lost when its score is lower than it was.

    Raises:
        IntegrityFailure: the eval set is not the verdict's, or it has another number of rows in this bucket.
    """
    check_eval_set(verdict, labels)
    if row is verdict.aggregate:
        before, now = baseline.aggregate, evaluation.aggregate
        members: Sequence[int] = range(len(labels.ids))
    else:
        before, now = baseline.buckets.get(row.bucket), evaluation.buckets.get(row.bucket)
        members = labels.buckets.get(row.bucket, ())
    old, new = (None if side is None else side.marks for side in (before, now))
    if before is None or now is None or old is None or new is None:
        return None
    if (before.scale, before.trials) != (now.scale, now.trials):
        return None
    n = len(members)
    if (before.n, now.n) != (n, n):
        raise IntegrityFailure(
            f"{visible(row.bucket)}: the eval set has {n} rows, the baseline {before.n} and the evaluation {now.n}"
        )
    moved = [(labels.ids[each], became - was) for each, was, became in zip(members, old, new, strict=True)]
    lost, gained = (tuple(name for name, move in moved if move * sign > 0) for sign in (-1, 1))
    groups = [labels.groups[each] for each in members]
    if len(set(groups)) == len(groups):
        return Examples(lost, gained)
    policy = baseline.policy
    sides = BucketComparison(
        row.bucket,
        policy.terms_of(row.bucket).against(before),
        before,
        now,
        float(policy.confidence),
        tuple(groups),
        policy.group_cap or 1,
    )
    units = sides.units or Counter()
    # The interval is two-sided, so that each end is one-sided at the confidence.
    low, high = units_interval(units, 2 * float(Fraction(verdict.confidence)) - 1, proof=policy.proof or "gaffke")
    return Examples(lost, gained, units.total(), (100 * low, 100 * high))


def check_eval_set(verdict: Verdict, labels: Labels) -> None:
    """Check that the labels are of the eval set of the verdict's inputs.

    Raises:
        IntegrityFailure: a hash differs.
    """
    check_same_eval_set(
        of_identity("the eval set given", labels.identity),
        EvalSetOf("the verdict", verdict.inputs.eval_set_dvc_md5, verdict.inputs.eval_set_sha256),
        advice="check out the eval set of the verdict",
    )
