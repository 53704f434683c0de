"""The quantile and tails of the normal distribution, and the checks on levels and margins that all tests use.

- Tails use `math.erfc`, because 1 - erf would lose the digits of a small p value.
- A level outside (0, 1) or a margin outside [0, 1) is a `ValueError` and is never clamped.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_STANDARD = NormalDist()


@lru_cache(maxsize=256)
def quantile(level: float) -> float:
    """Return the z with P(standard normal <= z) = ``level``, which is in (0, 1).

    Raises:
        ValueError: the level is not in (0, 1), or is NaN.
    """
    if not 0 < level < 1:
        raise ValueError(f"a probability between 0 and 1 is needed, not {level}")
    return _STANDARD.inv_cdf(level)


def upper_tail(z: float) -> float:
    """Return P(standard normal > ``z``): 1 at -inf, 0 at inf."""
    return math.erfc(z / math.sqrt(2)) / 2


def two_sided_quantile(confidence: float) -> float:
    """Return the z of a two-sided interval that covers with probability ``confidence``: 1.96 for 0.95.

    Raises:
        ValueError: the confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence between 0 and 1 is needed, not {confidence}")
    return quantile((1 + confidence) / 2)


def check_margin(margin: float) -> float:
    """Check a margin, a share of the examples (0.02 is 2 pp), and return it.

    Raises:
        ValueError: the margin is not in [0, 1): at 1 every candidate would pass.
    """
    if not 0 <= margin < 1:
        raise ValueError(f"a margin is a share of the examples, at least 0 and below 1, not {margin}")
    return margin
