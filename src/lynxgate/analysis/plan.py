"""What a policy can see, bucket by bucket, before anything is evaluated. Pure.

- Everything is said for one assumed disagreement, the share of examples on which exactly one of the two models is
  right, which the reader is told; a real pair of models has its own.
- Chances are exact sums; the examples needed and the smallest drop are normal approximations.
- Only the policy and the sizes of the baseline's buckets enter, none of its figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.policy import Policy, Rule, Terms, Tier
from lynxgate.decision.statistics import (
    chance_of_holding,
    chance_of_regression,
    examples_needed,
    minimum_detectable_drop,
    shelf_life,
    smallest_n_ever,
)
from lynxgate.decision.statistics.exact import holding_probability
from lynxgate.figures import visible
from minieval.contract.documents import pretty_json

STEADY = 0.05  # the disagreement up to which a shelf life is said


@dataclass(frozen=True)
class PlannedRow:
    """What one bucket can show. Shares, save ``margin_pp``; `None` where nothing can be said or nothing would do.

    ``smallest_drop``: proved to be beyond the margin with the plan's power. ``blocks_equal``: the chance that this
    bucket alone blocks an equal model (0 for an advisory one). ``identical_passes``: whether a model that changes
    nothing is proved within the margin; else only one that gains can be. ``needed``: examples for an equal model to be
    so proved with the plan's power.
    """

    bucket: str
    tier: Tier
    n: int | None
    margin_pp: float
    smallest_drop: float | None
    blocks_equal: float | None
    identical_passes: bool | None
    needed: int | None


@dataclass(frozen=True)
class Plan:
    """A policy's rows, the aggregate first, and what was assumed."""

    rule: Rule
    confidence: float
    disagreement: float
    power: float
    rows: tuple[PlannedRow, ...]
    shelf_life: int | None

    @property
    def blocks_equal_at_most(self) -> float:
        """An upper bound of the chance that an equal model is blocked: the sum over the rows, at most 1."""
        return min(math.fsum(row.blocks_equal or 0.0 for row in self.rows), 1.0)


def make_plan(baseline: Baseline, *, disagreement: float, power: float) -> Plan:
    """The plan of a baseline's policy; both figures are shares in (0, 1)."""
    policy = baseline.policy
    buckets = [(name, policy.terms_of(name), baseline.buckets[name]) for name in sorted(baseline.buckets)]
    family = sum(terms.tier is not Tier.ADVISORY and figures.n is not None for _, terms, figures in buckets)
    assumed = _Assumed(policy, disagreement, power)
    rows: list[PlannedRow] = []
    if baseline.aggregate is not None:
        terms = policy.overall_terms
        rows.append(_plan(ALL_ROWS, terms, baseline.aggregate.n, 1, assumed))
    for name, terms, figures in buckets:
        together = family if terms.tier is not Tier.ADVISORY else 1
        rows.append(_plan(name, terms, figures.n, together, assumed))
    whole = None if baseline.aggregate is None else baseline.aggregate.n
    life = None if whole is None else gates_carried(policy, whole)
    return Plan(policy.rule, float(policy.confidence), disagreement, power, tuple(rows), life)


def gates_carried(policy: Policy, rows: int) -> int:
    """How many gates an eval set of ``rows`` examples carries before its answers can no longer be believed.

    Every difference of all rows is then within the overall tolerance of the truth, at the policy's confidence, although
    each answer may steer the next model, for models that differ on at most `STEADY` of the examples.
    """
    epsilon = float(policy.overall_terms.tolerance_pp) / 100
    return shelf_life(rows, epsilon, policy.alpha, STEADY) if epsilon else 0


def render_plan(plan: Plan) -> str:
    """The plan as a table for people, under what it assumes."""
    table = [
        (
            "bucket",
            "tier",
            "n",
            "margin",
            "smallest drop seen",
            "blocks an equal model",
            "identical passes",
            "examples needed",
        )
    ]
    for row in plan.rows:
        table.append(
            (
                visible(row.bucket),
                row.tier.value,
                "?" if row.n is None else str(row.n),
                f"{row.margin_pp:g} pp",
                "none" if row.smallest_drop is None else f"{100 * row.smallest_drop:.1f} pp",
                "?" if row.blocks_equal is None else f"{100 * row.blocks_equal:.2f} %",
                *_proof_cells(plan.rule, row),
            )
        )
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    return "\n".join([*_assumptions(plan), "", *(_line(cells, widths) for cells in table), "", *_conclusions(plan)])


