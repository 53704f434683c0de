"""Examples that come in groups (rows of one lemma, questions of one user): the variance that respects them.

Source: the cluster-robust variance of a mean without small-sample factor, as in statsmodels' OLS on a constant with
``cov_type="cluster"`` and ``use_correction=False``.

- ``Var(d) = sum over clusters of (sum in the cluster of (d_i - d))^2 / n^2``, never below Tango's under ``d0``: a
  variance estimated as zero must not pass anything.
- A bucket is not a cluster: fewer than two clusters are refused. With few (under about 30) the variance is itself
  uncertain and tends to be small; the exact level of `decision` is not claimed here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from lynxgate.decision.statistics.normal import two_sided_quantile
from lynxgate.decision.statistics.paired import Pairs, null_variance, root


def cluster_pairs(baseline_bits: int, candidate_bits: int, groups: Sequence[Hashable]) -> tuple[Pairs, ...]:
    """Gains and losses of each group, in the order in which the groups first appear.

    ``groups`` holds one label a row, first row first; the bitsets have as many bits, the first row the highest.

    Raises:
        ValueError: when a bitset does not fit.
    """
    n = len(groups)
    if min(baseline_bits, candidate_bits) < 0 or max(baseline_bits, candidate_bits) >> n:
        raise ValueError(f"a bitset does not fit into {n} rows")
    counts: defaultdict[Hashable, list[int]] = defaultdict(lambda: [0, 0, 0])
    rows = zip(groups, f"{baseline_bits:0{n}b}", f"{candidate_bits:0{n}b}", strict=False)
    for group, before, after in rows:
        count = counts[group]
        count[0] += 1
        count[1] += before < after
        count[2] += before > after
    return tuple(Pairs(*count) for count in counts.values())


def clustered_variance(clusters: Sequence[Pairs]) -> float:
    """Cluster-robust variance of the overall difference; 0 when every cluster differs alike.

    Raises:
        ValueError: for fewer than two clusters.
    """
    if len(clusters) < 2:
        raise ValueError("a clustered variance needs at least two clusters")
    n = sum(cluster.n for cluster in clusters)
    net = sum(cluster.gains - cluster.losses for cluster in clusters)
    return sum((n * (c.gains - c.losses) - c.n * net) ** 2 for c in clusters) / n**4


def clustered_z(clusters: Sequence[Pairs], d0: float) -> float:
    """`tango_z` of the clusters' sum with the larger of the clustered and Tango's variance.

    Raises:
        ValueError: for fewer than two clusters or ``d0`` outside [-1, 1].
    """
    if not -1 <= d0 <= 1:
        raise ValueError(f"a difference of accuracies lies between -1 and 1, not at {d0}")
    variance = clustered_variance(clusters)
    whole = _total(clusters)
    spread = math.sqrt(max(variance, null_variance(whole.gains, whole.losses, whole.n, d0) / whole.n))
    above = whole.difference - d0
    if spread:
        return above / spread
    return math.copysign(math.inf, above) if above else 0.0


def clustered_interval(clusters: Sequence[Pairs], confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of ``d``: the ``d0`` at which ``abs(clustered_z)`` stays within the normal quantile.

    Raises:
        ValueError: for fewer than two clusters or a confidence outside (0, 1).
    """
    z = two_sided_quantile(confidence)
    mirrored = [Pairs(c.n, c.losses, c.gains) for c in clusters]
    return _lower_limit(clusters, z), -_lower_limit(mirrored, z)


def _lower_limit(clusters: Sequence[Pairs], z: float) -> float:
    variance = clustered_variance(clusters)
    whole = _total(clusters)

    def above(d0: float) -> float:
        tango = null_variance(whole.gains, whole.losses, whole.n, d0) / whole.n
        return whole.difference - d0 - z * math.sqrt(max(variance, tango))

    # Just below the estimate, where the variance of models that never disagree is not zero.
    high = whole.difference - 1e-12
    return max(root(above, -1.0, high), -1.0) if high > -1 else -1.0


def _total(clusters: Sequence[Pairs]) -> Pairs:
    return sum(clusters[1:], clusters[0])
