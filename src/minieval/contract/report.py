"""The evaluation document, `minieval.evaluation/1`: the contract between evaluator and gate.

- Where counts exist, they alone decide; an `accuracy` that contradicts them is refused.
- `outcomes` is a bitset over the rows of a bucket in eval-set order (`minieval.contract.outcome_bits`), so that any
  later comparison can be paired.
- A document without buckets is refused: measuring nothing is never a pass.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from minieval.contract.documents import Document, parse_document, pretty_json
from minieval.contract.fields import Count, DvcMd5, Name, Number, Positive, RunId, Samples, Sha256, Share, Table
from minieval.contract.manifest import ManifestFormat
from minieval.contract.outcome_bits import unpack_outcomes

SCHEMA = "minieval.evaluation/1"
ACCURACY_SLACK = Decimal("0.00005")  # half of the last of four decimals, in which accuracy is written


class Measured(Document):
    """The figures measured on a set of rows; another evaluator may leave out all but one of them."""

    n: Positive | None = None
    correct: Count | None = None
    accuracy: Share | None = None
    outcomes: str | None = None

    @model_validator(mode="after")
    def _agree(self) -> Measured:
        if self.correct is None and self.accuracy is None:
            raise ValueError("needs `correct` with `n`, or `accuracy`")
        if self.correct is not None:
            if self.n is None:
                raise ValueError("`correct` needs `n`")
            if self.correct > self.n:
                raise ValueError(f"correct {self.correct} > n {self.n}")
            if self.accuracy is not None and abs(self.accuracy * self.n - self.correct) > ACCURACY_SLACK * self.n:
                raise ValueError(f"accuracy {self.accuracy} contradicts {self.correct}/{self.n}")
        if self.outcomes is not None:
            if self.n is None or self.correct is None:
                raise ValueError("`outcomes` need `n` and `correct`")
            if (found := unpack_outcomes(self.outcomes, self.n).bit_count()) != self.correct:
                raise ValueError(f"outcomes have {found} rows right, and correct is {self.correct}")
        return self


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
    """`candidate_eval.json`: accuracy per bucket of one candidate on one eval set."""

    schema_: Annotated[Literal["minieval.evaluation/1"], Field(alias="schema")]
    candidate: Candidate = Candidate()
    eval_set: EvalSetIdentity
    evaluator: Evaluator | None = None
    aggregate: Measured | None = None
    buckets: Annotated[Table[Measured], Field(min_length=1, json_schema_extra={"minProperties": 1})]
    metrics: Annotated[Table[Metric], Field(default_factory=dict, validate_default=True)]
    environment: Environment = Environment()


def parse_evaluation(data: bytes, *, where: str = "the evaluation") -> Evaluation:
    """Parse an evaluation document, ``minieval.evaluation/1``; ``where`` is what messages call it.

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
