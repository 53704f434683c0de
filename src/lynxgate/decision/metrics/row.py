"""The row of a metric in a verdict: both figures, the limits in force, what its samples show, and the outcome.

- Evidence only, as everywhere in a verdict: whether the row blocks the candidate is derived from tier and outcome.
- Figures are exact text; p and share of a rank test have six decimals.
- A warning is shown and never blocks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lynxgate.decision.metrics.policy import Direction
from lynxgate.decision.outcome import Exact, Outcome
from minieval.contract.documents import Document
from minieval.contract.fields import Count, Name, Positive, Table


class Shift(Document):
    """The samples of both sides after the warm-up: how many there are, and whether the candidate's are worse.

    ``p`` is the one-sided p of the Mann-Whitney test. In ``share`` of all pairs of one sample of each side the
    candidate's is worse, where a tie counts half: 0.5 is no shift.
    """

    n_baseline: Positive
    n_candidate: Positive
    p: Exact
    share: Exact
    method: Literal["exact", "normal"]


class Outliers(Document):
    """How many samples of one side lie below and above Tukey's fences. None of them is dropped."""

    low: Count
    high: Count


class MetricRow(Document):
    """One metric: both figures, the change (candidate minus baseline), the limits in force, and the outcome.

    ``p_above_min`` is the p value of the hypothesis that a rate of a class is at most its ``min``, where the policy
    demands a proof that it is not.
    """

    metric: Name
    tier: Literal["standard", "advisory"]
    outcome: Annotated[Outcome, Field(strict=False)]
    direction: Direction | None
    unit: Name | None
    baseline: Exact | None
    candidate: Exact | None
    change: Exact | None
    limits: Table[Exact]
    shift: Shift | None = None
    p_above_min: Annotated[Exact | None, Field(exclude_if=lambda p: p is None)] = None
    outliers_baseline: Outliers | None = None
    outliers_candidate: Outliers | None = None
    warning: str | None = None
    reason: str

    @property
    def blocks(self) -> bool:
        """Whether this row alone blocks the candidate."""
        return self.tier != "advisory" and self.outcome is not Outcome.HELD

    @property
    def warns(self) -> bool:
        """Whether it is in its warning band and blocks nothing."""
        return self.warning is not None and not self.blocks
