"""The evaluation document: the contract between evaluator and gate. `minieval.evaluation/2` is written.

- `minieval.evaluation/1` is read for ever. It has none of the fields in `SINCE_2`, and one with them is refused.
- The rows of a bucket are right or wrong, or right in some of several trials, or graded (`Scale`).
- Where counts exist, they alone decide; an `accuracy` or a `mean` that contradicts them is refused.
- `outcomes`, `counts` and `scores` have an entry for each row of a bucket in eval-set order
  (`minieval.contract.outcome_bits`, `minieval.contract.score_bytes`), so that any later comparison can be paired.
- A document without buckets is refused: measuring nothing is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, model_validator

from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import (
    Count,
    DvcMd5,
    FileName,
    Name,
    Number,
    Positive,
    RunId,
    Samples,
    Sha256,
    Share,
    Table,
)
from minieval.contract.manifest import ManifestFormat
from minieval.contract.model_environment import ModelEnvironment
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.score_bytes import FULL_SCORE, unpack_counts, unpack_scores

FIRST_SCHEMA: Final = "minieval.evaluation/1"
SCHEMA: Final = "minieval.evaluation/2"
ACCURACY_SLACK = Decimal("0.00005")  # half of the last of four decimals, in which accuracy is written
# The fields that only a `minieval.evaluation/2` has, by the name of the class.
SINCE_2: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Evaluation": ("task", "trials", "missing_answers", "classes", "model_environment", "context", "rows"),
        "Measured": ("trials", "counts", "points", "mean", "scores"),
    }
)

T = TypeVar("T")


def _is_absent(value: object) -> bool:
    return value is None or value == {}


# A field that is left out of the document where it has no value: documents without it have the bytes they had before.
Optional = Annotated[T | None, Field(exclude_if=_is_absent)]
Trials = Annotated[int, Field(ge=2, le=100)]


class Scale(StrEnum):
    """How the rows of a bucket are scored."""

    RIGHT_OR_WRONG = "right or wrong"
    TRIALS = "right or wrong in each of several trials"
    GRADED = "graded"


class Measured(Document):
    """The figures measured on a set of rows; another evaluator may leave out all but one of them.

    - Right or wrong: ``n``, ``correct``, ``accuracy``, ``outcomes``.
    - With ``trials`` answers for each row: ``correct`` of ``n * trials`` answers, ``accuracy``, and ``counts``.
    - Graded: ``points`` (the sum of the scores, in ten-thousandths), ``mean`` (from 0 to 1, four decimals), ``scores``.
    """

    n: Positive | None = None
    correct: Count | None = None
    accuracy: Share | None = None
    outcomes: str | None = None
    trials: Optional[Trials] = None
    counts: Optional[str] = None
    points: Optional[Count] = None
    mean: Optional[Share] = None
    scores: Optional[str] = None

    @property
    def scale(self) -> Scale:
        """Return how the rows are scored."""
        if self.points is not None or self.mean is not None or self.scores is not None:
            return Scale.GRADED
        return Scale.RIGHT_OR_WRONG if self.trials is None else Scale.TRIALS

    @property
    def reached(self) -> int | None:
        """Return what the rows reached together: right answers, or points; `None` where that is not stated."""
        return self.points if self.scale is Scale.GRADED else self.correct

    @property
    def full_mark(self) -> int:
        """Return the mark of a row in which everything is right."""
        return FULL_SCORE if self.scale is Scale.GRADED else self.trials or 1

    @property
    def marks(self) -> tuple[int, ...] | None:
        """Return the mark of each row, the first row first; `None` where the rows are not stated.

        It is 1 or 0, the number of right answers to the row, or its graded score in ten-thousandths.
        """
        n = self.n or 0
        if self.outcomes is not None:
            return tuple(map(int, f"{unpack_outcomes(self.outcomes, n):0{n}b}"))
        if self.counts is not None:
            return unpack_counts(self.counts, n, self.trials or 1)
        return None if self.scores is None else unpack_scores(self.scores, n)

    @property
    def reachable(self) -> int | None:
        """Return the most that the rows can reach together; `None` without ``n``."""
        return None if self.n is None else self.n * self.full_mark

    @property
    def counted(self) -> Fraction | None:
        """Return the share that was reached, from 0 to 1, exact; `None` without counts."""
        return None if self.reached is None or self.reachable is None else Fraction(self.reached, self.reachable)

    @property
    def written(self) -> Fraction | None:
        """Return the accuracy or mean as it was written, else `counted`; `None` for a placeholder."""
        stated = self.mean if self.scale is Scale.GRADED else self.accuracy
        return self.counted if stated is None else Fraction(stated)

    @property
    def share(self) -> Fraction | None:
        """Return `counted` where there are counts, else the accuracy or mean; `None` for a placeholder."""
        return self.written if self.counted is None else self.counted

    @model_validator(mode="after")
    def _agree(self) -> Measured:
        if self.scale is Scale.GRADED:
            self._refuse_right_or_wrong()
            self._check_sum("points", "mean", self.mean)
            self._check_scores()
            return self
        if self.correct is None and self.accuracy is None:
            raise ValueError("needs `correct` with `n`, `accuracy`, or `points` with `n`, or `mean`")
        self._check_sum("correct", "accuracy", self.accuracy)
        self._check_outcomes()
        self._check_counts()
        return self

    def _refuse_right_or_wrong(self) -> None:
        for name in ("correct", "accuracy", "outcomes", "trials", "counts"):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` is of right or wrong answers, and the scores are graded; remove one")

    def _check_sum(self, name: str, share_name: str, share: Decimal | None) -> None:
        """Check the sum of the rows (its field is ``name``), and the share that it follows from."""
        if self.reached is None:
            return
        if self.n is None or self.reachable is None:
            raise ValueError(f"`{name}` needs `n`")
        most = "n" if self.scale is Scale.RIGHT_OR_WRONG else f"{self.reachable // self.n} for each of n rows,"
        if self.reached > self.reachable:
            raise ValueError(f"{name} {self.reached} > {most} {self.reachable}")
        if share is not None and abs(share * self.reachable - self.reached) > ACCURACY_SLACK * self.reachable:
            raise ValueError(f"{share_name} {share} contradicts {self.reached}/{self.reachable}")

    def _check_outcomes(self) -> None:
        if self.outcomes is None:
            return
        if self.trials is not None:
            raise ValueError("`outcomes` have one answer for each row; with `trials`, give `counts`")
        if self.n is None or self.correct is None:
            raise ValueError("`outcomes` need `n` and `correct`")
        if (found := unpack_outcomes(self.outcomes, self.n).bit_count()) != self.correct:
            raise ValueError(f"outcomes have {found} rows right, and correct is {self.correct}")

    def _check_counts(self) -> None:
        if self.counts is None:
            return
        if self.n is None or self.correct is None or self.trials is None:
            raise ValueError("`counts` need `n`, `trials` and `correct`")
        if (found := sum(unpack_counts(self.counts, self.n, self.trials))) != self.correct:
            raise ValueError(f"counts have {found} right answers, and correct is {self.correct}")

    def _check_scores(self) -> None:
        if self.scores is None:
            return
        if self.n is None or self.points is None:
            raise ValueError("`scores` need `n` and `points`")
        if (found := sum(unpack_scores(self.scores, self.n))) != self.points:
            raise ValueError(f"scores have {found} points, and points is {self.points}")


class Candidate(Document):
    """Which model was evaluated; ``manifest_format`` is that of the manifest with the canonical SHA.

    A document without it was written before the format had a second version, or by another evaluator.
    """

    canonical_sha: Sha256 | None = None
    mlflow_run_id: RunId | None = None
    manifest_format: Annotated[ManifestFormat | None, Field(exclude_if=lambda name: name is None)] = None


class EvalSetIdentity(Document):
    """The rows that were evaluated: DVC's md5, and the SHA-256 of the bytes (for a folder, of its manifest).

    ``groups`` is the number of groups of rows, and is present only where two rows share a group.
    """

    path: Name | None = None
    dvc_md5: DvcMd5
    sha256: Sha256 | None = None
    rows: Positive | None = None
    groups: Annotated[Positive | None, Field(exclude_if=lambda groups: groups is None)] = None


class Evaluator(Document):
    """The program that measured, and the isolation between the candidate and the labels."""

    name: Name
    version: Name
    isolation: Name | None = None


class TaskIdentity(Document):
    """The task file by which an eval set was read and scored; ``sha256`` covers its scorer too, where it names one."""

    path: Name
    sha256: Sha256


class RowsIdentity(Document):
    """The rows kept beside an evaluation (`minieval.data.kept_rows`).

    ``path`` is the name of their file, ``sha256`` is of its bytes, and ``lines`` is one for each row and trial.
    """

    path: FileName
    sha256: Sha256
    lines: Positive


class ClassCounts(Document):
    """How often a class was answered: what its precision, recall and F1 follow from.

    ``n`` is the number of all rows. ``false_positive_bits`` has a bit for each of them, packed as outcomes are.
    """

    n: Positive
    true_positives: Count
    false_positives: Count
    false_negatives: Count
    false_positive_bits: str | None = None

    @model_validator(mode="after")
    def _agree(self) -> ClassCounts:
        counted = self.true_positives + self.false_positives + self.false_negatives
        if counted > self.n:
            raise ValueError(
                f"true positives, false positives and false negatives are {counted} rows, and n is {self.n}"
            )
        if self.false_positive_bits is None:
            return self
        if (found := unpack_outcomes(self.false_positive_bits, self.n).bit_count()) != self.false_positives:
            raise ValueError(f"false_positive_bits have {found} rows, and false_positives is {self.false_positives}")
        return self

    @property
    def rates(self) -> dict[str, Fraction]:
        """Return precision, recall and F1, exact (C. J. van Rijsbergen, Information Retrieval, 1979).

        A class that was never answered has precision 0. One that no row has is left without recall, and without F1
        where it was not answered either.
        """
        right, answered = self.true_positives, self.true_positives + self.false_positives
        expected = right + self.false_negatives
        rates = {"precision": Fraction(right, answered) if answered else Fraction(0)}
        if expected:
            rates["recall"] = Fraction(right, expected)
        if answered + expected:
            rates["f1"] = Fraction(2 * right, answered + expected)
        return rates


class Context(Document):
    """Where a document comes from, for people; it decides nothing."""

    commit: Name | None = None
    branch: Name | None = None
    time: Name | None = None
    tags: Annotated[Table[Name], Field(default_factory=dict, validate_default=True)]


class Metric(Document):
    """A figure other than accuracy, with its unit. Its direction is for people; the baseline's direction decides.

    ``samples`` are the single measurements in their order, warm-up included.
    """

    value: Number
    unit: Name | None = None
    direction: Literal["lower", "higher", "info"] | None = None
    samples: Annotated[Samples | None, Field(exclude_if=lambda samples: samples is None)] = None


class Environment(Document):
    """The machine; figures that depend on it are comparable only under an equal fingerprint."""

    python: Name | None = None
    cpu: Name | None = None
    fingerprint: Name | None = None


class Evaluation(Document):
    """`candidate_eval.json`: accuracy (or mean score) per bucket of one candidate on one eval set.

    ``trials`` is the number of answers asked of the model for each row, where it is more than one. ``missing_answers``
    is the number of rows without an answer (null or NaN), which are wrong. ``model_environment`` is the Python that
    the model ran in.
    """

    schema_: Annotated[Literal["minieval.evaluation/1", "minieval.evaluation/2"], Field(alias="schema")]
    candidate: Candidate = Candidate()
    eval_set: EvalSetIdentity
    task: Optional[TaskIdentity] = None
    trials: Optional[Trials] = None
    evaluator: Evaluator | None = None
    aggregate: Measured | None = None
    buckets: Annotated[Table[Measured], Field(min_length=1, json_schema_extra={"minProperties": 1})]
    missing_answers: Optional[Positive] = None
    rows: Optional[RowsIdentity] = None
    classes: Annotated[Table[ClassCounts], Field(default_factory=dict, validate_default=True, exclude_if=_is_absent)]
    metrics: Annotated[Table[Metric], Field(default_factory=dict, validate_default=True)]
    environment: Environment = Environment()
    model_environment: Optional[ModelEnvironment] = None
    context: Optional[Context] = None

    @model_validator(mode="after")
    def _is_of_its_version(self) -> Evaluation:
        if self.schema_ == FIRST_SCHEMA and (later := next(_find_later(self), None)):
            raise ValueError(f"{later} is new in {SCHEMA}, and this document is {FIRST_SCHEMA}")
        return self

    @model_validator(mode="after")
    def _has_one_number_of_trials(self) -> Evaluation:
        for name, side in _name_sides(self):
            if side.scale is not Scale.GRADED and side.trials != self.trials:
                raise ValueError(f"{name} has {side.trials or 1} trials, and the document has {self.trials or 1}")
        return self


def parse_evaluation(data: bytes, *, where: str = "the evaluation") -> Evaluation:
    """Parse an evaluation document of either version; ``where`` is what messages call it.

    Raises:
        CannotJudge: naming ``where``, the path inside the document, and the reason.
    """
    return parse_document(data, Evaluation, where=where)


def dump_evaluation(evaluation: Evaluation) -> bytes:
    """Return the bytes of the document as it is written; equal evaluations give equal bytes.

    Raises:
        TypeError: never for an evaluation that was parsed or measured; for one built around its checks.
    """
    return pretty_json(evaluation.model_dump(by_alias=True))


def measure_classes(classes: Mapping[str, ClassCounts]) -> dict[str, Metric]:
    """Return ``precision.<class>``, ``recall.<class>`` and ``f1.<class>`` of each class, with six decimals."""
    return {
        f"{rate}.{name}": Metric(value=round(Decimal(share.numerator) / share.denominator, 6), direction="higher")
        for name, counts in classes.items()
        for rate, share in counts.rates.items()
    }


def _name_sides(evaluation: Evaluation) -> Iterator[tuple[str, Measured]]:
    if evaluation.aggregate is not None:
        yield "aggregate", evaluation.aggregate
    yield from ((f"buckets.{name[:80]}", side) for name, side in evaluation.buckets.items())


def _find_later(evaluation: Evaluation) -> Iterator[str]:
    """Yield the fields of a document that its first version does not have."""
    yield from (name for name in SINCE_2["Evaluation"] if not _is_absent(getattr(evaluation, name)))
    for place, side in _name_sides(evaluation):
        yield from (f"{place}.{name}" for name in SINCE_2["Measured"] if getattr(side, name) is not None)
