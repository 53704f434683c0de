"""Plan: compute what a policy can detect in each bucket, before anything is evaluated. Pure.

- Every figure holds for one assumed disagreement: the share of examples on which exactly one of the two models is
  right. The report names it, because a real pair of models has its own.
- Only the policy and the sizes of the baseline's buckets are used, none of its measured figures.
- `lynxgate.analysis.planned_row` plans one bucket, and `lynxgate.reports.plan_text` renders a plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.analysis.eval_set_life import gates_carried
from lynxgate.analysis.planned_row import ALONE, Assumptions, Grouping, PlannedRow, Sample, plan_row, sum_of_chances
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.enforceable import check_confidence
from lynxgate.decision.policy import Rule, Tier


@dataclass(frozen=True)
class Plan:
    """The rows of a policy, the aggregate first, and the assumptions."""

    rule: Rule
    confidence: float
    disagreement: float
    power: float
    rows: tuple[PlannedRow, ...]
    shelf_life: int | None
    grouping: Grouping = ALONE

    @property
    def blocks_equal_at_most(self) -> float:
        """Return the sum over the rows: at least the chance that an equal model is blocked (Boole's inequality)."""
        return sum_of_chances(self.rows)


def make_plan(baseline: Baseline, *, disagreement: float, power: float, grouping: Grouping = ALONE) -> Plan:
    """Return the plan of a baseline's policy; ``disagreement`` and ``power`` are shares in (0, 1).

    Raises:
        CannotJudge: no test decides at the policy's confidence.
    """
    policy = baseline.policy
    check_confidence(policy)
    buckets = [
        (name, policy.terms_of(name).against(figures), figures) for name, figures in sorted(baseline.buckets.items())
    ]
    # Holm corrects the buckets that may block together; its strictest step divides the level by their number.
    family = sum(terms.tier is not Tier.ADVISORY and figures.n is not None for _, terms, figures in buckets)
    assumed = Assumptions(policy.rule, float(policy.confidence), disagreement, power, grouping)
    rows: list[PlannedRow] = []
    if baseline.aggregate is not None:
        terms = policy.overall_terms
        rows.append(plan_row(ALL_ROWS, terms, Sample.of(baseline.aggregate), 1, assumed))
    for name, terms, figures in buckets:
        together = family if terms.tier is not Tier.ADVISORY else 1
        rows.append(plan_row(name, terms, Sample.of(figures), together, assumed))
    whole = None if baseline.aggregate is None else baseline.aggregate.n
    told = len(baseline.buckets)
    life = None if whole is None else gates_carried(policy, whole, disagreement, told=told)
    return Plan(policy.rule, float(policy.confidence), disagreement, power, tuple(rows), life, grouping)
