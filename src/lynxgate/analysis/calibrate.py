"""Calibrate: measure how often a policy errs, by gating resampled copies of two recorded evaluations. Pure and seeded.

- A/A: both models of a copy are equal; a gate that blocks is in error.
- A/B: one bucket of a copy is worse by a known drop; a gate that passes is in error. Each bucket that may block takes
  its turn.
- `lynxgate.decision.compare.compare` itself judges each copy, under the baseline's own policy.
- `lynxgate.analysis.resample` makes the copies, and `lynxgate.reports.calibration_text` renders the result.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from lynxgate.analysis.resample import (
    Copy,
    Scoring,
    draw_equal_pair,
    find_scoring,
    find_strata,
    make_worse,
    pair_rows,
)
from lynxgate.decision.baseline import Baseline, Figures
from lynxgate.decision.compare import compare_again
from lynxgate.decision.enforceable import check_confidence
from lynxgate.decision.groups import Groups
from lynxgate.decision.policy import Tier
from lynxgate.decision.statistics import Score
from lynxgate.decision.verdict import Inputs, Verdict
from lynxgate.errors import CannotJudge
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import SCHEMA, Evaluation, Measured, Scale
from minieval.contract.score_bytes import pack_counts, pack_scores
from minieval.data.labels import Labels

_NO_HASH = "0" * 64


@dataclass(frozen=True)
class Calibration:
    """The result: how many gates blocked equal models, and how many passed a model that is worse in one bucket.

    ``passed_worse`` has for each bucket the gates that passed and all gates. ``drop`` is a share; `None` is twice each
    margin.
    """

    rule: str
    disagreement: float
    blocked_equal: Score
    passed_worse: dict[str, Score]
    drop: float | None
    seed: int


def calibrate(
    evaluation: Evaluation,
    baseline: Baseline,
    labels: Labels,
    *,
    drop: float | None,
    repetitions: int,
    seed: int,
) -> Calibration:
    """Gate ``repetitions`` equal pairs, and as many pairs with one bucket worse by ``drop`` (a share).

    Raises:
        IntegrityFailure: the three do not name the same eval set.
        CannotJudge: a side has no score of each row, or nothing may block.
    """
    check_confidence(baseline.policy)
    rows = pair_rows(evaluation, baseline, labels)
    scoring = find_scoring(baseline.aggregate)
    strata = find_strata(rows, respected=baseline.policy.rule.asks_proof)
    gated = [name for name in sorted(baseline.buckets) if baseline.policy.terms_of(name).tier is not Tier.ADVISORY]
    if not gated:
        raise CannotJudge("every bucket is advisory, so nothing could fail")
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    blocked = sum(not _judge(draw_equal_pair(strata, rng), baseline, scoring).passed for _ in range(repetitions))
    passed = {name: [0, 0] for name in gated}
    for number in range(repetitions):
        bucket = gated[number % len(gated)]
        terms = baseline.policy.terms_of(bucket).against(baseline.buckets[bucket])
        fall = 2 * float(terms.tolerance_pp) / 100 if drop is None else drop
        worse = make_worse(draw_equal_pair(strata, rng), bucket, fall, rng, scoring.full)
        verdict = _judge(worse, baseline, scoring)
        passed[bucket][0] += verdict.passed
        passed[bucket][1] += 1
    return Calibration(
        rule=baseline.policy.rule.value,
        disagreement=sum(row.before != row.now for row in rows) / len(rows),
        blocked_equal=Score(blocked, repetitions),
        passed_worse={name: Score(*counts) for name, counts in passed.items() if counts[1]},
        drop=drop,
        seed=seed,
    )


def _judge(rows: Copy, baseline: Baseline, scoring: Scoring) -> Verdict:
    measure = partial(_measure, scoring)
    names = sorted({name for row in rows for name in row.buckets} & baseline.buckets.keys())
    members = {name: [row for row in rows if name in row.buckets] for name in names}
    agreed = baseline.model_copy(
        update={
            "aggregate": Figures.model_validate(measure([row.before for row in rows])),
            "buckets": {
                name: Figures.model_validate(measure([row.before for row in pairs])) for name, pairs in members.items()
            },
        }
    )
    whole = Measured.model_validate(measure([row.now for row in rows]))
    measured = Evaluation.model_validate(
        {
            "schema": SCHEMA,
            "eval_set": {"dvc_md5": baseline.eval_set_dvc_hash, "sha256": baseline.eval_set_sha256},
            "trials": scoring.trials,
            "aggregate": whole,
            "buckets": {
                name: Measured.model_validate(measure([row.now for row in pairs])) for name, pairs in members.items()
            },
        }
    )
    # A resampled copy has no bytes to hash, and its verdict is not stored.
    inputs = Inputs(evaluation_sha256=_NO_HASH, baseline_sha256=_NO_HASH, eval_set_dvc_md5=measured.eval_set.dvc_md5)
    # Rows are resampled; metrics and the isolation of the evaluation are not, so they are not judged.
    policy = agreed.policy.model_copy(update={"min_isolation": None, "metrics": {}})
    agreed = agreed.model_copy(update={"policy": policy, "metrics": {}})
    groups = _number(rows, members, measured) if policy.rule.asks_proof else None
    return compare_again(measured, agreed, inputs=inputs, groups=groups)


def _number(rows: Copy, members: Mapping[str, Copy], measured: Evaluation) -> Groups:
    named = measured.eval_set
    return Groups.model_validate(
        {
            "eval_set": {"dvc_md5": named.dvc_md5, "sha256": named.sha256 or _NO_HASH},
            "aggregate": [row.group for row in rows],
            "buckets": {name: [row.group for row in inside] for name, inside in members.items()},
        }
    )


def _measure(scoring: Scoring, scores: Sequence[int]) -> dict[str, int | str | None]:
    n, reached = len(scores), sum(scores)
    match scoring.scale:
        case Scale.GRADED:
            return {"n": n, "points": reached, "scores": pack_scores(scores)}
        case Scale.TRIALS:
            return {"n": n, "trials": scoring.trials, "correct": reached, "counts": pack_counts(scores)}
        case Scale.RIGHT_OR_WRONG:
            return {"n": n, "correct": reached, "outcomes": pack_outcomes([score > 0 for score in scores])}
        case _:
            assert_never(scoring.scale)
