"""Holm's step-down: which of several p values are proof when every one of them may be the lucky one.

Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.

- It controls the chance of even one false rejection, whatever the dependence between the buckets.
- Needed for "some bucket is proved worse", not for "every bucket is non-inferior", which is an intersection-union
  test and has no false pass to correct.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm_adjusted(pvalues: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values in the order given: each is proof at ``alpha`` exactly when it is at most ``alpha``.

    Raises:
        ValueError: when a p value is not in [0, 1], NaN among it.
    """
    for p in pvalues:
        if not 0 <= p <= 1:
            raise ValueError(f"a p value lies between 0 and 1, not at {p}")
    adjusted = [0.0] * len(pvalues)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(pvalues)), key=pvalues.__getitem__)):
        largest = max(largest, min(pvalues[index] * (len(pvalues) - rank), 1.0))
        adjusted[index] = largest
    return tuple(adjusted)


def holm(pvalues: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected at family-wise level ``alpha``, in the order given.

    Raises:
        ValueError: when a p value is not in [0, 1] or ``alpha`` not in (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a level between 0 and 1 is needed, not {alpha}")
    return tuple(p <= alpha for p in holm_adjusted(pvalues))
