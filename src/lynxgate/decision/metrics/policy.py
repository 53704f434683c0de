"""What is agreed about figures other than accuracy: a metric of the baseline, and the limits that a policy sets on it.

- The baseline states the direction, the unit, and whether the figure depends on the machine. Direction and machine have
  no default.
- Limits are about the worse direction only. ``max_ratio``, ``max_pct`` and ``max_abs`` compare with the baseline,
  ``min`` and ``max`` do not; ``warn_*`` is shown and never blocks.
- A metric that no entry of the policy matches cannot be judged; an entry ``default`` matches the rest.
- Every key that parses is enforced; a combination in which a key could never have an effect is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, WithJsonSchema, model_validator

from lynxgate.decision.globs import find_idle, find_most_specific
from minieval.contract.documents import Document
from minieval.contract.fields import HashedPositive, Name, Number, Samples

DEFAULT: Final = "default"
RELATIVE: Final = ("max_ratio", "max_pct", "max_abs")
ABSOLUTE: Final = ("min", "max")

Ratio = Annotated[Number, Field(ge=1), WithJsonSchema({"type": "number", "minimum": 1})]
Distance = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
OneSided = Annotated[
    Number, Field(gt=0.5, lt=1), WithJsonSchema({"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1})
]
Statistic = Literal["mean", "median", "p90", "p95", "p99", "min", "max"]
Direction = Literal["lower", "higher", "info"]


class BaselineMetric(Document):
    """A figure of the agreed model. ``machine``: it is comparable only between environments with one fingerprint.

    Without ``value`` it is a placeholder.
    """

    value: Number | None = None
    unit: Name | None = None
    direction: Direction
    machine: bool
    samples: Samples | None = None


class MetricPolicy(Document):
    """The limits of the metrics that a name or glob matches.

    ``statistic`` of the samples is used instead of the stated value, after the first ``warmup`` of them are dropped.
    ``confidence`` is one-sided: a limit is then broken only if the samples prove a shift in the worse direction
    (Mann-Whitney), else the outcome is inconclusive. ``min_samples`` counts after the warm-up. ``across_machines``
    allows a comparison with a figure from another machine. ``min_confidence`` is one-sided: the rows have to prove that
    ``precision.``, ``recall.`` or ``f1.`` of a class is at least ``min``.
    """

    tier: Literal["standard", "advisory"] = "standard"
    max_ratio: Ratio | None = None
    max_pct: Distance | None = None
    max_abs: Distance | None = None
    min: Number | None = None
    max: Number | None = None
    warn_max_ratio: Ratio | None = None
    warn_max_pct: Distance | None = None
    warn_max_abs: Distance | None = None
    warn_min: Number | None = None
    warn_max: Number | None = None
    statistic: Statistic | None = None
    warmup: HashedPositive | None = None
    min_samples: HashedPositive | None = None
    confidence: OneSided | None = None
    across_machines: bool = False
    min_confidence: Annotated[OneSided | None, Field(exclude_if=lambda value: value is None)] = None

    @model_validator(mode="after")
    def _no_key_is_idle(self) -> MetricPolicy:
        for key in self.model_fields_set:
            if getattr(self, key) is None:
                raise ValueError(f"{key} is null, which has no effect; give it a value or leave it out")
        blocking = [name for name in (*RELATIVE, *ABSOLUTE) if self.limit(name) is not None]
        if self.tier == "standard" and not blocking:
            raise ValueError("limits nothing; give it max_ratio, max_pct, max_abs, min or max, or tier advisory")
        if self.statistic is None and self.confidence is None and (self.warmup or self.min_samples):
            raise ValueError("warmup and min_samples are about samples; give statistic or confidence too")
        if self.confidence is not None and not any(name in RELATIVE for name in blocking):
            raise ValueError("confidence is about a change from the baseline; give max_ratio, max_pct or max_abs too")
        # As the test gets it: 0.99999999999999999999 is the float 1.
        if self.min_confidence is not None and not (self.min is not None and 0 < float(self.min) < 1):
            raise ValueError("min_confidence is about a min between 0 and 1; set that, or leave min_confidence out")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}, and nothing could pass")
        for name in (*RELATIVE, *ABSOLUTE):
            self._check_band(name)
        return self

    def _check_band(self, name: str) -> None:
        warn, limit = self.limit(f"warn_{name}"), self.limit(name)
        if warn is None or limit is None:
            return
        # The band lies on the better side of the limit: above a minimum, below every other limit.
        side = "above" if name == "min" else "below"
        if (side == "above" and warn <= limit) or (side == "below" and warn >= limit):
            raise ValueError(f"warn_{name} {warn} is never shown before {name} {limit} blocks; put it {side} it")

    def limit(self, name: str) -> Decimal | None:
        """Return the limit of that name; `None` where there is none."""
        value = getattr(self, name)
        return value if isinstance(value, Decimal) else None

    @property
    def limits(self) -> dict[str, Decimal]:
        """Return every limit that is set, by name: the blocking ones first, then the warning bands."""
        names = [prefix + name for prefix in ("", "warn_") for name in (*RELATIVE, *ABSOLUTE)]
        return {name: limit for name in names if (limit := self.limit(name)) is not None}


def terms_of(policy: Mapping[str, MetricPolicy], metric: str) -> MetricPolicy | None:
    """Return the entry for a metric: the one with its name, else the most specific glob, else ``default``."""
    glob = find_most_specific(policy.keys() - {DEFAULT}, metric)
    return policy.get(DEFAULT if glob is None else glob)


def idle_globs(policy: Mapping[str, MetricPolicy], metrics: Iterable[str]) -> tuple[str, ...]:
    """Return the names and globs that match none of ``metrics``: probably misspelt. ``default`` may match none."""
    return find_idle(policy.keys() - {DEFAULT}, metrics)
