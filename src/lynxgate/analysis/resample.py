"""Resample two recorded evaluations into copies of which the truth is known. Pure and seeded.

- A copy draws as many units of the eval set, with replacement, as there are (the bootstrap: B. Efron and R. Tibshirani,
  An Introduction to the Bootstrap, 1993). A unit is a row, or where groups are respected a whole group.
- Rows are drawn from those in the same buckets, so that every bucket of a copy has its size. Groups are drawn from all.
- A row keeps both scores and its buckets. A score is a whole number: 0 or 1, the right answers of a row's trials, or a
  graded score in ten-thousandths.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.same_eval_set import check_same_eval_set, of_baseline, of_identity
from lynxgate.errors import CannotJudge
from minieval.contract.report import Evaluation, Measured, Scale
from minieval.data.labels import Labels

Units = Sequence[Sequence["Answered"]]
Strata = Sequence[Units]


class Answered(NamedTuple):
    """One row: the score of each model, the buckets it counts in, and the number of its group in the copy."""

    before: int
    now: int
    buckets: tuple[str, ...]
    group: int


Copy = list[Answered]


@dataclass(frozen=True)
class Scoring:
    """How the rows of both sides are scored; ``full`` is the highest mark of a row."""

    scale: Scale
    trials: int | None
    full: int


def pair_rows(evaluation: Evaluation, baseline: Baseline, labels: Labels) -> Copy:
    """Return the rows of the eval set, each with the score of both models.

    Raises:
        IntegrityFailure: the three do not name the same eval set.
        CannotJudge: a side has no score of each row, or the two are scored in different ways.
    """
    given = of_identity("the eval set given", labels.identity)
    # A baseline with a placeholder for the hash names no eval set: its rows cannot be paired with these.
    agreed = replace(of_baseline(baseline), dvc_md5=baseline.eval_set_dvc_hash or "a placeholder")
    for named in (of_identity("the evaluation", evaluation.eval_set), agreed):
        check_same_eval_set(given, named, advice="give the eval set that both were made on")
    n, scores = len(labels.groups), []
    sides = {"baseline": baseline.aggregate, "evaluation": evaluation.aggregate}
    for name, side in sides.items():
        found = None if side is None or side.n != n else side.marks
        if found is None:
            raise CannotJudge(
                f"the {name} has no score of each of the {n} rows; evaluate with minieval, then rebaseline"
            )
        scores.append(found)
    if len(set(map(find_scoring, sides.values()))) > 1:
        raise CannotJudge("baseline and evaluation are scored in different ways; rebaseline")
    buckets: list[list[str]] = [[] for _ in range(n)]
    for name, rows in labels.buckets.items():
        for row in rows:
            buckets[row].append(name)
    answered = zip(*scores, buckets, labels.groups, strict=True)
    return [Answered(before, now, tuple(names), group) for before, now, names, group in answered]


def find_scoring(side: Measured | None) -> Scoring:
    """Return how the rows of a side are scored."""
    return Scoring(Scale.RIGHT_OR_WRONG, None, 1) if side is None else Scoring(side.scale, side.trials, side.full_mark)


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
    """Draw a copy in which both models are equal: where they disagree, a fair coin decides which one was better.

    One coin decides for all rows of a unit, so that their dependence stays.
    """
    drawn: Copy = []
    for number, unit in enumerate(unit for units in strata for unit in rng.choices(units, k=len(units))):
        better = rng.random() < 0.5
        # The first row on which the models disagree is set as the coin says, and the whole unit is swapped with it.
        differing = next((row for row in unit if row.before != row.now), None)
        swapped = differing is not None and (differing.before > differing.now) != better
        for before, now, buckets, _ in unit:
            drawn.append(Answered(*((now, before) if swapped else (before, now)), buckets, number))
    return drawn


def make_worse(rows: Copy, bucket: str, drop: float, rng: random.Random, full: int = 1) -> Copy:
    """Return a copy in which rows of the candidate score 0: a bucket loses ``drop`` (a share) on average.

    ``full`` is the highest score of a row.
    """
    inside = [row.now for row in rows if bucket in row.buckets]
    reached = sum(inside)
    # Losing each row's score with this chance loses drop * n * full on average.
    chance = min(drop * len(inside) * full / reached, 1.0) if reached else 0.0
    return [row._replace(now=0) if bucket in row.buckets and rng.random() < chance else row for row in rows]
