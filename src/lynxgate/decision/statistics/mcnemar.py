"""Test whether anything changed: McNemar's test of equal accuracies in three versions, all two-sided.

Source: M. W. Fagerland, S. Lydersen, P. Laake, BMC Medical Research Methodology 13 (2013) 91.

- The gate asks another question: a change may be certain and harmless, or unproved and large.
- Without a disagreement p is 1.
"""

from __future__ import annotations

import math

from lynxgate.decision.statistics.paired import Pairs

_NEGLIGIBLE = 1e-17  # terms below this share of a sum cannot change it in double precision


def mcnemar_exact(pairs: Pairs) -> float:
    """Return the exact conditional p: the binomial test of ``gains`` out of the disagreements against one half."""
    return min(2 * _lower_half(pairs)[0], 1.0)


def mcnemar_mid_p(pairs: Pairs) -> float:
    """Return the mid-p: the exact p minus half the probability of outcomes exactly as extreme as the observed one."""
    if not pairs.gains + pairs.losses:
        return 1.0
    total, point = _lower_half(pairs)
    return 1 - point / 2 if pairs.gains == pairs.losses else min(2 * total, 1.0) - point


def mcnemar_asymptotic(pairs: Pairs) -> float:
    """Return the p of ``(gains - losses)^2 / (gains + losses)`` as a chi-squared value with one degree of freedom."""
    changed = pairs.gains + pairs.losses
    if not changed:
        return 1.0
    return math.erfc(abs(pairs.gains - pairs.losses) / math.sqrt(2 * changed))


def _lower_half(pairs: Pairs) -> tuple[float, float]:
    """Return P(X <= k) and P(X = k) for the smaller count k and X binomial: the disagreements, each with one half."""
    m, fewer = pairs.gains + pairs.losses, min(pairs.gains, pairs.losses)
    ways = math.lgamma(m + 1) - math.lgamma(fewer + 1) - math.lgamma(m - fewer + 1)
    point = term = math.exp(ways - m * math.log(2))
    total = 0.0
    for k in range(fewer, -1, -1):
        total += term
        term *= k / (m - k + 1)
        if term < total * _NEGLIGIBLE:
            break
    return total, point
