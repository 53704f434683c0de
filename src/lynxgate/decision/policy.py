"""The policy inside a baseline: which rule decides, how far a bucket may fall, and what else must hold.

- Every key that parses is enforced.
- Of the globs that match a bucket, the most specific one applies as a whole: a key that it leaves out comes from the
  policy, not from a less specific glob (`lynxgate.decision.globs`).
- A policy without metrics has the same value and the same hash as before metrics existed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from lynxgate.decision.globs import find_idle, find_most_specific
from lynxgate.decision.metrics.policy import MetricPolicy
from lynxgate.decision.statistics.units import Proof
from minieval.contract.documents import Document, Json, is_note
from minieval.contract.fields import Number, Share, Table
from minieval.contract.report import Measured

DEFAULT_TOLERANCE_PP = Decimal("2.0")
MOST_MARGIN_PP = Decimal(100)
MOST_GROUP_CAP = 1_000_000
DEFAULT_CONFIDENCE = Decimal("0.95")
ISOLATIONS = ("external", "process", "bwrap")  # from the weaker to the stronger
STRONGEST_ISOLATION = ISOLATIONS[-1]

Points = Annotated[
    Number, Field(ge=0, le=100), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})
]  # percentage points

Confidence = Annotated[
    Number,
    Field(gt=0.5, lt=1),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1}),
]  # one-sided

T = TypeVar("T")
# A key that documents without it must not gain, so that their hash stays.
Optional = Annotated[T | None, Field(exclude_if=lambda value: value is None)]

RegisteredModel = Annotated[str, StringConstraints(pattern=r"^models:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class Rule(StrEnum):
    """What decides: the figures themselves (`POINT`), or what the paired outcomes prove."""

    POINT = "point"
    GUARD = "guard"
    NONINFERIOR = "noninferior"

    @property
    def asks_proof(self) -> bool:
        """Whether a tolerance is a margin within which something has to be proved."""
        return self is not Rule.POINT


class ShelfLife(StrEnum):
    """What happens when an eval set has been used for as many gates as it allows."""

    WARN = "warn"
    REFUSE = "refuse"


class Tier(StrEnum):
    """How much a bucket matters; an advisory bucket is shown and never blocks."""

    CRITICAL = "critical"
    STANDARD = "standard"
    ADVISORY = "advisory"


class _Rules(Document):
    """What policy and bucket policy have in common: every key has an effect."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_nulls(cls, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        for key, entry in value.items():
            if entry is None and not is_note(key):
                raise ValueError(f"{key} is null, which has no effect; give it a value or leave it out")
        return value


class BucketPolicy(_Rules):
    """The terms of the buckets that a glob matches; ``min`` is an accuracy that the candidate must always reach.

    ``tolerance_pct`` is a tolerance in percent of the baseline's accuracy or mean, instead of ``tolerance_pp``.
    ``max_drop_pp`` is the largest drop that may be observed, whatever it proves. ``flip_drop`` is the fall of a score
    (from 0 to 1) beyond which a row with trials or a graded score counts as a negative flip. A bucket that falls by
    more than ``warn_pp`` and holds is a warning.
    """

    tier: Annotated[Tier, Field(strict=False)] | None = None
    tolerance_pp: Points | None = None
    max_negative_flip_rate: Share | None = None
    min: Share | None = None
    max_drop_pp: Optional[Points] = None
    tolerance_pct: Optional[Points] = None
    flip_drop: Optional[Share] = None
    warn_pp: Optional[Points] = None

    @model_validator(mode="after")
    def _has_an_effect(self) -> BucketPolicy:
        if all(getattr(self, key) is None for key in BucketPolicy.model_fields):
            raise ValueError(
                "sets nothing; give it tier, tolerance_pp, max_negative_flip_rate, min or max_drop_pp, or remove it"
            )
        if self.tolerance_pp is not None and self.tolerance_pct is not None:
            raise ValueError("sets tolerance_pp and tolerance_pct; leave one of them out")
        return self


