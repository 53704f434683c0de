"""Print how often a candidate that is worse by exactly the margin passes the public `compare`: groups and scores.

``python -m benchmarks.unit_level [gates]``. The rule is ``noninferior`` at 5 pp and 95 %. Groups have sizes that are
equal, one giant, or Zipf's; rows of a group agree wholly, or not at all. The true mean over groups is minus the margin:
a row loses with chance ``(share + margin) / 2`` and gains with ``(share - margin) / 2``. Scores fall by the margin on
average: few by much, or many by little. Each cell has the rate and its 99 % interval.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.compare import compare
from lynxgate.decision.groups import Groups
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics import Score, wilson
from minieval.contract.documents import parse_document, pretty_json
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation
from minieval.contract.score_bytes import pack_scores

MARGIN = 0.05
SEED = 20_260_102
MD5, SHA = "a" * 32, "b" * 64
Side = dict[str, Any]
Drawn = tuple[Side, Side, Sequence[int]]  # the baseline, the candidate, the group of each row


def sizes_of(kind: str, groups: int) -> list[int]:
    """Return the rows of each group."""
    if kind == "giant":
        return [20 * groups // 4, *[2] * (groups - 1)]
    if kind == "Zipf":
        return [max(groups // (rank + 1), 1) for rank in range(groups)]
    return [5] * groups


def draw_groups(random: Random, *, kind: str, groups: int, share: float, together: bool) -> Drawn:
    """Return right/wrong rows in groups whose mean falls by the margin."""
    before: list[bool] = []
    now: list[bool] = []
    numbers: list[int] = []
    for group, size in enumerate(sizes_of(kind, groups)):
        changes = [_change(random, share) for _ in range(1 if together else size)]
        for change in changes * (size if together else 1):
            before.append(change <= 0)
            now.append(change >= 0)
            numbers.append(group)
    return _bits(before), _bits(now), numbers


def draw_scores(random: Random, *, n: int, rare: float) -> Drawn:
    """Return graded rows of which a share ``rare`` falls, by ``MARGIN / rare`` each."""
    fall = round(10_000 * MARGIN / rare)
    scores = [10_000 - fall if random.random() < rare else 10_000 for _ in range(n)]
    return _points([10_000] * n), _points(scores), range(n)


def _change(random: Random, share: float) -> int:
    drawn = random.random()
    if drawn < (share + MARGIN) / 2:
        return -1
    return int(drawn < share)


def _bits(outcomes: Sequence[bool]) -> Side:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def _points(scores: Sequence[int]) -> Side:
    return {"n": len(scores), "points": sum(scores), "scores": pack_scores(scores)}


def passes(drawn: Drawn) -> bool:
    """Whether `compare` proves the bucket within the margin."""
    before, now, numbers = drawn
    identity = {"dvc_md5": MD5, "sha256": SHA}
    agreed = {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "source": {"semver": "v1.0.0", "canonical_sha": "c" * 64},
        "eval_set": "eval.jsonl",
        "eval_set_dvc_hash": MD5,
        "eval_set_sha256": SHA,
        "policy": {"rule": "noninferior", "tolerance_pp": 100 * MARGIN},
        "buckets": {"x": before},
    }
    measured = {"schema": "minieval.evaluation/2", "eval_set": identity, "buckets": {"x": now}}
    groups = Groups.model_validate(
        {"eval_set": identity, "aggregate": tuple(numbers), "buckets": {"x": tuple(numbers)}}
    )
    verdict = compare(
        parse_document(pretty_json(measured), Evaluation, where="the evaluation"),
        parse_baseline(pretty_json(agreed)),
        groups=groups,
    )
    return verdict.rows[0].outcome is Outcome.HELD


def cells() -> list[tuple[str, Callable[[Random], Drawn]]]:
    """Return the situations."""
    found: list[tuple[str, Callable[[Random], Drawn]]] = []
    for kind in ("equal", "giant", "Zipf"):
        for groups, share in ((60, MARGIN), (100, 0.1), (300, 0.3)):
            for together in (True, False):
                name = (
                    f"{groups} groups, {kind}, {'one change a group' if together else 'independent rows'}, {share:.0%}"
                )
                found.append((name, _bind(draw_groups, kind=kind, groups=groups, share=share, together=together)))
    for n in (60, 150, 500):
        for rare in (0.05, 0.2, 0.5):
            found.append((f"{n} scores, {rare:.0%} fall", _bind(draw_scores, n=n, rare=rare)))
    return found


def _bind(draw: Callable[..., Drawn], **terms: Any) -> Callable[[Random], Drawn]:
    return lambda random: draw(random, **terms)


def main(gates: int) -> None:
    """Print the table."""
    sys.stdout.write("| situation | passed, % | 99 % interval |\n| --- | ---: | ---: |\n")
    for name, draw in cells():
        random = Random(f"{SEED} {name}")  # noqa: S311 - a simulation, not a secret
        passed = Score(sum(passes(draw(random)) for _ in range(gates)), gates)
        low, high = wilson(passed, 0.99)
        sys.stdout.write(f"| {name} | {100 * passed.correct / gates:.2f} | {100 * low:.2f} to {100 * high:.2f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
