"""FlameIQ's performance snapshot, schema version 1 (its docs: "FlameIQ Performance Schema, Version 1").

Names are its flat keys: ``latency.p95`` (ms), ``throughput`` (per second), ``memory_mb``, ``cpu_percent`` and
``custom.NAME``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema, model_validator

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Foreign, Found
from minieval.contract.documents import Document, parse_document
from minieval.contract.fields import Name, Number, Table
from minieval.contract.report import Metric

Amount = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Percent = Annotated[Number, Field(ge=0, le=100), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class _Latency(Document):
    mean: Amount | None = None
    p50: Amount | None = None
    p95: Amount | None = None
    p99: Amount | None = None


class _Metrics(Document):
    latency: _Latency | None = None
    throughput: Amount | None = None
    memory_mb: Amount | None = None
    cpu_percent: Percent | None = None
    custom: Annotated[Table[Amount], Field(default_factory=dict, validate_default=True)]

    @model_validator(mode="after")
    def _names_have_no_dot(self) -> _Metrics:
        for name in self.custom:
            if "." in name:
                # `custom.a.b` could not be told from a key of a later version of the schema.
                raise ValueError(f"custom metric {name!r} has a dot, which the schema reserves for its own keys")
        return self


class _Metadata(Foreign):
    environment: Name | None = None


class _Snapshot(Foreign):
    # Not `Literal[1]`, which accepts true.
    schema_version: Annotated[int, Field(ge=1, le=1)]
    metadata: _Metadata = _Metadata()
    metrics: _Metrics


def read(data: bytes, where: str) -> Found:
    """Read the figures that are not ``null``. The format names no machine, so there is no fingerprint.

    Raises:
        CannotJudge: it is not a valid snapshot, or it has no figure.
    """
    found = parse_document(data, _Snapshot, where=where).metrics
    metrics: dict[str, Metric] = {}
    if found.latency is not None:
        for name in ("mean", "p50", "p95", "p99"):
            if (value := getattr(found.latency, name)) is not None:
                metrics[f"latency.{name}"] = Metric(value=value, unit="ms", direction="lower")
    if found.throughput is not None:
        metrics["throughput"] = Metric(value=found.throughput, unit="1/s", direction="higher")
    if found.memory_mb is not None:
        metrics["memory_mb"] = Metric(value=found.memory_mb, unit="MB", direction="lower")
    if found.cpu_percent is not None:
        metrics["cpu_percent"] = Metric(value=found.cpu_percent, unit="%", direction="lower")
    metrics |= {f"custom.{name}": Metric(value=value) for name, value in found.custom.items()}
    if not metrics:
        raise CannotJudge(f"{where}: the snapshot has no figure; measure again")
    return Found(metrics)
