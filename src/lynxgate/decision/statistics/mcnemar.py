"""Did anything change? McNemar's test of equal accuracies, three ways, all two-sided.

Source: M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research Methodology 13 (2013) 91.

- These answer another question than the gate's: a change may be certain and harmless, or unproved and large.
- Without a disagreement p is 1.
"""

from __future__ import annotations

import math

from lynxgate.decision.statistics.paired import Pairs

_ENOUGH = 1e-17


def mcnemar_exact(pairs: Pairs) -> float:
    """Exact conditional p: the binomial test of ``gains`` out of the disagreements against one half."""
    return min(2 * _lower_half(pairs)[0], 1.0)


def mcnemar_mid_p(pairs: Pairs) -> float:
    """The exact p less half the probability of what is exactly as extreme as the observation."""
    if not pairs.gains + pairs.losses:
        return 1.0
    total, point = _lower_half(pairs)
    return 1 - point / 2 if pairs.gains == pairs.losses else min(2 * total, 1.0) - point


def mcnemar_asymptotic(pairs: Pairs) -> float:
    """The p of ``(gains - losses)^2 / (gains + losses)`` as a chi-squared with one degree of freedom."""
    changed = pairs.gains + pairs.losses
    if not changed:
        return 1.0
    return math.erfc(abs(pairs.gains - pairs.losses) / math.sqrt(2 * changed))


def _lower_half(pairs: Pairs) -> tuple[float, float]:
    """P(X <= the smaller count) and P(X = it), X binomial with the disagreements and one half."""
    m, fewer = pairs.gains + pairs.losses, min(pairs.gains, pairs.losses)
    ways = math.lgamma(m + 1) - math.lgamma(fewer + 1) - math.lgamma(m - fewer + 1)
    point = term = math.exp(ways - m * math.log(2))
    total = 0.0
    for k in range(fewer, -1, -1):
        total += term
        term *= k / (m - k + 1)
        if term < total * _ENOUGH:
            break
    return total, point
