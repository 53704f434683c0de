"""The test that precision, recall or F1 of a class is at least a floor: a test over bounded units.

Each row gives one number whose mean is at least 0 exactly where the true rate is at least the floor ``f``:

- precision ``tp / (tp + fp) >= f``: a true positive gives ``1 - f``, a false positive ``-f``, other rows 0;
- recall ``tp / (tp + fn) >= f``: the same with false negatives;
- F1 ``2 tp / (2 tp + fp + fn) >= f``: a true positive gives ``2 (1 - f)``, a false positive or negative ``-f``.

No number is below ``-f``, so Gaffke's test applies (`lynxgate.decision.statistics.units`). For precision and recall the
rows that count are two-valued, where it is proved, and equals the binomial test given their number. For F1 it is
Gaffke's conjecture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from lynxgate.decision.statistics.units import SLACK, gaffke_p
from minieval.contract.report import ClassCounts

Rate = Literal["precision", "recall", "f1"]
RATES: Final[Mapping[str, Rate]] = {"precision": "precision", "recall": "recall", "f1": "f1"}  # as metrics name them


def rate_floor_p(counts: ClassCounts, rate: Rate, floor: float) -> float:
    """Return the p value of the hypothesis that the true rate is at most ``floor``; a small p proves that it is above.

    Rows are taken as independent draws.

    Raises:
        ValueError: the floor is not in (0, 1).
    """
    if not 0 < floor < 1:
        raise ValueError(f"a floor lies between 0 and 1, not {floor}")
    gain = 2 * (1 - floor) if rate == "f1" else 1 - floor
    against = (0 if rate == "recall" else counts.false_positives) + (
        0 if rate == "precision" else counts.false_negatives
    )
    values = Counter({gain: counts.true_positives}) + Counter({-floor: against})
    return min(gaffke_p(values, floor) * (1 + SLACK), 1.0) if counts.true_positives else 1.0
