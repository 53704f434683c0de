"""How often a policy errs, measured on two recorded evaluations by gating copies of them that are known to be equal,
or known to be worse in one bucket. Pure and seeded.

- A copy draws as many rows of the eval set, with replacement, as it has, each row with both outcomes and its buckets.
  Where the rule respects groups it draws as many groups, each whole.
- Equal models (A/A): where the two disagree, a fair coin says which of them was right; one coin for all of a group, so
  that what its rows have in common stays.
- One bucket worse (A/B): from an equal pair, right answers of the candidate in one bucket become wrong until it is
  worse by the drop on average; the bucket is each of those that may block in turn.
- Each copy is judged by `lynxgate.decision.compare.compare` itself, under the baseline's own policy.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lynxgate.decision.baseline import Baseline, Figures
from lynxgate.decision.compare import compare
from lynxgate.decision.groups import Groups
from lynxgate.decision.policy import Tier
from lynxgate.decision.statistics import Score, wilson
from lynxgate.decision.verdict import Inputs, Verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.figures import visible
from minieval.contract.evalset import EvalSet
from minieval.contract.outcome_bits import pack_outcomes, unpack_outcomes
from minieval.contract.report import Evaluation, Measured
from minieval.contract.rows import number_groups

_NOWHERE = "0" * 64
Units = Sequence[Sequence["Answered"]]  # what is drawn: groups of rows, or each row alone


class Answered(NamedTuple):
    """One row: whether either model was right, where it counts, and the number of its group in the copy."""

    before: bool
    now: bool
    buckets: tuple[str, ...]
    group: int


Copy = list[Answered]


@dataclass(frozen=True)
class Calibration:
    """What came of it: gates that blocked equal models, and gates that passed a model worse in one bucket.

    ``passed_worse`` is by bucket: gates that passed, gates in all. ``drop`` is a share, `None` for twice each margin.
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
    eval_set: EvalSet,
    *,
    drop: float | None,
    repetitions: int,
    seed: int,
) -> Calibration:
    """Gate ``repetitions`` equal pairs, and as many with one bucket worse by ``drop`` (a share).

    Raises:
        IntegrityFailure: the three are not about the same eval set.
        CannotJudge: a side has no outcomes over all rows, or nothing may block.
    """
    rows = _pair_rows(evaluation, baseline, eval_set)
    units = _find_units(rows, respected=baseline.policy.rule.asks_proof)
    gated = [name for name in sorted(baseline.buckets) if baseline.policy.terms_of(name).tier is not Tier.ADVISORY]
    if not gated:
        raise CannotJudge("every bucket is advisory, so that nothing could fail")
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    blocked = sum(not _judge(_equal_pair(units, rng), baseline).passed for _ in range(repetitions))
    passed = {name: [0, 0] for name in gated}
    for number in range(repetitions):
        bucket = gated[number % len(gated)]
        fall = 2 * float(baseline.policy.terms_of(bucket).tolerance_pp) / 100 if drop is None else drop
        verdict = _judge(_spoil(_equal_pair(units, rng), bucket, fall, rng), baseline)
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


def render_calibration(found: Calibration) -> str:
    """The rates with their 95 % Wilson intervals."""
    whole = Score(
        sum(score.correct for score in found.passed_worse.values()),
        sum(score.n for score in found.passed_worse.values()),
    )
    fall = "twice its margin" if found.drop is None else f"{100 * found.drop:g} pp"
    lines = [
        f"rule {found.rule}; the two evaluations differ on {100 * found.disagreement:.2f} % of the examples; "
        f"seed {found.seed}; 95 % intervals",
        f"equal models blocked: {_rate(found.blocked_equal)}",
        f"one bucket worse by {fall}, passed: {_rate(whole)}",
    ]
    width = max(len(visible(name)) for name in found.passed_worse)
    return "\n".join(
        [*lines, *(f"  {visible(name).ljust(width)}  {_rate(score)}" for name, score in found.passed_worse.items())]
    )


