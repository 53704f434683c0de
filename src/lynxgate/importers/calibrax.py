"""A Calibrax run (``Run.to_dict``): points with name, scenario, tags and metrics, and definitions of the metrics.

The name of a figure is ``POINT/SCENARIO/METRIC``, with ``/KEY=VALUE`` for each tag before the metric, sorted:
everything that distinguishes two points is in the name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Foreign, Found, digest_machine, flatten, put_once
from minieval.contract.documents import Json, parse_document
from minieval.contract.fields import Name, Number, Samples, Table
from minieval.contract.report import Metric


class _Figure(Foreign):
    value: Number
    samples: Samples | None = None


class _Point(Foreign):
    name: Name
    scenario: Name
    tags: Annotated[Table[str], Field(default_factory=dict, validate_default=True)]
    metrics: Annotated[Table[_Figure], Field(min_length=1)]


class _Definition(Foreign):
    unit: Annotated[Name | None, BeforeValidator(lambda unit: None if unit == "" else unit)] = None
    direction: Literal["higher", "lower", "info"]


class _Run(Foreign):
    id: Name
    points: Annotated[tuple[_Point, ...], Field(strict=False, min_length=1)]
    metric_defs: Annotated[Table[_Definition], Field(default_factory=dict, validate_default=True)]
    environment: dict[str, Json] = Field(default_factory=dict)


def read(data: bytes, where: str) -> Found:
    """Read every metric of every point; all values of the environment make the fingerprint.

    Raises:
        CannotJudge: it is not a run, it has no point, a point has no metric, or two figures would have one name.
    """
    run = parse_document(data, _Run, where=where)
    metrics: dict[str, Metric] = {}
    for point in run.points:
        place = "/".join([point.name, point.scenario, *(f"{key}={value}" for key, value in sorted(point.tags.items()))])
        for name, figure in point.metrics.items():
            defined = run.metric_defs.get(name)
            metric = Metric(
                value=figure.value,
                unit=defined.unit if defined else None,
                direction=defined.direction if defined else None,
                samples=figure.samples,
            )
            full = f"{place}/{name}"
            # The limit of `Name`; checked here, because the message can then name the source of the length.
            if len(full) > 200:
                raise CannotJudge(f"{where}: the name {full[:60]!r}... is longer than 200 characters; shorten its tags")
            put_once(metrics, full, metric, where)
    return Found(metrics, fingerprint=digest_machine(dict(flatten(run.environment))))
