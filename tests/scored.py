"""The figures of outcomes that a test chooses, as minieval would write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minieval.data.labels import Labels
from minieval.task.tally import Score, Tally


def score_rows(labels: Labels, outcomes: Sequence[bool]) -> Score:
    """Return the figures of one outcome a row."""
    names = list(labels.buckets)
    tally = Tally(names, graded=False, trials=1)
    entries = sorted((row, code) for code, name in enumerate(names) for row in labels.buckets[name])
    rows, codes = (np.array(each) for each in zip(*entries, strict=True))
    tally.add(np.array(outcomes, np.int64), rows, codes)
    return tally.measure()