def _pair_rows(evaluation: Evaluation, baseline: Baseline, eval_set: EvalSet) -> Copy:
    md5 = eval_set.identity.dvc_md5
    if {evaluation.eval_set.dvc_md5, baseline.eval_set_dvc_hash} != {md5}:
        raise IntegrityFailure(
            f"the eval set is md5 {md5}; the evaluation was made on {evaluation.eval_set.dvc_md5}, the baseline on "
            f"{baseline.eval_set_dvc_hash}"
        )
    n, bits = len(eval_set.rows), []
    for name, side in (("baseline", baseline.aggregate), ("evaluation", evaluation.aggregate)):
        if side is None or side.outcomes is None or side.n != n:
            raise CannotJudge(f"the {name} has no outcomes over all {n} rows; evaluate with minieval, then rebaseline")
        bits.append(f"{unpack_outcomes(side.outcomes, n):0{n}b}")
    rows = zip(*bits, eval_set.rows, number_groups(eval_set.rows), strict=True)
    return [Answered(before == "1", now == "1", row.labels.buckets, group) for before, now, row, group in rows]


def _find_units(rows: Copy, *, respected: bool) -> Units:
    units: dict[int, Copy] = {}
    for number, row in enumerate(rows):
        units.setdefault(row.group if respected else number, []).append(row)
    return list(units.values())


def _equal_pair(units: Units, rng: random.Random) -> Copy:
    drawn: Copy = []
    for number, unit in enumerate(rng.choices(units, k=len(units))):
        right = rng.random() < 0.5
        differing = next((row for row in unit if row.before != row.now), None)
        swapped = differing is not None and differing.before != right
        for before, now, buckets, _ in unit:
            drawn.append(Answered(*((now, before) if swapped else (before, now)), buckets, number))
    return drawn


def _spoil(rows: Copy, bucket: str, drop: float, rng: random.Random) -> Copy:
    inside = [row.now for row in rows if bucket in row.buckets]
    right = sum(inside)
    chance = min(drop * len(inside) / right, 1.0) if right else 0.0
    return [row._replace(now=row.now and not (bucket in row.buckets and rng.random() < chance)) for row in rows]


def _judge(rows: Copy, baseline: Baseline) -> Verdict:
    names = sorted({name for row in rows for name in row.buckets} & baseline.buckets.keys())
    members = {name: [row for row in rows if name in row.buckets] for name in names}
    agreed = baseline.model_copy(
        update={
            "aggregate": Figures.model_validate(_measure([row.before for row in rows])),
            "buckets": {
                name: Figures.model_validate(_measure([row.before for row in pairs])) for name, pairs in members.items()
            },
        }
    )
    whole = Measured.model_validate(_measure([row.now for row in rows]))
    measured = Evaluation.model_validate(
        {
            "schema": "minieval.evaluation/1",
            "eval_set": {"dvc_md5": baseline.eval_set_dvc_hash, "sha256": baseline.eval_set_sha256},
            "aggregate": whole,
            "buckets": {
                name: Measured.model_validate(_measure([row.now for row in pairs])) for name, pairs in members.items()
            },
        }
    )
    # What it was made from has no bytes, and nobody keeps this verdict.
    inputs = Inputs(evaluation_sha256=_NOWHERE, baseline_sha256=_NOWHERE, eval_set_dvc_md5=measured.eval_set.dvc_md5)
    # Resampling rows says nothing of metrics, or of what kept the candidate from the labels.
    policy = agreed.policy.model_copy(update={"min_isolation": None, "metrics": {}})
    agreed = agreed.model_copy(update={"policy": policy, "metrics": {}})
    groups = _number(rows, members, measured) if policy.rule.asks_proof else None
    return compare(measured, agreed, inputs=inputs, groups=groups)


def _number(rows: Copy, members: Mapping[str, Copy], measured: Evaluation) -> Groups:
    named = measured.eval_set
    return Groups.model_validate(
        {
            "eval_set": {"dvc_md5": named.dvc_md5, "sha256": named.sha256 or _NOWHERE},
            "aggregate": [row.group for row in rows],
            "buckets": {name: [row.group for row in inside] for name, inside in members.items()},
        }
    )


def _measure(outcomes: Sequence[bool]) -> dict[str, int | str]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def _rate(score: Score) -> str:
    low, high = wilson(score)
    return f"{score.correct} of {score.n} ({100 * score.accuracy:.1f} %, {100 * low:.1f} to {100 * high:.1f})"
