"""Print how often `guard` blocks what it should not, and misses what it should block: Tango's test and the exact one.

``python -m benchmarks.blocking`` (about a minute). Both decide under Holm among buckets of one size. False block: every
bucket is worse by exactly the margin of 3 pp, by losses only or at 10 % disagreement. Missed: one bucket is 8 pp worse
at 10 % disagreement, and the others are equal. Chances are exact sums; Holm proves a bucket first at the level divided
by the number of buckets, and the buckets are disjoint, hence independent.
"""

from __future__ import annotations

import sys

from benchmarks.decision_rules import BUCKET_MARGIN, CONFIDENCE, DISAGREEMENT

from lynxgate.decision.statistics import quantile
from lynxgate.decision.statistics.exact import critical_z, holding_chance

FAMILIES = (1, 20, 200)
SIZES = (60, 200, 500, 1000)
DROP = 0.08


def chance_of_block(n: int, z: float, disagreement: float, drop: float) -> float:
    """The chance that one bucket is proved worse at ``z``."""
    return 1 - sum(holding_chance(n, BUCKET_MARGIN, -z, disagreement, -drop, strict=True))


def rates(n: int, family: int, *, exact: bool) -> tuple[float, float, float]:
    """False blocks by losses only and at the usual disagreement, and misses, of ``family`` buckets of ``n``."""
    level = (1 - CONFIDENCE) / family
    z = critical_z(n, BUCKET_MARGIN, level, -1) if exact else quantile(1 - level)
    quiet, usual = (chance_of_block(n, z, share, BUCKET_MARGIN) for share in (BUCKET_MARGIN, DISAGREEMENT))
    equal, seen = chance_of_block(n, z, DISAGREEMENT, 0.0), chance_of_block(n, z, DISAGREEMENT, DROP)
    return 1 - (1 - quiet) ** family, 1 - (1 - usual) ** family, (1 - seen) * (1 - equal) ** (family - 1)


def table() -> list[str]:
    """The rows of the table, as Markdown; each cell has Tango's test first."""
    lines = ["| buckets | rows each | false block, losses only | false block at 10 % | missed |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: |")
    for family in FAMILIES:
        for n in SIZES:
            tango, exact = (rates(n, family, exact=each) for each in (False, True))
            cells = [f"{100 * a:.1f} → {100 * b:.1f}" for a, b in zip(tango, exact, strict=True)]
            lines.append(f"| {family} | {n} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print the table."""
    sys.stdout.write("\n".join(table()) + "\n")


if __name__ == "__main__":
    main()
