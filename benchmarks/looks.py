"""Simulate how far a team gets that keeps the best model per bucket, within the shelf life of an eval set.

``python -m benchmarks.looks [--sets 500]``. Every model is as good as the baseline. The composed model takes, in each
bucket, the model that was measured best there; its true difference is 0 as well. The table has the share of eval sets
on which it is measured better by more than the overall tolerance: after as many gates as the shelf life allows, and
after 20 times as many (at least 100). The bound of the first is one minus the confidence.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np

from lynxgate.decision.statistics.shelf_life import composed_life

LEVEL = 0.05
CELLS = [(rows, buckets, p) for rows in (2_000, 5_000, 20_000) for buckets in (1, 5, 20) for p in (0.02, 0.05, 0.10)]
MOST_GATES = 2_000  # simulated; a longer life is cut here, and the table says so


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500, help="eval sets a cell")
    arguments = parser.parse_args()
    for line in table(arguments.sets):
        print(line)
    return 0


def table(sets: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"Overall tolerance 2 pp, confidence {100 - 100 * LEVEL:g} %, {sets:,} eval sets a row."
    yield ""
    yield "| rows | buckets | disagreement | gates | misled within the life | gates | misled beyond it |"
    yield "|---|---|---|---|---|---|---|"
    generator = np.random.default_rng(20261128)
    for rows, buckets, p in CELLS:
        life = composed_life(rows, 0.02, LEVEL, p, buckets)
        if not life:
            yield f"| {rows:,} | {buckets} | {100 * p:g} % | 0 | - | - | - |"
            continue
        gates, beyond = min(life, MOST_GATES), min(max(20 * life, 100), MOST_GATES)
        within, after = (misled(generator, rows, buckets, p, gates=number, sets=sets) for number in (gates, beyond))
        shown = f"{gates:,} of {life:,}" if life > gates else f"{life:,}"
        cells = (f"{rows:,}", str(buckets), f"{100 * p:g} %", shown, f"{within:.1%}", f"{beyond:,}", f"{after:.1%}")
        yield f"| {' | '.join(cells)} |"


def misled(generator: np.random.Generator, rows: int, buckets: int, p: float, *, gates: int, sets: int) -> float:
    """Return the share of eval sets on which the composed model is measured better by more than 2 pp."""
    size, found = rows // buckets, 0
    for _ in range(sets):
        # Gains and losses of each model in each bucket: disagreements are binomial, and half of them are gains.
        moved = generator.binomial(size, p, (gates, buckets))
        gained = 2 * generator.binomial(moved, 0.5) - moved
        found += bool(gained.max(axis=0).sum() > 0.02 * size * buckets)
    return found / sets


if __name__ == "__main__":
    sys.exit(main())
