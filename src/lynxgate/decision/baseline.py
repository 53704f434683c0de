"""The baseline document, `lynxgate.baseline/1`: the figures of the agreed model, and the policy that guards them.

- ``status`` is ``report-only`` or ``active``; any other cannot be judged.
- A placeholder (``null`` or ``"TODO"``) may replace a figure, a hash or a part of the source while the baseline is
  report-only. An active baseline with a placeholder, or with a bucket or metric without a figure, is refused.
- ``model`` names the model whose registry may take a candidate; a baseline without it fits a registry without it.
- ``task`` is the task file by which the eval set is read and scored; without one its conventions hold.
- ``metrics`` are further figures with limits; `Environment` is the machine that they were measured on.
- Notes (`minieval.contract.documents.is_note`) are for people; every writer keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from lynxgate.decision.metrics.policy import BaselineMetric
from lynxgate.decision.policy import Policy
from lynxgate.identity import ModelName, SemverText
from minieval.contract.documents import Document, Json, is_note, parse_document
from minieval.contract.fields import DvcMd5, Name, RunId, Sha256, Table
from minieval.contract.report import Environment, Measured, TaskIdentity

SCHEMA: Final = "lynxgate.baseline/1"
CREATE_IT = "create one with: lynxgate baseline init --evaluation candidate_eval.json"
PLACEHOLDERS = (None, "TODO")


class Status(StrEnum):
    """Whether the gate enforces the baseline, or only reports what it would do."""

    REPORT_ONLY = "report-only"
    ACTIVE = "active"


Versions = Annotated[tuple[SemverText, ...], Field(strict=False, min_length=1)]


class Source(Document):
    """The model that the figures come from; with ``median_of`` they are synthetic, the median of these versions."""

    canonical_sha: Sha256 | None = None
    semver: SemverText | None = None
    mlflow_run_id: RunId | None = None
    median_of: Annotated[Versions | None, Field(exclude_if=lambda versions: versions is None)] = None

    @model_validator(mode="after")
    def _is_one_or_many(self) -> Source:
        if self.median_of is not None and (self.canonical_sha or self.semver or self.mlflow_run_id):
            raise ValueError("figures are those of one model or the median of several (median_of), not both")
        return self


class AgreedTask(Document):
    """The task file, as `minieval.contract.report.TaskIdentity`; without a digest it is a placeholder."""

    path: Name
    sha256: Sha256 | None = None

    @property
    def identity(self) -> TaskIdentity | None:
        """Return path and digest; `None` for a placeholder."""
        return None if self.sha256 is None else TaskIdentity(path=self.path, sha256=self.sha256)


class Figures(Measured):
    """The figures of a bucket; without a figure to compare with they are a placeholder."""

    @model_validator(mode="after")
    def _agree(self) -> Figures:
        if self.is_measured:
            # `Measured` demands a figure; a placeholder has none, so its check applies only to measured figures.
            super()._agree()  # type: ignore[operator]  # pydantic's decorator hides that it is a method
        return self

    @property
    def is_measured(self) -> bool:
        """Whether there is a figure to compare with."""
        return any(each is not None for each in (self.correct, self.accuracy, self.points, self.mean))


class Baseline(Document):
    """`eval_baseline.json`: committed, and changed only by a pull request of its own."""

    schema_: Literal["lynxgate.baseline/1"] = Field(alias="schema")
    status: Annotated[Status, Field(strict=False)]
    model: Annotated[ModelName | None, Field(exclude_if=lambda model: model is None)] = None
    eval_set: Name
    eval_set_dvc_hash: DvcMd5 | None
    eval_set_sha256: Sha256 | None = None
    task: Annotated[AgreedTask | None, Field(exclude_if=lambda task: task is None)] = None
    source: Source = Source()
    policy: Policy
    aggregate: Figures | None = None
    buckets: Annotated[Table[Figures], Field(min_length=1, json_schema_extra={"minProperties": 1})]
    metrics: Annotated[Table[BaselineMetric], Field(default_factory=dict, validate_default=True)]
    environment: Environment = Environment()

    @model_validator(mode="before")
    @classmethod
    def _replace_placeholders(cls, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        if value.get("status") == Status.ACTIVE and (found := next(_placeholders(value), None)):
            raise ValueError(
                f"an active baseline has a placeholder at {found}; fill it in (lynxgate baseline rebaseline), or set "
                "status to report-only until it is"
            )
        replacers = {"policy": lambda entry: entry, "buckets": _replace_in_buckets}
        return {key: replacers.get(key, _replace)(entry) for key, entry in value.items()}

    @model_validator(mode="after")
    def _is_measured_when_active(self) -> Baseline:
        if self.status is Status.ACTIVE:
            named = [*self.buckets.items(), *([("aggregate", self.aggregate)] if self.aggregate else [])]
            for bucket, figures in named:
                if not figures.is_measured:
                    raise ValueError(f"an active baseline has no figure for {bucket!r}; measure it, or remove it")
            for name, metric in self.metrics.items():
                if metric.value is None:
                    raise ValueError(f"an active baseline has no value for metric {name!r}; measure it, or remove it")
        return self


def parse_baseline(data: bytes, *, where: str = "the baseline") -> Baseline:
    """Parse a baseline.

    Raises:
        CannotJudge: naming ``where``, the path inside the document, and the reason.
    """
    return parse_document(data, Baseline, where=where)


def _placeholders(value: Json, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if not is_note(key):
                yield from _placeholders(entry, f"{path}.{key}" if path else key)
    elif value in PLACEHOLDERS:
        yield path


def _replace(value: Json) -> Json:
    """Return ``value`` with `None` for every placeholder in it."""
    if isinstance(value, dict):
        return {key: _replace(entry) for key, entry in value.items()}
    return None if value in PLACEHOLDERS else value


def _replace_in_buckets(value: Json) -> Json:
    """Return the buckets as `_replace` does; a placeholder for a whole bucket becomes a bucket without figures."""
    if not isinstance(value, dict):
        return value
    return {key: {} if entry in PLACEHOLDERS and not is_note(key) else _replace(entry) for key, entry in value.items()}
