"""The evaluation document, `minieval.evaluation/1`: the contract between evaluator and gate.

- Where counts exist only they decide; an `accuracy` that contradicts them is refused.
- `outcomes` is a bitset over the rows of a bucket in eval-set order (see `pack_outcomes`), so that any
  later comparison can be paired.
- A document with no bucket is refused: measuring nothing is never a pass.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from minieval.contract.documents import Document, Json, is_note, pretty_json

SCHEMA = "minieval.evaluation/1"
ACCURACY_SLACK = Decimal("0.00005")  # half of the last of four decimals, in which accuracy is written


def _matching(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value[:80]!r} is not {what}")
        return value

    return AfterValidator(check)


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _finite(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("is no number (a figure is written as 0.93, not as text, true or null)")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("is not finite")
    return number


def _drop_notes(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    for key, entry in value.items():
        if isinstance(entry, dict) and is_note(key):
            raise ValueError(f"{key[:80]!r} is kept for comments, which are text; give the entry another name")
    return {key: entry for key, entry in value.items() if not is_note(key)}


def _name(value: str) -> str:
    if not value or len(value) > 200 or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError("a name has 1 to 200 characters and no control characters")
    return value


Number = Annotated[Decimal, BeforeValidator(_finite), WithJsonSchema({"type": "number"})]
Share = Annotated[Number, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Samples = Annotated[tuple[Number, ...], Field(strict=False, min_length=1, max_length=10_000)]
Name = Annotated[str, AfterValidator(_name)]
Sha256 = Annotated[str, _matching(r"[0-9a-f]{64}", "a SHA-256 (64 hex digits)"), _schema(r"[0-9a-f]{64}")]
RunId = Annotated[str, _matching(r"[0-9a-f]{32}", "an MLflow run id (32 hex digits)"), _schema(r"[0-9a-f]{32}")]
DvcMd5 = Annotated[
    str,
    _matching(r"[0-9a-f]{32}(\.dir)?", "a DVC md5 (32 hex digits, .dir for a folder)"),
    _schema(r"[0-9a-f]{32}(\.dir)?"),
]


V = TypeVar("V")
# Entries by name, as frozen as the document that holds them; notes with a text are for people only.
Table = Annotated[
    Mapping[Name, V], BeforeValidator(_drop_notes), AfterValidator(MappingProxyType), PlainSerializer(dict)
]


def pack_outcomes(outcomes: Sequence[bool]) -> str:
    """Bitset of ``outcomes``: the first row is the most significant bit of the first byte, zero padded, base64."""
    bits = "".join("1" if right else "0" for right in outcomes)
    size = (len(bits) + 7) // 8
    return base64.b64encode(int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")).decode()


def unpack_outcomes(text: str, n: int) -> int:
    """The bitset of ``n`` rows as an integer whose most significant of ``n`` bits is the first row.

    Raises:
        ValueError: when ``text`` is not strict base64 of exactly ``n`` bits with zero padding.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"outcomes are not strict base64: {error}") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("outcomes are not strict base64: its last character carries stray bits")
    if len(data) != (n + 7) // 8:
        raise ValueError(f"outcomes hold {len(data)} bytes where {n} rows need {(n + 7) // 8}")
    bits = int.from_bytes(data, "big")
    padding = len(data) * 8 - n
    if bits & ((1 << padding) - 1):
        raise ValueError("outcomes have bits set beyond the last row")
    return bits >> padding


class Measured(Document):
    """What was measured on a set of rows; somebody else's evaluator may leave out all but one figure."""

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
                raise ValueError(f"outcomes have {found} rows right where correct says {self.correct}")
        return self


class Candidate(Document):
    """Which model was evaluated."""

    canonical_sha: Sha256 | None = None
    mlflow_run_id: RunId | None = None


class EvalSetIdentity(Document):
    """Which rows it was evaluated on; the md5 is DVC's, the sha256 that of the bytes (of a folder: of its manifest).

    ``groups`` says in how many groups the rows come; it is there only where two rows share one.
    """

    path: Name | None = None
    dvc_md5: DvcMd5
    sha256: Sha256 | None = None
    rows: Positive | None = None
    groups: Annotated[Positive | None, Field(exclude_if=lambda groups: groups is None)] = None


class Evaluator(Document):
    """What measured it, and how far the candidate was kept from the labels."""

    name: Name
    version: Name
    isolation: Name | None = None


class Metric(Document):
    """A figure with a unit beside accuracy; its direction here is for people, the baseline's decides.

    ``samples`` are the single measurements in the order in which they were made, warm-up included.
    """

    value: Number
    unit: Name | None = None
    direction: Literal["lower", "higher", "info"] | None = None
    samples: Annotated[Samples | None, Field(exclude_if=lambda samples: samples is None)] = None


class Environment(Document):
    """Where it ran; figures that depend on the machine are comparable only under an equal fingerprint."""

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


def dump_evaluation(evaluation: Evaluation) -> bytes:
    """The bytes of the document as it is written: equal evaluations give equal bytes."""
    return pretty_json(evaluation.model_dump(by_alias=True))
