"""The error of a decision itself: how often its policy blocks an equal model, and which drops it sees. Pure.

- Everything follows from the verdict: rule, confidence, terms and sizes of its rows, and the share of examples on which
  the two models differed. No document is read.
- Chances are those of `lynxgate.analysis.planned_row`, for rows that are right or wrong. Metrics, and limits other than
  the tolerance (`min`, `max_drop_pp`, `max_negative_flip_rate`), are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from lynxgate.analysis.planned_row import Assumptions, PlannedRow, Sample, plan_row, sum_of_chances
from lynxgate.decision.policy import Terms, Tier
from lynxgate.decision.verdict import Figure, Row, Verdict

POWER = 0.8
MOST_ROWS = 200  # a verdict with more gated rows has no figures: a comment must not take minutes


@dataclass(frozen=True)
class OwnError:
    """What a policy does at the ``disagreement`` observed, a share; ``rows`` are those that may block."""

    disagreement: float
    rows: tuple[PlannedRow, ...]

    @property
    def blocks_equal_at_most(self) -> float:
        """Return at least the chance that an equal model is blocked (Boole's inequality)."""
        return sum_of_chances(self.rows)


def measure_own_error(verdict: Verdict) -> OwnError | None:
    """Return the error of the policy at the disagreement of the two models.

    `None` where it cannot be computed: without outcomes, with trials or graded scores, or with over `MOST_ROWS` rows.
    """
    whole = [] if verdict.aggregate is None else [verdict.aggregate]
    gated = [row for row in (*whole, *verdict.rows) if row.tier is not Tier.ADVISORY]
    disagreement = _find_disagreement(verdict)
    if disagreement is None or not gated or len(gated) > MOST_ROWS or any(_size(row) is None for row in gated):
        return None
    assumed = Assumptions(verdict.rule, float(Decimal(verdict.confidence)), disagreement, POWER)
    family = sum(row is not verdict.aggregate for row in gated)
    return OwnError(
        disagreement,
        tuple(
            plan_row(row.bucket, _terms(row), Sample(_size(row)), 1 if row is verdict.aggregate else family, assumed)
            for row in gated
        ),
    )


def _find_disagreement(verdict: Verdict) -> float | None:
    """Return the share of examples on which the models differ: of all rows, else of the buckets together."""
    found = [_count(row) for row in ([verdict.aggregate] if verdict.aggregate else [])]
    counts = [each for each in found or map(_count, verdict.rows) if each is not None]
    examples = sum(n for _, n in counts)
    # Where none differed, one might have: an equal model that never differs would be no news.
    return max(sum(moved for moved, _ in counts), 1) / examples if examples else None


def _count(row: Row) -> tuple[int, int] | None:
    """Return the examples that differ, and all of them."""
    evidence, n = row.evidence, _size(row)
    if n is None or evidence is None or evidence.gains is None or evidence.losses is None:
        return None
    return evidence.gains + evidence.losses, n


def _size(row: Row) -> int | None:
    sides: tuple[Figure | None, ...] = (row.baseline, row.candidate)
    if any(side is None or side.is_graded or side.trials for side in sides) or row.candidate is None:
        return None
    return row.candidate.n


def _terms(row: Row) -> Terms:
    return Terms(tier=row.tier, tolerance_pp=Decimal(row.tolerance_pp), max_negative_flip_rate=None, min=None)
