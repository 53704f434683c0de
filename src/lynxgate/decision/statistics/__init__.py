"""The statistics of the gate's decisions: pure functions over frozen values, standard library only.

`paired` Tango's score test | `decision` the gate's two tests at an exact level | `exact` sums over every outcome |
`mcnemar` | `proportions` Wilson and Newcombe | `multiple` Holm | `units` groups, trials, graded scores | `clusters` |
`planning` examples needed |
`shelf_life` of an eval set | `ranks` Mann-Whitney. docs/statistics.md describes the method.

- Shares, not percentage points: a margin of 0.02 is 2 pp. Differences are candidate minus baseline.
- A ``confidence`` of a test is one-sided, that of an interval two-sided: the 90 % interval belongs to a test at 0.95.
- Nothing here is random, rounds for display, or reads a document.
"""

from __future__ import annotations

from lynxgate.decision.statistics.clusters import cluster_pairs, clustered_interval, clustered_variance, clustered_z
from lynxgate.decision.statistics.decision import Test, inferiority, noninferior, noninferiority, proved_worse
from lynxgate.decision.statistics.mcnemar import mcnemar_asymptotic, mcnemar_exact, mcnemar_mid_p
from lynxgate.decision.statistics.multiple import holm, holm_adjusted
from lynxgate.decision.statistics.normal import quantile, upper_tail
from lynxgate.decision.statistics.paired import Pairs, pair, tango_interval, tango_z
from lynxgate.decision.statistics.planning import (
    chance_of_holding,
    chance_of_regression,
    examples_needed,
    examples_to_settle,
    minimum_detectable_drop,
    smallest_n_ever,
    smallest_n_tango,
)
from lynxgate.decision.statistics.proportions import Score, newcombe_paired, newcombe_unpaired, unpaired_z, wilson
from lynxgate.decision.statistics.ranks import RankTest, mann_whitney
from lynxgate.decision.statistics.shelf_life import examples_for, shelf_life

__all__ = [
    "Pairs",
    "RankTest",
    "Score",
    "Test",
    "chance_of_holding",
    "chance_of_regression",
    "cluster_pairs",
    "clustered_interval",
    "clustered_variance",
    "clustered_z",
    "examples_for",
    "examples_needed",
    "examples_to_settle",
    "holm",
    "holm_adjusted",
    "inferiority",
    "mann_whitney",
    "mcnemar_asymptotic",
    "mcnemar_exact",
    "mcnemar_mid_p",
    "minimum_detectable_drop",
    "newcombe_paired",
    "newcombe_unpaired",
    "noninferior",
    "noninferiority",
    "pair",
    "proved_worse",
    "quantile",
    "shelf_life",
    "smallest_n_ever",
    "smallest_n_tango",
    "tango_interval",
    "tango_z",
    "unpaired_z",
    "upper_tail",
    "wilson",
]
