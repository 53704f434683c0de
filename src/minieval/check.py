"""Check a task file against its eval set without a model: what was understood, and what will be a problem later.

- The same readers as an evaluation's are used, over all rows: what passes here is not refused there.
- A repository's own scorer is tried on the labels, twice: the second time in another process, from the last row to the
  first. A score that depends on other rows shows there.
- Warnings are advice, and the exit code stays 0. What an evaluation refuses is refused here too.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.contract.report import EvalSetIdentity
from minieval.data.batch import Batch
from minieval.data.schema import Schema
from minieval.data.stream import EvalSetStream, read_eval_set
from minieval.evaluation import refuse_leaks
from minieval.runner import sandbox
from minieval.runner.sandbox import Isolation
from minieval.runner.scorer import ScorerRaised, start_scorer
from minieval.task.answers import Places
from minieval.task.buckets import BucketReader
from minieval.task.columns import Roles
from minieval.task.document import Kind, Scoring, Task, TaskFile
from minieval.task.marking import refuse_unlabelled
from minieval.task.scores import Scorer, Scores, make_scorer

BATCH = 8192  # rows
SHOWN_ROWS = 3
SHOWN_BUCKETS = 200
SHOWN_CELL = 60  # characters
TRIED_ROWS = 200  # rows on which a scorer is tried
MOST_CLASSES = 1000  # beyond, answers are no classes, and their order is not looked at
FEWEST_IN_ORDER = 20  # rows; in fewer, blocks of equal answers are chance
# All rows of a bucket turning from right to wrong have, under the exact test of equal chances, p = 2^-n: above 5 % up
# to n = 4 (McNemar 1947, exact form).
FEWEST_IN_BUCKET = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """What was understood of a task and its eval set, and what is worth a warning.

    ``buckets`` have their numbers of rows, in code-point order; ``rows`` are the first `SHOWN_ROWS`, by column.
    """

    task: TaskFile
    identity: EvalSetIdentity
    schema: Schema
    roles: Roles
    buckets: Mapping[str, int]
    rows: Sequence[Mapping[str, Json]]
    warnings: Sequence[str]


def find_eval_set(task: Path) -> Path:
    """Return the eval set beside a task file: the file or folder that has its name, as ``tenses.jsonl``.

    Raises:
        CannotJudge: there is none, or more than one.
    """
    candidates = [task.with_suffix(suffix) for suffix in ("", ".jsonl", ".csv", ".parquet")]
    found = [path for path in candidates if path != task and path.exists()]
    if len(found) != 1:
        what = f"{found[0].name} and {found[1].name}" if found else f"no {task.stem}.jsonl, .csv, .parquet or folder"
        raise CannotJudge(f"{task}: {what} beside it; name the eval set with --eval-set")
    return found[0]


def check_task(task: TaskFile, eval_set: Path, *, isolation: Isolation = Isolation.AUTO) -> Findings:
    """Read the whole eval set as the task says, try its scorer, and return what was found.

    Raises:
        CannotJudge: the task does not fit the eval set, a row is invalid, a feature is the answer in every row, or the
            scorer fails or depends on the order of the rows.
        IntegrityFailure: the eval set holds a link or a special file, or changed while it was read.
    """
    survey, stream = read_eval_set(eval_set, task.task, lambda stream: (_survey(task, stream), stream))
    warnings: list[str] = []
    refuse_leaks(stream, eval_set, warnings.append)
    warnings += [*_list_small(survey.sizes), *survey.order.warn(stream.roles.expected)]
    if survey.trial is not None and task.task.evaluator is None:
        warnings += _try_scorer(task, survey.trial, sandbox.choose(isolation, warn=warnings.append))
    return Findings(
        task=task,
        identity=stream.identity,
        schema=stream.schema,
        roles=stream.roles,
        buckets=dict(sorted(survey.sizes.items())),
        rows=survey.rows,
        warnings=warnings,
    )


@dataclass(slots=True)
class _Order:
    """Runs of equal answers, against the number that a random order would have."""

    counts: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    last: str | None = None

    def add(self, answers: Sequence[Json]) -> None:
        if len(self.counts) > MOST_CLASSES:
            return
        for text in map(_text, answers):
            self.runs += text != self.last
            self.counts[text] += 1
            self.last = text

    def warn(self, column: str) -> Iterator[str]:
        """Yield a warning where there are less than half of the runs that a random order has.

        Their expected number is n + 1 - sum(c^2) / n for classes of c rows (A. Mood, Ann. Math. Stat. 11, 1940).
        """
        rows = self.counts.total()
        if not 2 <= len(self.counts) <= MOST_CLASSES or rows < FEWEST_IN_ORDER:
            return
        usual = rows + 1 - sum(count * count for count in self.counts.values()) / rows
        if 2 * self.runs < usual:
            yield (
                f"the answers in {column[:80]!r} come in blocks: {self.runs} where a random order has about "
                f"{usual:.0f}; a model that remembers earlier rows can tell what comes next, so shuffle the rows once"
            )


@dataclass(frozen=True, slots=True)
class _Trial:
    """The first rows, with which a scorer is tried."""

    expected: Sequence[Json]
    accepted: Sequence[Sequence[Json]] | None
    features: Sequence[dict[str, Json]]
    where: Places


@dataclass(slots=True)
class _Survey:
    """What one pass over the eval set found."""

    sizes: dict[str, int]
    order: _Order
    rows: list[Mapping[str, Json]] = field(default_factory=list)
    trial: _Trial | None = None


def _survey(task: TaskFile, stream: EvalSetStream) -> _Survey:
    buckets = BucketReader(task.task, stream.roles)
    counts = np.zeros(0, np.int64)
    found = _Survey({}, _Order())
    for batch in stream.batches(BATCH):
        _, codes = buckets.read(batch.table, batch.where)
        more = np.bincount(codes, minlength=len(buckets.names))
        counts = more + np.pad(counts, (0, len(more) - len(counts)))
        expected = batch.values(stream.roles.expected)
        refuse_unlabelled(expected, batch.where)
        found.order.add(expected)
        if batch.start == 0:
            found.rows, found.trial = _first_rows(batch), _choose_trial(batch)
    found.sizes = dict(zip(buckets.names, counts.tolist(), strict=True))
    return found


def _first_rows(batch: Batch) -> list[Mapping[str, Json]]:
    names = [column.name for column in batch.schema]
    columns = [batch.values(name)[:SHOWN_ROWS] for name in names]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _choose_trial(batch: Batch) -> _Trial:
    roles = batch.roles
    accepted = None if roles.accepted is None else [each or () for each in batch.values(roles.accepted)[:TRIED_ROWS]]
    return _Trial(batch.values(roles.expected)[:TRIED_ROWS], accepted, batch.list_features()[:TRIED_ROWS], batch.where)


def _list_small(sizes: Mapping[str, int]) -> Iterator[str]:
    small = sorted(name for name, size in sizes.items() if size < FEWEST_IN_BUCKET)
    if small:
        named = ", ".join(f"{name} ({sizes[name]})" for name in small[:5])
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        yield (
            f"too small to prove anything: {named}{more}; of fewer than {FEWEST_IN_BUCKET} rows all may turn wrong by "
            "chance, so add rows, or make fewer buckets"
        )


def _try_scorer(task: TaskFile, trial: _Trial, isolation: Isolation) -> list[str]:
    """Score the labels as if they were answers, and answers of other rows; a scorer of one's own in two orders.

    Raises:
        CannotJudge: a label has the wrong kind, the scorer does what none may, or the score of a row depends on the
            rows before it.
    """
    own = [_as_answer(label, task.task.score.kind) for label in trial.expected]
    tries, order = (own, [*own[1:], own[0]]), range(len(own))
    try:
        with _start(task, isolation) as scorer:
            scores = [_score(scorer, trial, answers, order) for answers in tries]
        if task.scorer is not None:
            with _start(task, isolation) as scorer:
                again = [_score(scorer, trial, answers, order[::-1]) for answers in reversed(tries)]
            _refuse_impure(task, trial, zip(scores, reversed(again), strict=True))
    except ScorerRaised as error:
        return [f"the scorer could not be tried with the labels as answers, of which the form may differ: {error}"]
    return list(_warn_of_scores(scores[0], trial.where))


def _as_answer(label: Json, kind: Kind) -> Json:
    """Return the right answer to a label: one of several, or a list of which the label is the first."""
    if kind is Kind.ANY_OF:
        return label[0] if isinstance(label, list) and label else None
    return [label] if kind is Kind.TOP_K else label


@contextlib.contextmanager
def _start(task: TaskFile, isolation: Isolation) -> Iterator[Scorer]:
    if task.scorer is None:
        yield make_scorer(task.task.score)
        return
    with start_scorer(task, isolation) as scorer:
        yield scorer


def _score(scorer: Scorer, trial: _Trial, answers: Sequence[Json], order: Sequence[int]) -> Scores:
    """Return the score of each row, in the order of the eval set; ``order`` is that in which they are scored."""
    accepted = None if trial.accepted is None else [trial.accepted[row] for row in order]
    found = np.zeros(len(order))
    found[list(order)] = scorer.score(
        [trial.expected[row] for row in order],
        accepted,
        [answers[row] for row in order],
        lambda: [trial.features[row] for row in order],
        lambda index: trial.where(order[index]),
    )
    return found


def _refuse_impure(task: TaskFile, trial: _Trial, pairs: Iterable[tuple[Scores, Scores]]) -> None:
    for first, second in pairs:
        if (differ := np.flatnonzero(first != second)).size:
            row = int(differ[0])
            raise CannotJudge(
                f"{trial.where(row)}: the scorer {task.path.with_name(task.task.score.python or '')} gives "
                f"{first[row]:g} in one order of the rows and {second[row]:g} in another; a score follows from its row "
                "alone"
            )


def _warn_of_scores(own: Scores, where: Places) -> Iterator[str]:
    if (lower := np.flatnonzero(own != 1.0)).size:
        row = int(lower[0])
        yield (
            f"the right answer itself does not get the full score in {lower.size} of the first {own.size} rows "
            f"(the first: {where(row)}, {own[row]:g}); check that labels and score fit"
        )


def describe_findings(findings: Findings) -> str:
    """Return what was found as text for people: one part each for columns, buckets, rows and warnings."""
    task, identity = findings.task.task, findings.identity
    groups = f" in {identity.groups} groups" if identity.groups else ""
    parts = [
        [f"{findings.task.path}: valid; sha256 {findings.task.sha256}"],
        [f"{identity.rows} rows{groups}; {_describe_scoring(task)}; trials {task.trials}"],
        ["", "columns", *_table([("name", "kind", "role"), *_list_columns(findings)])],
        ["", f"buckets ({len(findings.buckets)})", *_table(_list_buckets(findings.buckets))],
        ["", "rows", *itertools.chain.from_iterable(map(_describe_row, findings.rows))],
        ["", "warnings", *(f"  - {warning}" for warning in findings.warnings)] if findings.warnings else [],
    ]
    return "\n".join(_escape(line) for line in itertools.chain.from_iterable(parts))


def _describe_scoring(task: Task) -> str:
    """Return how rows are scored: by a kind of score, or by a command."""
    if task.evaluator is None:
        return f"score {_describe_score(task.score)}"
    graded = "graded" if task.evaluator.graded else "right or wrong"
    return f"evaluator {_shorten(list(task.evaluator.command))} ({graded}, isolation external)"


def _describe_score(score: Scoring) -> str:
    graded = "graded" if score.is_graded else "right or wrong"
    options = score.model_dump(mode="json", exclude={"kind", "graded"}, exclude_unset=True)
    shown = "".join(f", {name} = {_shorten(value)}" for name, value in options.items())
    return f"{score.kind.value} ({graded}{shown})"


def _list_columns(findings: Findings) -> Iterator[tuple[str, str, str]]:
    roles = findings.roles
    tests: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("id", lambda name: name == roles.id),
        ("expected", lambda name: name == roles.expected),
        ("accepted", lambda name: name == roles.accepted),
        ("group", lambda name: name == roles.group),
        ("buckets", lambda name: name in (*roles.lists, *roles.columns)),
        ("feature", lambda name: name in roles.features),
        ("file", lambda name: name in roles.files),
    )
    for column in findings.schema:
        found = ", ".join(role for role, holds in tests if holds(column.name))
        kind = str(column.type) if column.kind == "native" else column.kind.value
        yield _clip(column.name), kind, found or "(unused)"


def _list_buckets(sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, size in itertools.islice(sizes.items(), SHOWN_BUCKETS):
        yield name, str(size)
    if len(sizes) > SHOWN_BUCKETS:
        yield f"({len(sizes) - SHOWN_BUCKETS} more)", ""


def _describe_row(row: Mapping[str, Json]) -> Iterator[str]:
    for index, (name, value) in enumerate(row.items()):
        yield f"  {'-' if index == 0 else ' '} {_clip(name)}: {_shorten(value)}"


def _table(lines: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield aligned lines; the last column is not padded."""
    known = list(lines)
    widths = [max(map(len, cells)) for cells in zip(*known, strict=True)]
    for cells in known:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _shorten(value: Json) -> str:
    return _clip(json.dumps(value, ensure_ascii=False, default=str))


def _clip(text: str) -> str:
    return text if len(text) <= SHOWN_CELL else f"{text[: SHOWN_CELL - 3]}..."


def _escape(line: str) -> str:
    """Return a line that neither a terminal nor a workflow's log obeys: its values come from the eval set."""
    shown = "".join(each if each.isprintable() else "?" for each in line).replace("##[", "#?[")
    return shown.replace("::", ": :", 1) if shown.lstrip().startswith("::") else shown
