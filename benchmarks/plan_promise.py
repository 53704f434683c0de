"""Simulate what `plan` promises: with the number of examples it names, an equal model is proved with 80 % power.

``python -m benchmarks.plan_promise [--gates 2000]``. Each cell takes the number from the plan, draws equal models that
differ on a share of the rows, and judges them with `lynxgate.compare` under rule ``noninferior``. The table has the
share of gates that passed. With several buckets all have to hold, and the plan's number is of each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lynxgate.analysis.plan import make_plan
from lynxgate.analysis.planned_row import Grouping
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import compare
from lynxgate.decision.groups import Groups
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation
from minieval.contract.score_bytes import pack_counts, pack_scores

MD5, SHA256 = "a" * 32, "b" * 64
Kind = Literal["right or wrong", "graded", "trials", "groups"]
TRIALS = 3


@dataclass(frozen=True)
class Cell:
    """One plan: how rows are scored, the margin (percentage points), the disagreement, and the rows of a group."""

    kind: Kind
    margin: int
    disagreement: float
    rows_per_group: int = 1


CELLS = [
    Cell(kind, margin, disagreement)
    for kind in ("right or wrong", "graded", "trials")
    for margin, disagreement in ((3, 0.1), (5, 0.1), (10, 0.3), (10, 0.05))
] + [Cell("groups", 5, 0.1, 5), Cell("groups", 10, 0.3, 4)]


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=2_000, help="gates a cell")
    for line in table(parser.parse_args().gates):
        print(line, flush=True)
    return 0


def table(gates: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| rows are | margin | disagreement | examples planned | of {gates:,} equal models passed |"
    yield "|---|---|---|---|---|"
    generator = np.random.default_rng(20261128)
    for cell in CELLS:
        n = plan(cell)
        passed = sum(passes(cell, n, generator) for _ in range(gates)) / gates
        kind = cell.kind if cell.rows_per_group == 1 else f"in groups of {cell.rows_per_group}"
        yield f"| {kind} | {cell.margin} pp | {cell.disagreement:.0%} | {n:,} | {passed:.1%} |"


def plan(cell: Cell) -> int:
    """Return the examples that the plan names for a power of 80 %."""
    baseline = _baseline(cell, *_draw(cell, 50, np.random.default_rng(1))[:1])
    made = make_plan(baseline, disagreement=cell.disagreement, power=0.8, grouping=Grouping(cell.rows_per_group, 1.0))
    needed = made.rows[-1].needed
    assert needed is not None  # noqa: S101
    return needed


def passes(cell: Cell, n: int, generator: np.random.Generator) -> bool:
    """Return whether an equal model of ``n`` examples is proved within the margin."""
    before, now = _draw(cell, n, generator)
    groups = None
    eval_set: dict[str, Any] = {"dvc_md5": MD5, "sha256": SHA256}
    if cell.rows_per_group > 1:
        numbers = [row // cell.rows_per_group for row in range(n)]
        eval_set["groups"] = len(set(numbers))
        groups = Groups.model_validate(
            {"eval_set": {"dvc_md5": MD5, "sha256": SHA256}, "aggregate": numbers, "buckets": {"x": numbers}}
        )
    evaluation = Evaluation.model_validate({
        "schema": "minieval.evaluation/2", "eval_set": eval_set, "buckets": {"x": _figures(cell, now)},
        "aggregate": _figures(cell, now), "trials": TRIALS if cell.kind == "trials" else None,
    })  # fmt: skip
    return compare(evaluation, _baseline(cell, before), groups=groups).passed


Rows = npt.NDArray[np.int64]


def _draw(cell: Cell, n: int, generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the rows of both models, 0 or 1: each unit differs with the disagreement, and half of those are gains."""
    units = -(-n // cell.rows_per_group)
    differs, gains = generator.random(units) < cell.disagreement, generator.random(units) < 0.5
    right = generator.random(units) < 0.9
    before = np.repeat(np.where(differs, ~gains, right), cell.rows_per_group)[:n]
    now = np.repeat(np.where(differs, gains, right), cell.rows_per_group)[:n]
    return before.astype(np.int64), now.astype(np.int64)


def _figures(cell: Cell, rows: Rows) -> dict[str, Any]:
    n, right = len(rows), int(rows.sum())
    match cell.kind:
        case "graded":
            return {"n": n, "points": 10_000 * right, "scores": pack_scores([10_000 * int(row) for row in rows])}
        case "trials":
            counts = pack_counts([TRIALS * int(row) for row in rows])
            return {"n": n, "trials": TRIALS, "correct": TRIALS * right, "counts": counts}
        case _:
            return {"n": n, "correct": right, "outcomes": pack_outcomes([bool(row) for row in rows])}


def _baseline(cell: Cell, rows: Rows) -> Baseline:
    return Baseline.model_validate({
        "schema": "lynxgate.baseline/1", "status": "active", "eval_set": "e.jsonl", "eval_set_dvc_hash": MD5,
        "eval_set_sha256": SHA256, "policy": {"rule": "noninferior", "tolerance_pp": cell.margin},
        "aggregate": _figures(cell, rows), "buckets": {"x": _figures(cell, rows)},
    })  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
