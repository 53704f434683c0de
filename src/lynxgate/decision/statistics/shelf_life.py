"""The shelf life of an eval set: for how many gates its results can be trusted.

Source: C. Renggli, B. Karlas, B. Ding, F. Liu, K. Schawinski, W. Wu, C. Zhang, "Continuous integration of machine
learning models with ease.ml/ci", SysML 2019: Bennett's inequality for the difference of two models that disagree
on at most ``disagreement`` of the examples.

- With ``h(u) = (1 + u) ln(1 + u) - u``: ``n = (ln H + ln(4 / delta)) / (p h(epsilon / p))`` for ``H`` gates.
- Adaptive: each result may influence the next model, so ``H`` gates are ``2^H`` possible histories, and ``ln H``
  becomes ``H ln 2``. That is the default, because a team reads the report of each gate.
"""

from __future__ import annotations

import math

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


def _per_example(epsilon: float, delta: float, disagreement: float) -> float:
    """Return ``p h(epsilon / p)``: how much one example adds to the exponent of Bennett's bound."""
    if not (0 < epsilon <= 1 and 0 < disagreement <= 1 and 0 < delta < 1):
        raise ValueError(
            f"epsilon {epsilon} and disagreement {disagreement} must lie in (0, 1], delta {delta} in (0, 1)"
        )
    u = epsilon / disagreement
    return disagreement * ((1 + u) * math.log1p(u) - u)
