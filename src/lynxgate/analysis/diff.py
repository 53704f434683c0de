"""Find which rows a second model lost and gained against a first one, by bucket, and what both answered. Pure.

- A row is lost when its score is lower than it was, and gained when it is higher. With trials or graded scores, the
  score is the number of right answers, or the mean.
- Both evaluations are of one eval set and one task; the figures of their rows agree with the evaluations.
- Answers, inputs and names are hostile text here; `lynxgate.reports.examples` escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import ALL_ROWS
from lynxgate.decision.same_eval_set import check_same_eval_set, of_identity
from lynxgate.decision.same_task import check_same_task
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.documents import Json
from minieval.contract.report import Evaluation, Measured, Scale

if TYPE_CHECKING:  # these load Arrow, which `explain` does not need
    from minieval.data.kept_rows_reader import KeptRows, Line
    from minieval.data.labels import Labels

Inputs = Callable[[frozenset[int]], Mapping[int, Mapping[str, Json]]]  # the features of rows, numbered from 1


@dataclass(frozen=True)
class Side:
    """One evaluation with its rows; ``name`` is what messages call it."""

    name: str
    evaluation: Evaluation
    rows: KeptRows


@dataclass(frozen=True)
class Answers:
    """What one model answered to a row: JSON text for each trial, and the row's score, from 0 to 1."""

    texts: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Example:
    """A row that changed; ``row`` counts from 1, ``expected`` and ``inputs`` are JSON text.

    ``inputs`` is `None` where neither the rows nor the eval set have them; ``buckets`` are empty without an eval set.
    """

    row: int
    id: str
    buckets: tuple[str, ...]
    inputs: str | None
    expected: str
    before: Answers
    now: Answers


@dataclass(frozen=True)
class BucketChanges:
    """The rows of one bucket that changed, as numbers from 1, ascending; ``n`` is the number of all its rows."""

    bucket: str
    n: int
    lost: tuple[int, ...]
    gained: tuple[int, ...]


@dataclass(frozen=True)
class Diff:
    """What changed between two evaluations.

    ``buckets`` are in code-point order; the first entry is of all rows. ``shown`` is the bucket whose examples follow,
    at most as many of each kind as were asked for.
    """

    before: Evaluation
    now: Evaluation
    buckets: tuple[BucketChanges, ...]
    shown: BucketChanges
    lost: tuple[Example, ...]
    gained: tuple[Example, ...]


def find_changes(
    before: Side,
    now: Side,
    *,
    labels: Labels | None = None,
    inputs: Inputs | None = None,
    bucket: str | None = None,
    limit: int = 20,
) -> Diff:
    """Return what changed from ``before`` to ``now``.

    ``labels`` are of the eval set, from which buckets follow; ``inputs`` reads features from it. ``bucket`` chooses
    the examples, of which there are at most ``limit`` lost ones and as many gained ones.

    Raises:
        CannotJudge: an evaluation has no outcome for each row, the two are scored in different ways, or there is no
            such bucket.
        IntegrityFailure: they are of different eval sets or tasks, or rows contradict their evaluation or each other.
    """
    _check_same(before, now, labels)
    marks = tuple(_read_marks(side) for side in (before, now))
    every = _compare(ALL_ROWS, range(len(marks[0])), *marks)
    named = () if labels is None else sorted(labels.buckets.items())
    buckets = (every, *(_compare(name, members, *marks) for name, members in named))
    shown = _choose(buckets, bucket, has_labels=labels is not None)
    lost, gained = shown.lost[:limit], shown.gained[:limit]
    wanted = frozenset((*lost, *gained))
    held = {} if labels is None else _list_buckets(labels, wanted)
    given = {} if inputs is None or not wanted else inputs(wanted)
    lines = before.rows.read_lines(wanted), now.rows.read_lines(wanted)
    full = _all_rows(now).full_mark

    def show(row: int) -> Example:
        earlier, later = (side[row] for side in lines)
        _check_lines(row, earlier, later, labels)
        found = _write(given[row]) if row in given else later[0].inputs
        found = earlier[0].inputs if found is None else found
        answers = (
            Answers(tuple(line.answer for line in side), mark[row - 1] / full)
            for side, mark in zip((earlier, later), marks, strict=True)
        )
        return Example(row, later[0].id, held.get(row, ()), found, later[0].expected, *answers)

    return Diff(before.evaluation, now.evaluation, buckets, shown, tuple(map(show, lost)), tuple(map(show, gained)))


