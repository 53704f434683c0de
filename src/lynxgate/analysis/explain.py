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
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Evaluation, Measured, Scale
from minieval.contract.score_bytes import unpack_counts, unpack_scores
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
    if before is None or now is None or not (_has_rows(before) and _has_rows(now)):
        return None
    if (before.scale, before.trials) != (now.scale, now.trials):
        return None
    n = len(members)
    if (before.n, now.n) != (n, n):
        raise IntegrityFailure(
            f"{visible(row.bucket)}: the eval set has {n} rows, the baseline {before.n} and the evaluation {now.n}"
        )
    if now.scale is not Scale.RIGHT_OR_WRONG:
        return _compare_scores(before, now, [labels.ids[each] for each in members])
    # Outcomes are integers with one bit for each row, the first row highest: an example was lost where the old bit is
    # set and the new one is not.
    old, new = (unpack_outcomes(side.outcomes or "", n) for side in (before, now))
    changed = [f"{old & ~new:0{n}b}", f"{new & ~old:0{n}b}"]
    lost, gained = (
        tuple(labels.ids[each] for each, bit in zip(members, bits, strict=True) if bit == "1") for bits in changed
    )
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


def _has_rows(side: Measured) -> bool:
    """Return whether the figures have an entry for each row."""
    return any(each is not None for each in (side.outcomes, side.counts, side.scores))


def _compare_scores(before: Measured, now: Measured, ids: Sequence[str]) -> Examples:
    """Return the examples with a lower and with a higher score."""
    old, new = (_read_scores(side, len(ids)) for side in (before, now))
    rows = list(zip(ids, old, new, strict=True))
    lost = tuple(name for name, was, became in rows if became < was)
    return Examples(lost, tuple(name for name, was, became in rows if became > was))


def _read_scores(side: Measured, n: int) -> tuple[int, ...]:
    if side.trials is not None:
        return unpack_counts(side.counts or "", n, side.trials)
    return unpack_scores(side.scores or "", n)