class Policy(_Rules):
    """The reviewed terms of a decision.

    ``group_cap`` is the number of rows that a group counts as, at most; without it every group counts once. ``proof``
    is ``theorem`` where only a proved test may decide about groups, trials and graded scores. ``keep_rows`` lets a
    workflow keep the answers to each row as an artifact; it decides nothing.
    ``require_model_environment`` refuses an evaluation in another environment than the bundle asks for.
    """

    rule: Annotated[Rule, Field(strict=False)]
    tolerance_pp: Points = DEFAULT_TOLERANCE_PP
    overall_tolerance_pp: Points | None = None
    confidence: Confidence = DEFAULT_CONFIDENCE
    max_negative_flip_rate: Share | None = None
    min_isolation: Literal["external", "process", "bwrap"] | None = None
    shelf_life: Annotated[ShelfLife | None, Field(strict=False)] = None
    registered_model: RegisteredModel | None = None
    max_drop_pp: Optional[Points] = None
    flip_drop: Optional[Share] = None
    warn_pp: Optional[Points] = None
    group_cap: Optional[Annotated[int, Field(ge=1, le=MOST_GROUP_CAP)]] = None
    proof: Optional[Proof] = None
    keep_rows: Optional[bool] = None
    require_model_environment: Optional[Literal[True]] = None
    buckets: Annotated[Table[BucketPolicy], Field(default_factory=dict, validate_default=True)]
    metrics: Annotated[
        Table[MetricPolicy],
        Field(default_factory=dict, validate_default=True, exclude_if=lambda metrics: not metrics),
    ]

    @property
    def model_name(self) -> str | None:
        """Return the registered model whose alias a promotion moves, without ``models:/``."""
        return None if self.registered_model is None else self.registered_model.removeprefix("models:/")

    @model_validator(mode="after")
    def _is_decidable(self) -> Policy:
        if self.shelf_life is not None and not self.overall_terms.tolerance_pp:
            raise ValueError("shelf_life counts gates by the overall tolerance, which is 0 here; give it one above 0")
        entries: dict[str, Policy | BucketPolicy] = {"policy": self}
        entries |= {f"buckets.{glob}": terms for glob, terms in self.buckets.items()}
        self._check_flips(entries.values())
        if not self.rule.asks_proof:
            for place, terms in entries.items():
                # Beyond the tolerance a bucket regressed, so it never warns; under the other rules it may be undecided.
                warns, tolerates = terms.warn_pp, terms.tolerance_pp
                if warns is not None and tolerates is not None and warns >= tolerates:
                    raise ValueError(f"{place}: warn_pp is no smaller than tolerance_pp, so it would never warn")
            for key in ("confidence", "group_cap", "proof"):
                if key in self.model_fields_set:
                    raise ValueError(f"rule 'point' proves nothing, so `{key}` has no effect; leave it out")
            return self
        margins = {"tolerance_pp": self.tolerance_pp, "overall_tolerance_pp": self.overall_tolerance_pp}
        for glob, terms in self.buckets.items():
            margins |= {f"buckets.{glob}.{key}": getattr(terms, key) for key in ("tolerance_pp", "tolerance_pct")}
        for place, margin in margins.items():
            if margin is not None and margin >= MOST_MARGIN_PP:
                raise ValueError(f"{place} is 100, and no outcome could be worse; rule {self.rule.value!r} needs less")
        return self

    @staticmethod
    def _check_flips(entries: Iterable[Policy | BucketPolicy]) -> None:
        found = list(entries)
        capped = any(each.max_negative_flip_rate is not None for each in found)
        if not capped and any(each.flip_drop is not None for each in found):
            raise ValueError("flip_drop has no effect without max_negative_flip_rate; set that too, or leave it out")

    @property
    def alpha(self) -> float:
        """Return the level of the tests: one minus the confidence."""
        return float(1 - self.confidence)

    @property
    def gates_all_rows(self) -> bool:
        """Whether the aggregate decides too."""
        return self.rule is Rule.GUARD or self.overall_tolerance_pp is not None

    @property
    def overall_terms(self) -> Terms:
        """Return the terms on which all rows together are judged."""
        overall = self.overall_tolerance_pp
        return Terms(
            tier=Tier.STANDARD if self.gates_all_rows else Tier.ADVISORY,
            tolerance_pp=self.tolerance_pp if overall is None else overall,
            max_negative_flip_rate=self.max_negative_flip_rate if self.gates_all_rows else None,
            min=None,
            max_drop_pp=self.max_drop_pp if self.gates_all_rows else None,
            flip_drop=self.flip_drop if self.gates_all_rows else None,
            warn_pp=self.warn_pp,
        )

    def terms_of(self, bucket: str) -> Terms:
        """Return the terms on which a bucket of this name is judged."""
        glob = find_most_specific(self.buckets, bucket)
        special = _NOTHING_SPECIAL if glob is None else self.buckets[glob]
        # A cap of 0 is a cap, so `or` would be wrong here.
        flips, drop = special.max_negative_flip_rate, special.max_drop_pp
        return Terms(
            tier=special.tier or Tier.STANDARD,
            tolerance_pp=self.tolerance_pp if special.tolerance_pp is None else special.tolerance_pp,
            max_negative_flip_rate=self.max_negative_flip_rate if flips is None else flips,
            min=special.min,
            max_drop_pp=self.max_drop_pp if drop is None else drop,
            tolerance_pct=special.tolerance_pct,
            flip_drop=self.flip_drop if special.flip_drop is None else special.flip_drop,
            warn_pp=self.warn_pp if special.warn_pp is None else special.warn_pp,
        )

    def idle_globs(self, buckets: Iterable[str]) -> tuple[str, ...]:
        """Return the globs that match none of ``buckets``: probably misspelt."""
        return find_idle(self.buckets, buckets)


class Terms(Document):
    """The terms of one bucket, every default filled in.

    With ``tolerance_pct`` the tolerance in points depends on the baseline's figure (`against`).
    """

    tier: Tier
    tolerance_pp: Decimal
    max_negative_flip_rate: Decimal | None
    min: Decimal | None
    max_drop_pp: Optional[Decimal] = None
    tolerance_pct: Optional[Decimal] = None
    flip_drop: Optional[Decimal] = None
    warn_pp: Optional[Decimal] = None

    def against(self, baseline: Measured | None) -> Terms:
        """Return the terms with the tolerance in percentage points, for a bucket with this figure of the baseline.

        It is rounded down to a millionth of a point. Without a figure there is nothing to compare, and nothing changes.
        """
        share = None if baseline is None else baseline.share
        if self.tolerance_pct is None or share is None:
            return self
        millionths = math.floor(share * Fraction(self.tolerance_pct) * 10**6)
        return self.model_copy(update={"tolerance_pp": Decimal(millionths).scaleb(-6).normalize()})


_NOTHING_SPECIAL = BucketPolicy.model_construct(**dict.fromkeys(BucketPolicy.model_fields))
