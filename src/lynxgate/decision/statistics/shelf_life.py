"""The shelf life of an eval set: for how many gates its results can be trusted.

Source: C. Renggli, B. Karlas, B. Ding, F. Liu, K. Schawinski, W. Wu, C. Zhang, "Continuous integration of machine
learning models with ease.ml/ci", SysML 2019: Bennett's inequality for the difference of two models that disagree
on at most ``disagreement`` of the examples.

- With ``h(u) = (1 + u) ln(1 + u) - u``: ``n = (ln H + ln(4 / delta)) / (p h(epsilon / p))`` for ``H`` gates.
- Adaptive: each result, if it is one bit, may influence the next model, so ``H`` gates are ``2^H`` possible histories,
  and ``ln H`` becomes ``H ln 2``.
- A gate tells more than one bit: the figures of every bucket. A team can then compose one model of the best model in
  each of ``b`` buckets. There are ``H^b`` such models, and ``ln H`` becomes ``b ln H`` (`composed_life`). No bound
  holds against a model that was trained on the rows themselves.
"""

from __future__ import annotations

import math

_MOST = 10**9 - 1
_MOST_LOG = math.log(10**12)  # keeps `exp` finite


def examples_for(gates: int, epsilon: float, delta: float, disagreement: float, *, adaptive: bool = True) -> int:
    """Return the examples with which ``gates`` differences are all within ``epsilon`` with probability 1 - ``delta``.

    ``epsilon`` and ``disagreement`` are shares of the examples.

    Raises:
        ValueError: there is no gate, a share is outside (0, 1], or ``delta`` outside (0, 1).
    """
    if gates < 1:
        raise ValueError(f"at least one gate is needed, not {gates}")
    per_example = _per_example(epsilon, delta, disagreement)
    histories = gates * math.log(2) if adaptive else math.log(gates)
    return math.ceil((histories + math.log(4 / delta)) / per_example)


def shelf_life(n: int, epsilon: float, delta: float, disagreement: float, *, adaptive: bool = True) -> int:
    """Return for how many gates ``n`` examples suffice under the same bound: at least 0, at most 10^12.

    Raises:
        ValueError: ``n`` is below 1, a share is outside (0, 1], or ``delta`` outside (0, 1).
    """
    if n < 1:
        raise ValueError(f"an eval set has at least one example, not {n}")
    budget = n * _per_example(epsilon, delta, disagreement) - math.log(4 / delta)
    if budget < 0:
        return 0
    if adaptive:
        return math.floor(budget / math.log(2))
    return math.floor(math.exp(min(budget, _MOST_LOG)))


def composed_life(n: int, epsilon: float, delta: float, disagreement: float, buckets: int) -> int:
    """Return for how many gates ``n`` examples suffice where each gate tells the figures of ``buckets`` buckets.

    With probability 1 - ``delta`` every model gated, and every model composed of them by bucket, has a measured
    difference of all rows within ``epsilon`` of the true one. At least 0, at most 10^9 - 1.

    Raises:
        ValueError: ``n`` or ``buckets`` is below 1, a share is outside (0, 1], or ``delta`` outside (0, 1).
    """
    if n < 1 or buckets < 1:
        raise ValueError(f"an eval set has at least one example and one bucket, not {n} and {buckets}")
    budget = n * _per_example(epsilon, delta, disagreement) - math.log(4 / delta)
    return min(math.floor(math.exp(min(budget / buckets, _MOST_LOG))), _MOST) if budget >= 0 else 0


def _per_example(epsilon: float, delta: float, disagreement: float) -> float:
    """Return ``p h(epsilon / p)``: how much one example adds to the exponent of Bennett's bound."""
    if not (0 < epsilon <= 1 and 0 < disagreement <= 1 and 0 < delta < 1):
        raise ValueError(
            f"epsilon {epsilon} and disagreement {disagreement} must lie in (0, 1], delta {delta} in (0, 1)"
        )
    u = epsilon / disagreement
    return disagreement * ((1 + u) * math.log1p(u) - u)
