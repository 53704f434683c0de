"""Holm's step-down method: which of several p values are proof when several buckets are tested together.

Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

- It controls the chance of one or more false rejections, for any dependence between the buckets.
- It is needed for "some bucket is proved worse". It is not needed for "every bucket is non-inferior": in that
  intersection-union test every bucket must be proved, so more buckets do not make a false pass more likely.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm_adjusted(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p values in the given order: each is proof at ``alpha`` exactly when it is at most ``alpha``.

    Raises:
        ValueError: a p value is not in [0, 1], or is NaN.
    """
    for p in pvalues:
        if not 0 <= p <= 1:
            raise ValueError(f"a p value lies between 0 and 1, not at {p}")
    adjusted = [0.0] * len(pvalues)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(pvalues)), key=pvalues.__getitem__)):
        # The smallest p is multiplied by the number of tests, the next by one less. An adjusted p is never smaller than
        # that of a smaller p.
        largest = max(largest, min(pvalues[index] * (len(pvalues) - rank), 1.0))
        adjusted[index] = largest
    return tuple(adjusted)


def holm(pvalues: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Return which hypotheses are rejected at family-wise level ``alpha``, in the given order.

    Raises:
        ValueError: a p value is not in [0, 1], or ``alpha`` not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a level between 0 and 1 is needed, not {alpha}")
    return tuple(p <= alpha for p in holm_adjusted(pvalues))
