"""The life of an eval set: for how many gates its figures can be trusted, under a policy. Pure.

Source: `lynxgate.decision.statistics.shelf_life`.
"""

from __future__ import annotations

import math

from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.policy import Policy
from lynxgate.decision.rules.bucket_comparison import BucketComparison
from lynxgate.decision.statistics import Score, wilson
from lynxgate.decision.statistics.shelf_life import composed_life
from minieval.contract.report import Measured


def gates_carried(policy: Policy, rows: int, disagreement: float, *, told: int) -> int:
    """Return for how many gates an eval set of ``rows`` examples can be used, if each tells ``told`` buckets' figures.

    Up to that number, every measured difference of all rows is within the overall tolerance of the true difference, at
    the policy's confidence, also of a model that is composed of the best one in each bucket. This holds for models that
    differ on at most a share ``disagreement`` of the examples. Source: `lynxgate.decision.statistics.shelf_life`.
    """
    epsilon = float(policy.overall_terms.tolerance_pp) / 100
    return composed_life(rows, epsilon, policy.alpha, disagreement, told) if epsilon else 0


def bound_disagreement(policy: Policy, before: Measured | None, now: Measured | None, rows: int) -> float:
    """Return the upper limit of the share of rows that two models score differently (Wilson, at the confidence).

    Where a side has no outcomes, the models are taken to fail on different rows.
    """
    confidence = float(policy.confidence)
    units = BucketComparison(ALL_ROWS, policy.overall_terms, before, now, confidence).units
    if units is not None:
        differing = sum(count for unit, count in units.items() if unit.difference)
    else:
        shares = [1.0 if side is None or side.share is None else float(1 - side.share) for side in (before, now)]
        differing = min(math.ceil(rows * sum(shares)), rows)
    return wilson(Score(differing, rows), 2 * confidence - 1)[1]