def check_is_of_baseline(side: Side, baseline: Baseline) -> None:
    """Check that an evaluation is the one that a baseline was made from: each row has the same mark.

    Raises:
        CannotJudge: the baseline has no outcome for each row.
        IntegrityFailure: the marks differ.
    """
    agreed = baseline.aggregate
    if agreed is None or agreed.marks is None:
        raise CannotJudge("the baseline has no outcome for each row, so no evaluation can be found to be its own")
    if agreed.marks != _all_rows(side).marks:
        raise IntegrityFailure(
            f"{side.name}: its rows are not scored as in the baseline; give the evaluation that the baseline was made "
            "from"
        )


def _check_same(before: Side, now: Side, labels: Labels | None) -> None:
    first, second = before.evaluation, now.evaluation
    advice = "compare two evaluations of one eval set"
    eval_sets = of_identity(before.name, first.eval_set), of_identity(now.name, second.eval_set)
    check_same_eval_set(*eval_sets, advice=advice)
    check_same_task((before.name, first.task), (now.name, second.task), advice="evaluate both with one task file")
    if labels is not None:
        given = of_identity("the eval set given", labels.identity)
        check_same_eval_set(given, eval_sets[1], advice="give the eval set of the evaluations")
    sides = _all_rows(before), _all_rows(now)
    if len({(side.scale, side.trials, side.n) for side in sides}) > 1:
        raise CannotJudge(
            f"{before.name} and {now.name} are not scored in one way (graded, right or wrong, number of trials and "
            "rows); evaluate both with one task file"
        )


def _all_rows(side: Side) -> Measured:
    found = side.evaluation.aggregate
    if found is None or found.n is None or found.marks is None:
        raise CannotJudge(f"{side.name}: has no outcome for each row; evaluate again with minieval")
    return found


def _read_marks(side: Side) -> Sequence[int]:
    """Return the mark of each row out of the evaluation, with which its rows agree.

    Raises:
        IntegrityFailure: they do not.
    """
    figures = _all_rows(side)
    marks = figures.marks or ()
    graded = figures.scale is Scale.GRADED
    lines = 0 if side.evaluation.rows is None else side.evaluation.rows.lines
    trials = lines // len(marks) if graded else figures.trials or 1
    if side.rows.read_marks(len(marks), max(1, trials), graded=graded) != marks:
        raise IntegrityFailure(f"the rows of {side.name} contradict its figures; evaluate again with --rows")
    return marks


def _compare(bucket: str, members: Sequence[int], before: Sequence[int], now: Sequence[int]) -> BucketChanges:
    lost = tuple(each + 1 for each in members if now[each] < before[each])
    gained = tuple(each + 1 for each in members if now[each] > before[each])
    return BucketChanges(bucket, len(members), lost, gained)


def _choose(buckets: Sequence[BucketChanges], name: str | None, *, has_labels: bool) -> BucketChanges:
    wanted = name or ALL_ROWS
    # The last one: an eval set may have a bucket of the same name as that of all rows.
    found = next((each for each in reversed(buckets) if each.bucket == wanted), None)
    if found is not None:
        return found
    if not has_labels:
        raise CannotJudge("buckets follow from the eval set; give it with --eval-set")
    shown = ", ".join(each.bucket[:80] for each in buckets[:20])
    raise CannotJudge(f"the eval set has no bucket {wanted[:80]!r}; it has {shown}{', ...' * (len(buckets) > 20)}")


def _list_buckets(labels: Labels, rows: frozenset[int]) -> dict[int, tuple[str, ...]]:
    """Return the buckets of each of ``rows``, in code-point order."""
    found: dict[int, list[str]] = {row: [] for row in rows}
    for name, members in sorted(labels.buckets.items()):
        for row in rows.intersection(member + 1 for member in members):
            found[row].append(name)
    return {row: tuple(names) for row, names in found.items()}


def _check_lines(row: int, before: Sequence[Line], now: Sequence[Line], labels: Labels | None) -> None:
    """Refuse lines that are of different examples."""
    named = {(line.id, line.expected) for line in (*before, *now)}
    if len(named) != 1:
        raise IntegrityFailure(
            f"row {row}: its id or expected answer is not the same in both files; keep the rows of both again"
        )
    if labels is not None and now[0].id != labels.ids[row - 1]:
        raise IntegrityFailure(f"row {row}: its id is not that of the eval set; keep the rows again")


def _write(features: Mapping[str, Json]) -> str:
    # Imported here, as above: Arrow is loaded by then.
    from minieval.data.kept_rows import write_value  # noqa: PLC0415

    return write_value(dict(features))


def iterate_examples(diff: Diff) -> Iterator[tuple[str, Example]]:
    """Yield the examples with their kind, ``lost`` or ``gained``: the lost ones first."""
    yield from (("lost", each) for each in diff.lost)
    yield from (("gained", each) for each in diff.gained)
