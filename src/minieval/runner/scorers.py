"""Score predictions on all rows and in each bucket. Pure.

- A prediction is right when it equals ``expected`` or one of ``accepted``, character by character. Nothing is stripped
  or folded: the eval set lists every answer that counts as right, where a reviewer can see it.
- Outcomes keep the order of the eval set, so that two evaluations of it can be paired row by row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Measured
from minieval.contract.rows import Row

FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of all rows, and of each bucket, by name in code-point order."""

    aggregate: Measured
    buckets: dict[str, Measured]


def mark(rows: Sequence[Row], predictions: Sequence[str]) -> list[bool]:
    """Return whether each prediction is right, one a row, in the order of the rows.

    Raises:
        ValueError: the numbers of predictions and rows differ.
    """
    return [prediction in row.labels.right for row, prediction in zip(rows, predictions, strict=True)]


def score(rows: Sequence[Row], predictions: Sequence[str]) -> Score:
    """Score one prediction a row, in the order of the rows; there is at least one row.

    Raises:
        ValueError: the numbers of predictions and rows differ.
    """
    return tally(rows, mark(rows, predictions))


def tally(rows: Sequence[Row], outcomes: Sequence[bool]) -> Score:
    """Return the figures of one outcome a row, in the order of the rows; there is at least one row.

    Raises:
        ValueError: the numbers of outcomes and rows differ.
    """
    by_bucket: defaultdict[str, list[bool]] = defaultdict(list)
    for row, right in zip(rows, outcomes, strict=True):
        for bucket in row.labels.buckets:
            by_bucket[bucket].append(right)
    return Score(_measure(outcomes), {name: _measure(by_bucket[name]) for name in sorted(by_bucket)})


def _measure(outcomes: Sequence[bool]) -> Measured:
    n, correct = len(outcomes), sum(outcomes)
    accuracy = (Decimal(correct) / n).quantize(FOUR_DECIMALS)
    return Measured(n=n, correct=correct, accuracy=accuracy, outcomes=pack_outcomes(outcomes))
