"""Resample two recorded evaluations into copies of which the truth is known. Pure and seeded.

- A copy draws as many units of the eval set, with replacement, as there are (the bootstrap: B. Efron and R. Tibshirani,
  An Introduction to the Bootstrap, 1993). A unit is a row, or where groups are respected a whole group.
- Rows are drawn from those in the same buckets, so that every bucket of a copy has its size. Groups are drawn from all.
- A row keeps both outcomes and its buckets.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.same_eval_set import check_same_eval_set, of_baseline, of_identity
from lynxgate.errors import CannotJudge
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Evaluation, Scale
from minieval.data.labels import Labels

Units = Sequence[Sequence["Answered"]]
Strata = Sequence[Units]


class Answered(NamedTuple):
    """One row: whether each model was right, the buckets it counts in, and the number of its group in the copy."""

    before: bool
    now: bool
    buckets: tuple[str, ...]
    group: int


Copy = list[Answered]


def pair_rows(evaluation: Evaluation, baseline: Baseline, labels: Labels) -> Copy:
    """Return the rows of the eval set, each with the outcome of both models.

    Raises:
        IntegrityFailure: the three do not name the same eval set.
        CannotJudge: a side has no outcomes over all rows, or is not right or wrong.
    """
    given = of_identity("the eval set given", labels.identity)
    # A baseline with a placeholder for the hash names no eval set: its rows cannot be paired with these.
    agreed = replace(of_baseline(baseline), dvc_md5=baseline.eval_set_dvc_hash or "a placeholder")
    for named in (of_identity("the evaluation", evaluation.eval_set), agreed):
        check_same_eval_set(given, named, advice="give the eval set that both were made on")
    n, bits = len(labels.groups), []
    for name, side in (("baseline", baseline.aggregate), ("evaluation", evaluation.aggregate)):
        if side is not None and side.scale is not Scale.RIGHT_OR_WRONG:
            raise CannotJudge(f"the rows of the {name} are {side.scale}, and only right or wrong rows can be resampled")
        if side is None or side.outcomes is None or side.n != n:
            raise CannotJudge(f"the {name} has no outcomes over all {n} rows; evaluate with minieval, then rebaseline")
        bits.append(f"{unpack_outcomes(side.outcomes, n):0{n}b}")
    buckets: list[list[str]] = [[] for _ in range(n)]
    for name, rows in labels.buckets.items():
        for row in rows:
            buckets[row].append(name)
    answered = zip(*bits, buckets, labels.groups, strict=True)
    return [Answered(before == "1", now == "1", tuple(names), group) for before, now, names, group in answered]


def find_strata(rows: Copy, *, respected: bool) -> Strata:
    """Return what is drawn, and from which: with ``respected`` groups the groups, each whole, else each row alone."""
    units: dict[int, Copy] = {}
    for number, row in enumerate(rows):
        units.setdefault(row.group if respected else number, []).append(row)
    if len(units) < len(rows):
        return [list(units.values())]
    strata: dict[tuple[str, ...], list[Copy]] = {}
    for row in rows:
        strata.setdefault(row.buckets, []).append([row])
    return list(strata.values())


def draw_equal_pair(strata: Strata, rng: random.Random) -> Copy:
    """Draw a copy in which both models are equal: where they disagree, a fair coin decides which one was right.

    One coin decides for all rows of a unit, so that their dependence stays.
    """
    drawn: Copy = []
    for number, unit in enumerate(unit for units in strata for unit in rng.choices(units, k=len(units))):
        right = rng.random() < 0.5
        # The first row on which the models disagree is set as the coin says, and the whole unit is swapped with it.
        differing = next((row for row in unit if row.before != row.now), None)
        swapped = differing is not None and differing.before != right
        for before, now, buckets, _ in unit:
            drawn.append(Answered(*((now, before) if swapped else (before, now)), buckets, number))
    return drawn


def make_worse(rows: Copy, bucket: str, drop: float, rng: random.Random) -> Copy:
    """Return a copy in which right answers of the candidate became wrong: ``drop`` (a share) of a bucket on average."""
    inside = [row.now for row in rows if bucket in row.buckets]
    right = sum(inside)
    # Losing each right answer with this chance loses drop * n of them on average.
    chance = min(drop * len(inside) / right, 1.0) if right else 0.0
    return [row._replace(now=row.now and not (bucket in row.buckets and rng.random() < chance)) for row in rows]
