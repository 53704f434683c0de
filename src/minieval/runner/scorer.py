"""A repository's own scorer: ``score(expected, answer, features)`` in a process of its own, asked batch by batch.

- It runs in a sandbox apart from the candidate's. It gets labels, answers and features; nothing of it reaches the
  candidate, and a candidate reaches it through the values of its answers alone.
- What it returns is checked on this side too: one number from 0 to 1 a row.
- A row without an answer is wrong, and the scorer does not see it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.contract.report import Metric
from minieval.runner import sandbox
from minieval.runner.child import LONGEST_S, Child, Limits, printable
from minieval.runner.sandbox import Isolation
from minieval.task.answers import Places, is_number
from minieval.task.document import TaskFile
from minieval.task.scores import Rows, Scores

ROW_SECONDS = 10.0
# A scorer waits while the model predicts: its own time is limited by row, and by batch where it cannot be interrupted.
LIMITS = Limits(timeout_s=LONGEST_S, memory_mb=2048, file_mb=1)
ROWS_AT_ONCE = 16  # each may take `ROW_SECONDS`, and all of them less than the limit of silence
WHERE = "the answer of the scorer"


class ScorerRaised(CannotJudge):
    """A scorer raised an exception of its own: perhaps an answer has another form than it expects."""


@contextlib.contextmanager
def start_scorer(
    task: TaskFile, isolation: Isolation, *, row_seconds: float = ROW_SECONDS, limits: Limits = LIMITS
) -> Iterator[PythonScorer]:
    """Start the scorer of a task, and stop it at the end.

    Raises:
        CannotJudge: it cannot be loaded.
        ValueError: the task names no scorer.
    """
    if task.scorer is None:
        raise ValueError("the task names no scorer")
    path = str(task.path.with_name(task.task.score.python or ""))
    try:
        source = task.scorer.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CannotJudge(f"{path}: not UTF-8 text at byte {error.start}") from error
    with sandbox.start_scorer(isolation, limits=limits) as child:
        scorer = PythonScorer(child, path, graded=task.task.score.is_graded)
        scorer.load(source, row_seconds)
        yield scorer


class PythonScorer:
    """A running scorer; ``path`` is what messages call it."""

    types_matter = False  # what is equal to what is the scorer's to decide

    def __init__(self, child: Child, path: str, *, graded: bool) -> None:
        self._child, self._path, self.graded = child, path, graded

    def load(self, source: str, row_seconds: float) -> None:
        """Send the source, and wait until it is loaded.

        Raises:
            CannotJudge: it raises, or defines no function ``score``.
        """
        setup = {"source": source, "name": self._path, "graded": self.graded, "seconds": row_seconds}
        self._ask(setup, "ready", doing=f"loading {self._path}", where=lambda _: self._path)

    def score(
        self,
        expected: Sequence[Json],
        accepted: Sequence[Sequence[Json]] | None,
        answers: Sequence[Json],
        features: Rows,
        where: Places,
    ) -> Scores:
        """Return a score from 0 to 1 for each row; of several accepted answers the best score counts.

        Raises:
            ScorerRaised: the scorer raises.
            CannotJudge: it returns no score, takes too long, or is no pure function.
        """
        found = np.zeros(len(expected))
        asked = [index for index, answer in enumerate(answers) if answer is not None]
        if not asked:
            return found
        given = features()
        others = accepted or [()] * len(expected)
        rows = [[[expected[row], *(others[row] or ())], answers[row], given[row]] for row in asked]
        for start in range(0, len(asked), ROWS_AT_ONCE):
            part = asked[start : start + ROWS_AT_ONCE]
            found[part] = self._score_some(rows[start : start + ROWS_AT_ONCE], part, where)
        return found

    def metrics(self) -> dict[str, Metric]:
        """Return nothing: the score is the figure."""
        return {}

    def _score_some(self, rows: list[Json], places: Sequence[int], where: Places) -> Scores:
        """Return the scores of rows that lie at ``places`` of their batch."""

        def where_asked(index: int) -> str:
            return where(places[index])

        doing = f"scoring {where_asked(0)} and the rows after it"
        scores = self._ask({"rows": rows}, "scores", doing=doing, where=where_asked)
        return _check(scores, len(rows))

    def _ask(self, request: dict[str, Json], key: str, *, doing: str, where: Places) -> Json:
        line = self._child.ask(json.dumps(request, default=_plain).encode() + b"\n", doing=doing)
        message = parse_json(line, where=WHERE, floats=True)
        if not isinstance(message, dict) or not ("error" in message or key in message):
            raise CannotJudge(f"{WHERE} is not one of its messages")
        if "error" not in message:
            return message[key]
        row, reason = message.get("row"), printable(str(message["error"]))
        if not isinstance(row, int) or not 0 <= row < len(request.get("rows", ())):
            raise CannotJudge(f"{self._path}: {reason}")
        kind = ScorerRaised if message.get("raised") else CannotJudge
        raise kind(f"{where(row)}: the scorer {self._path} {reason}")


def _check(scores: Json, rows: int) -> Scores:
    if not isinstance(scores, list) or len(scores) != rows:
        raise CannotJudge(f"{WHERE} does not have one score for each of {rows} rows")
    if not all(is_number(score) and 0 <= score <= 1 for score in scores):
        raise CannotJudge(f"{WHERE} has a score that is no number from 0 to 1")
    return np.array(scores, np.float64)


def _plain(value: object) -> str | float:
    """Return a value that JSON does not have, from Parquet: a moment in ISO 8601, bytes in hex, all else as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
