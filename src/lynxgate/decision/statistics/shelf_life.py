"""How often the same eval set may be asked before its answers can no longer be believed.

Source: C. Renggli, B. Karlas, B. Ding, F. Liu, K. Schawinski, W. Wu, C. Zhang, "Continuous integration of machine
learning models with ease.ml/ci", SysML 2019: Bennett's inequality for the difference of two models that disagree
on at most ``disagreement`` of the examples.

- With ``h(u) = (1 + u) ln(1 + u) - u``: ``n = (ln H + ln(4 / delta)) / (p h(epsilon / p))`` for ``H`` gates.
- Adaptive: each answer may steer the next model, so ``H`` gates are ``2^H`` possible histories, and ``ln H`` becomes
  ``H ln 2``. That is the default, since a team that reads the gate's report is steered by it.
"""

from __future__ import annotations

import math

_MOST_LOG = math.log(10**12)


def examples_for(gates: int, epsilon: float, delta: float, disagreement: float, *, adaptive: bool = True) -> int:
    """Examples with which ``gates`` differences are all within ``epsilon`` (a share) with probability 1 - ``delta``.

    Raises:
        ValueError: for no gate, or a share outside (0, 1] (``delta`` outside (0, 1)).
    """
    if gates < 1:
        raise ValueError(f"at least one gate is needed, not {gates}")
    per_example = _per_example(epsilon, delta, disagreement)
    histories = gates * math.log(2) if adaptive else math.log(gates)
    return math.ceil((histories + math.log(4 / delta)) / per_example)


def shelf_life(n: int, epsilon: float, delta: float, disagreement: float, *, adaptive: bool = True) -> int:
    """How many gates ``n`` examples carry under the same bound; 0 when not even one, at most 10^12.

    Raises:
        ValueError: for ``n < 1``, or a share outside (0, 1] (``delta`` outside (0, 1)).
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
    if not (0 < epsilon <= 1 and 0 < disagreement <= 1 and 0 < delta < 1):
        raise ValueError(
            f"epsilon {epsilon} and disagreement {disagreement} must lie in (0, 1], delta {delta} in (0, 1)"
        )
    u = epsilon / disagreement
    return disagreement * ((1 + u) * math.log1p(u) - u)
