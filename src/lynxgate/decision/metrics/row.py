"""What a verdict says of one metric: both figures, the limits in force, what its samples show, and what came of it.

- Evidence only, as all of a verdict: whether the row keeps the candidate out is derived from tier and outcome.
- Figures are exact text; of a rank test p and share have six decimals.
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
    """The samples of both sides after the warm-up: how many, and whether the candidate's moved the wrong way.

    ``p`` is one-sided; ``share`` of the pairs has the candidate worse (ties half): 0.5 is no shift.
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
    """One metric: both figures, the change (candidate minus baseline), the limits in force, and what came of it."""

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
    outliers_baseline: Outliers | None = None
    outliers_candidate: Outliers | None = None
    warning: str | None = None
    reason: str

    @property
    def blocks(self) -> bool:
        """Whether this row alone keeps the candidate out."""
        return self.tier != "advisory" and self.outcome is not Outcome.HELD

    @property
    def warns(self) -> bool:
        """Whether it is in its warning band and blocks nothing."""
        return self.warning is not None and not self.blocks
