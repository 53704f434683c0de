"""The simulation behind what a shelf life promises."""

from __future__ import annotations

import numpy as np
from benchmarks.looks import LEVEL, misled

from lynxgate.decision.statistics.shelf_life import composed_life


def test_a_team_that_composes_the_best_buckets_is_not_misled_within_the_life_and_is_beyond_it() -> None:
    life = composed_life(5_000, 0.02, LEVEL, 0.05, 5)
    assert life == 14
    generator = np.random.default_rng(1)
    assert misled(generator, 5_000, 5, 0.05, gates=life, sets=300) <= LEVEL
    assert misled(generator, 5_000, 5, 0.05, gates=20 * life, sets=300) > 0.3
