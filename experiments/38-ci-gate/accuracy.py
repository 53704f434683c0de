"""Right answers per bucket on the eval set: the experiment's own count, for its tables.

The gate counts for itself, in `minieval`; nothing here decides anything.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from build_eval_set import build_eval_set

ALL = "all"
Row = dict[str, Any]


class Score(NamedTuple):
    """Rows in a bucket, and how many of them were answered with an accepted form."""

    n: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Their share."""
        return self.correct / self.n


def read_rows() -> list[Row]:
    """The rows of the eval set, labels and all."""
    return [json.loads(line) for line in build_eval_set().splitlines()]


def score(rows: Sequence[Row], answer: Callable[[list[str]], list[str]]) -> dict[str, Score]:
    """The scores of all rows and of each bucket, by name."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row, given in zip(rows, answer([row["prompt"] for row in rows]), strict=True):
        for bucket in (ALL, *row["buckets"]):
            counts[bucket][0] += 1
            counts[bucket][1] += given in row["accepted"]
    return {bucket: Score(*counts[bucket]) for bucket in sorted(counts)}


def render_table(columns: Mapping[str, Mapping[str, Score]]) -> str:
    """A Markdown table of accuracies: a row a bucket, a column a model."""
    first = next(iter(columns.values()))
    lines = [f"| bucket | n | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    for bucket in first:
        cells = " | ".join(f"{scores[bucket].accuracy:.4f}" for scores in columns.values())
        lines.append(f"| {bucket} | {first[bucket].n} | {cells} |")
    return "\n".join(lines)
