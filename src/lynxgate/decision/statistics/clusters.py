"""Tests and intervals for examples in groups (rows of one lemma, questions of one user), which are not independent.

Source: the cluster-robust variance of a mean without small-sample factor, as in statsmodels' OLS on a constant with
``cov_type="cluster"`` and ``use_correction=False``.

- ``Var(d) = sum over clusters of (sum in the cluster of (d_i - d))^2 / n^2``. Where Tango's variance under ``d0`` is
  larger, it is used instead: a variance estimated as zero must not pass anything.
- Version 1 of the rules decides by it (`lynxgate.decision.former`); version 2 has `lynxgate.decision.statistics.units`.
- A bucket is not a cluster: fewer than two clusters are refused. With few (under about 30) the variance is itself
  uncertain and tends to be too small; the exact level of `decision` does not hold here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from lynxgate.decision.statistics.normal import two_sided_quantile
from lynxgate.decision.statistics.paired import Pairs, null_variance, root


def cluster_pairs(baseline_bits: int, candidate_bits: int, groups: Sequence[Hashable]) -> tuple[Pairs, ...]:
    """Count the gains and losses of each group, in the order in which the groups first appear.

    ``groups`` has one label for each row. Each bitset has one bit for each row, the first row highest (set: right).

    Raises:
        ValueError: a bitset has more bits than there are rows.
    """
    n = len(groups)
    if min(baseline_bits, candidate_bits) < 0 or max(baseline_bits, candidate_bits) >> n:
        raise ValueError(f"a bitset does not fit into {n} rows")
    counts: defaultdict[Hashable, list[int]] = defaultdict(lambda: [0, 0, 0])
    rows = zip(groups, f"{baseline_bits:0{n}b}", f"{candidate_bits:0{n}b}", strict=False)
    for group, before, after in rows:
        count = counts[group]
        count[0] += 1
        count[1] += before < after  # "0" < "1": wrong before, right after
        count[2] += before > after
    return tuple(Pairs(*count) for count in counts.values())


def clustered_variance(clusters: Sequence[Pairs]) -> float:
    """Return the cluster-robust variance of the overall difference; 0 when every cluster has the same difference.

    Raises:
        ValueError: there are fewer than two clusters.
    """
    if len(clusters) < 2:
        raise ValueError("a clustered variance needs at least two clusters")
    n = sum(cluster.n for cluster in clusters)
    net = sum(cluster.gains - cluster.losses for cluster in clusters)
    # The sum in a cluster of (d_i - d) is net_c - n_c net / n. Multiplied by n it is a whole number, hence n^4.
    return sum((n * (c.gains - c.losses) - c.n * net) ** 2 for c in clusters) / n**4


def clustered_z(clusters: Sequence[Pairs], d0: float) -> float:
    """Return `tango_z` of all clusters together, with the larger of the clustered and Tango's variance.

    Raises:
        ValueError: there are fewer than two clusters, or ``d0`` is outside [-1, 1].
    """
    if not -1 <= d0 <= 1:
        raise ValueError(f"a difference of accuracies lies between -1 and 1, not at {d0}")
    variance = clustered_variance(clusters)
    whole = _total(clusters)
    spread = math.sqrt(max(variance, null_variance(whole.gains, whole.losses, whole.n, d0) / whole.n))
    above = whole.difference - d0
    if spread:
        return above / spread
    # Without variance any distance from d0 is infinitely far.
    return math.copysign(math.inf, above) if above else 0.0


def clustered_interval(clusters: Sequence[Pairs], confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of ``d``: all ``d0`` with ``abs(clustered_z)`` within the normal quantile.

    Raises:
        ValueError: there are fewer than two clusters, or the confidence is outside (0, 1).
    """
    z = two_sided_quantile(confidence)
    # The upper limit is minus the lower limit of the mirrored problem, with gains and losses exchanged.
    mirrored = [Pairs(c.n, c.losses, c.gains) for c in clusters]
    return _lower_limit(clusters, z), -_lower_limit(mirrored, z)


def _lower_limit(clusters: Sequence[Pairs], z: float) -> float:
    variance = clustered_variance(clusters)
    whole = _total(clusters)

    def above(d0: float) -> float:
        tango = null_variance(whole.gains, whole.losses, whole.n, d0) / whole.n
        return whole.difference - d0 - z * math.sqrt(max(variance, tango))

    # The search ends just below the estimate: there the variance of models that never disagree is not zero.
    high = whole.difference - 1e-12
    return max(root(above, -1.0, high), -1.0) if high > -1 else -1.0


def _total(clusters: Sequence[Pairs]) -> Pairs:
    return sum(clusters[1:], clusters[0])
