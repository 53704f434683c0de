"""Check that a baseline's policy could let a candidate pass: the best there can be. Pure.

- The best candidate has every row right, every trial right, or every score at its highest.
- Metrics are not part of it: the best value of a throughput is not known.
- Called where a baseline is activated; a baseline that was activated before stays as it is.
"""

from __future__ import annotations

import math
from decimal import Decimal

from lynxgate.decision.baseline import Baseline, Figures
from lynxgate.decision.compare import compare_again
from lynxgate.decision.policy import ShelfLife
from lynxgate.decision.statistics import Score, wilson
from lynxgate.decision.statistics.shelf_life import composed_life
from lynxgate.errors import CannotJudge
from lynxgate.escape import visible
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import SCHEMA, EvalSetIdentity, Evaluation, Measured, Scale
from minieval.contract.score_bytes import FULL_SCORE, pack_counts, pack_scores


def check_passable(baseline: Baseline) -> None:
    """Check that the best candidate would pass.

    Raises:
        CannotJudge: it would not; the message has the bucket and the reason.
    """
    _check_shelf_life(baseline)
    policy = baseline.policy.model_copy(update={"metrics": {}})
    verdict = compare_again(_best_evaluation(baseline), baseline.model_copy(update={"policy": policy, "metrics": {}}))
    # The eval set and the task are the baseline's own, and isolation is up to the machine: only rows count.
    if not verdict.blocking:
        return
    row, more = verdict.blocking[0], len(verdict.blocking) - 1
    raise CannotJudge(
        f"no candidate could pass: with every answer right, {visible(row.bucket)} is {row.outcome}: "
        f"{visible(row.reason)}{f' (and {more} more)' if more else ''}; give it more rows or a wider tolerance, "
        "make it advisory, or use another rule"
    )


def _check_shelf_life(baseline: Baseline) -> None:
    """Check that ``shelf_life: refuse`` allows one comparison: with a model that differs as little as one can."""
    policy, agreed = baseline.policy, baseline.aggregate
    if policy.shelf_life is not ShelfLife.REFUSE or agreed is None or agreed.n is None or agreed.share is None:
        return
    compared = any(each is not None for each in (agreed.outcomes, agreed.counts, agreed.scores))
    # Without outcomes two models are taken to fail on different rows, and the best one fails on none.
    differing = 0 if compared else math.ceil(agreed.n * (1 - agreed.share))
    disagreement = wilson(Score(differing, agreed.n), 2 * float(policy.confidence) - 1)[1]
    tolerance = float(policy.overall_terms.tolerance_pp) / 100
    if not composed_life(agreed.n, tolerance, policy.alpha, disagreement, len(baseline.buckets)):
        raise CannotJudge(
            f"no candidate could pass: shelf_life is refuse, and at the overall tolerance of {100 * tolerance:g} pp "
            f"the {agreed.n} rows of the eval set allow no comparison; give it more rows or a wider tolerance, or let "
            "shelf_life warn"
        )


def _best_evaluation(baseline: Baseline) -> Evaluation:
    sides = {name: _best(figures) for name, figures in baseline.buckets.items()}
    return Evaluation.model_validate({
        "schema": SCHEMA,
        "eval_set": EvalSetIdentity(dvc_md5=baseline.eval_set_dvc_hash or "0" * 32, sha256=baseline.eval_set_sha256),
        "task": None if baseline.task is None else baseline.task.identity,
        "trials": next((each.trials for each in sides.values() if each.trials), None),
        "aggregate": None if baseline.aggregate is None else _best(baseline.aggregate),
        "buckets": sides,
    })  # fmt: skip


def _best(figures: Figures) -> Measured:
    n, trials, graded = figures.n, figures.trials, figures.scale is Scale.GRADED
    if n is None and graded:
        return Measured(mean=Decimal(1))
    if n is None:
        return Measured(accuracy=Decimal(1), trials=trials)
    if graded:
        return Measured(n=n, points=n * FULL_SCORE, scores=pack_scores([FULL_SCORE] * n))
    if trials is not None:
        return Measured(n=n, trials=trials, correct=n * trials, counts=pack_counts([trials] * n))
    return Measured(n=n, correct=n, outcomes=pack_outcomes([True] * n))
