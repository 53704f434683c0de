"""From the answers to one batch to its marks: a score a row, and the counts of each gated class. Pure.

- With several trials of a right/wrong score, the mark of a row is the number of right trials; of a graded score it is
  the mean over the trials, rounded once, half to even, to `UNITS`.
- No answer (`None`) is wrong, and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.contract.report import ClassCounts
from minieval.task.answers import read_answers
from minieval.task.document import Scalar, Task, name_class
from minieval.task.scores import Scorer, Scores, equal_values
from minieval.task.tally import UNITS, Bits, Integers

NOISE = 9  # decimals of a unit from which on a float's error shows: 10,000 times 2^-53, and some sums

Places = Callable[[int], str]  # names the place of a row of the batch, counted from 0
# Called with the number of a trial, from 1, the answers that were read in it, and their scores.
Keep = Callable[[int, Sequence[Json], Scores], None]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right in one batch: the expected answer of each row, other accepted ones, and the features on demand."""

    expected: Sequence[Json]
    accepted: Sequence[Sequence[Json]] | None
    features: Callable[[], Sequence[dict[str, Json]]]
    where: Places


class Marker:
    """Marks batch after batch; ``missing`` is the number of rows with a trial that has no answer.

    ``keep`` is called with the answers and scores of each trial of a batch.
    """

    def __init__(self, task: Task, scorer: Scorer, keep: Keep | None = None) -> None:
        self._task, self._scorer, self._keep = task, scorer, keep
        self._classes = [_ClassTally(name) for name in task.score.gate_classes]
        self._kinds: tuple[set[type], set[type]] = (set(), set())
        self._right = False
        self.missing = 0

    def mark(self, truth: Truth, trials: Iterable[Sequence[Json]]) -> Integers:
        """Return the mark of each row, from its answers in each trial; those of one trial are held at once.

        Raises:
            CannotJudge: an answer has not the form that the task reads, or the scorer fails; the message names the row.
        """
        refuse_unlabelled(truth.expected, truth.where)
        scores: list[Scores] = []
        kinds: set[type] = set()
        missing = np.zeros(len(truth.expected), np.bool_)
        for answers in trials:
            read = read_answers(self._task.prediction, answers, truth.where)
            scores.append(self._score(truth, read))
            if self._keep is not None:
                self._keep(len(scores), read, scores[-1])
            if None in read:
                missing |= np.fromiter((answer is None for answer in read), np.bool_, len(read))
            if not self._right:
                kinds.update(_kind(answer) for answer in read if answer is not None)
            for each in self._classes:  # there is one trial
                each.add(truth.expected, read)
        self.missing += int(missing.sum())
        marks = join_trials(scores, graded=self._scorer.graded)
        self._note_kinds(truth, kinds, marks)
        return marks

    def classes(self) -> dict[str, ClassCounts]:
        """Return the counts of each gated class over all rows."""
        return {each.name: each.measure() for each in self._classes}

    def check_kinds(self, expected: str) -> None:
        """Refuse a result in which nothing is right because answers and labels are of different types.

        Raises:
            CannotJudge: no row is right, and no answer has the type of any label in the column ``expected``.
        """
        labels, answers = self._kinds
        if self._right or not answers or labels & answers or not self._scorer.types_matter:
            return
        raise CannotJudge(
            f"no row is right, and the types differ: the model answers with {_list(answers)}, and the column "
            f"{expected[:80]!r} holds {_list(labels)}; set its type in the task file ([types])"
        )

    def _score(self, truth: Truth, answers: Sequence[Json]) -> Scores:
        return self._scorer.score(truth.expected, truth.accepted, answers, truth.features, truth.where)

    def _note_kinds(self, truth: Truth, kinds: set[type], marks: Integers) -> None:
        if self._right or marks.any():
            self._right = True
            return
        self._kinds[0].update(map(_kind, truth.expected))
        self._kinds[1].update(kinds)


def refuse_unlabelled(expected: Sequence[Json], where: Places) -> None:
    """Refuse a row of which no right answer is known.

    Raises:
        CannotJudge: an expected answer is null or NaN; the message names the row.
    """
    for index, label in enumerate(expected):
        if label is None or label != label:  # noqa: PLR0124 - NaN alone differs from itself
            raise CannotJudge(f"{where(index)}: no expected answer; fill it in, or remove the row")


class _ClassTally:
    """True and false positives and false negatives of one class, and which rows are false positives."""

    def __init__(self, wanted: Scalar) -> None:
        self._wanted, self._bits = wanted, Bits()
        self._true = self._false_negatives = 0
        self.name = name_class(wanted)

    def add(self, expected: Sequence[Json], answers: Sequence[Json]) -> None:
        is_true = np.fromiter((equal_values(value, self._wanted) for value in expected), np.int64, len(expected))
        is_said = np.fromiter((equal_values(value, self._wanted) for value in answers), np.int64, len(answers))
        self._bits.add(is_said & ~is_true & 1)
        self._true += int((is_said & is_true).sum())
        self._false_negatives += int((is_true & ~is_said & 1).sum())

    def measure(self) -> ClassCounts:
        return ClassCounts(
            n=self._bits.n,
            true_positives=self._true,
            false_positives=self._bits.ones,
            false_negatives=self._false_negatives,
            false_positive_bits=self._bits.encode(),
        )


def join_trials(scores: Sequence[Scores], *, graded: bool) -> Integers:
    """Return one mark a row from the scores of each trial: the sum, or the mean of graded ones in units."""
    if not graded:
        return np.asarray(np.sum(scores, axis=0), np.int64)
    # A score written as 0.00015 is 1.4999999999999998 units as a float, and a half all the same.
    return np.asarray(np.rint(np.round(np.mean(scores, axis=0) * UNITS, NOISE)), np.int64)


def _kind(value: Json) -> type:
    """Return the type of a value as scores tell types apart: a whole and a fractional number are one."""
    return float if type(value) is int else type(value)


_WORDS = {bool: "booleans", float: "numbers", str: "text", list: "lists", dict: "objects", type(None): "nothing"}


def _list(kinds: set[type]) -> str:
    return " and ".join(sorted(_WORDS.get(kind, kind.__name__) for kind in kinds))