def render_plan_json(plan: Plan) -> bytes:
    """The plan as JSON."""
    return pretty_json({**asdict(plan), "blocks_equal_at_most": plan.blocks_equal_at_most})


def chance_of_falling(n: int, tolerance: Fraction, disagreement: float) -> float:
    """Exact chance that an equal model falls by more than ``tolerance`` (a share) on ``n`` examples."""
    limits = [min(m, math.floor((m + n * tolerance) / 2)) for m in range(n + 1)]
    inside, unseen = holding_probability(limits, disagreement, 0.0)
    return max(1 - inside - unseen, 0.0)


@dataclass(frozen=True)
class _Assumed:
    policy: Policy
    disagreement: float
    power: float


def _plan(bucket: str, terms: Terms, n: int | None, family: int, assumed: _Assumed) -> PlannedRow:
    policy, disagreement, power = assumed.policy, assumed.disagreement, assumed.power
    proof = bucket == ALL_ROWS or policy.rule is Rule.NONINFERIOR or terms.tier is Tier.CRITICAL
    points = Fraction(terms.tolerance_pp)
    margin, confidence = float(points / 100), float(policy.confidence)
    if n is None:
        return PlannedRow(bucket, terms.tier, None, float(points), None, None, None, None)
    if policy.rule is Rule.POINT:
        falling = chance_of_falling(n, points / 100, disagreement)
        drop = minimum_detectable_drop(n, disagreement, margin, 0.5, power)
        blocks = 0.0 if terms.tier is Tier.ADVISORY else falling
        return PlannedRow(bucket, terms.tier, n, float(points), drop, blocks, None, None)
    strict = 1 - (1 - confidence) / family
    blocks = chance_of_regression(n, margin, disagreement, 0.0, strict)
    if proof:
        blocks = 1 - chance_of_holding(n, margin, disagreement, 0.0, confidence)
    smallest = smallest_n_ever(margin, confidence)
    return PlannedRow(
        bucket,
        terms.tier,
        n,
        float(points),
        minimum_detectable_drop(n, disagreement, margin, strict, power),
        0.0 if terms.tier is Tier.ADVISORY else blocks,
        smallest is not None and n >= smallest,
        examples_needed(disagreement, margin, confidence, power),
    )


def _proof_cells(rule: Rule, row: PlannedRow) -> tuple[str, str]:
    if rule is Rule.POINT:
        return "", ""
    needed = "no number" if row.needed is None else str(row.needed)
    return {None: "?", True: "yes", False: "no"}[row.identical_passes], needed


def _assumptions(plan: Plan) -> Iterator[str]:
    proof = "" if plan.rule is Rule.POINT else f", confidence {plan.confidence:g} (one-sided)"
    yield f"rule {plan.rule}{proof}; assumed: the models differ on {100 * plan.disagreement:g} % of the examples;"
    yield f"a drop counts as seen, and examples as enough, at a chance of {100 * plan.power:g} %"


def _conclusions(plan: Plan) -> Iterator[str]:
    yield f"An equal model is blocked in at most {100 * plan.blocks_equal_at_most:.1f} % of gates."
    if plan.shelf_life is not None:
        yield f"The eval set carries {plan.shelf_life} gates, for models that differ on at most {100 * STEADY:g} %."
    if plan.rule is Rule.POINT:
        yield "Rule point compares figures and proves nothing, so that no number of examples is enough."
    never = [
        visible(row.bucket) for row in plan.rows if row.identical_passes is False and row.tier is not Tier.ADVISORY
    ]
    if never:
        yield f"Too small to prove even an identical model within their margin: {', '.join(never)}."


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (c.ljust(w) if column < 2 else c.rjust(w) for column, (c, w) in enumerate(zip(cells, widths, strict=True)))
    return "  ".join(padded).rstrip()
