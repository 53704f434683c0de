"""The policy inside a baseline: which rule decides, how far a bucket may fall, and what must hold besides.

- Every key that parses is enforced. A key this version knows of and does not enforce is refused, never ignored.
- Of the globs that match a bucket the most specific one applies, whole: what it leaves out comes from the policy, not
  from a less specific glob. A literal name is more specific than any glob, then more characters that are no wildcard,
  then the text that sorts first by code point.
- In a glob ``*`` stands for any run of characters, dots included, ``?`` for exactly one, and all else for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from minieval.files import Document, Json
from minieval.report import Number, Share, Table

DEFAULT_TOLERANCE_PP = Decimal("2.0")
ISOLATIONS = ("process", "bwrap")  # from the weaker to the stronger

_LATER = frozenset({"confidence", "max_negative_flip_rate", "shelf_life", "metrics"})
_LATER_RULES = frozenset({"guard", "noninferior"})

Points = Annotated[
    Number, Field(ge=0, le=100), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})
]  # percentage points

RegisteredModel = Annotated[str, StringConstraints(pattern=r"^models:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class Tier(StrEnum):
    """How much a bucket matters; an advisory one is shown and never blocks."""

    CRITICAL = "critical"
    STANDARD = "standard"
    ADVISORY = "advisory"


class _Rules(Document):
    """What policy and bucket rules have in common: no key is there in vain."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_idle_keys(cls, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        for key, entry in value.items():
            if key in _LATER:
                raise ValueError(f"{key} is not supported by this version of Lynxgate, which cannot judge under it")
            if entry is None and not str(key).startswith("_comment"):
                raise ValueError(f"{key} is null, which says nothing; give it a value or leave it out")
        return value


class BucketPolicy(_Rules):
    """What a glob says of the buckets it matches; ``min`` is an accuracy the candidate must reach in any case."""

    tier: Annotated[Tier, Field(strict=False)] | None = None
    tolerance_pp: Points | None = None
    min: Share | None = None

    @model_validator(mode="after")
    def _says_something(self) -> BucketPolicy:
        if self.tier is None and self.tolerance_pp is None and self.min is None:
            raise ValueError("says nothing; give it tier, tolerance_pp or min, or remove it")
        return self


class Policy(_Rules):
    """The reviewed terms of a decision."""

    rule: Literal["point"]
    tolerance_pp: Points = DEFAULT_TOLERANCE_PP
    overall_tolerance_pp: Points | None = None
    min_isolation: Literal["process", "bwrap"] | None = None
    registered_model: RegisteredModel | None = None
    buckets: Annotated[Table[BucketPolicy], Field(default_factory=dict, validate_default=True)]

    @property
    def model_name(self) -> str | None:
        """The registered model whose alias a promotion moves, without ``models:/``."""
        return None if self.registered_model is None else self.registered_model.removeprefix("models:/")

    @model_validator(mode="before")
    @classmethod
    def _refuse_later_rules(cls, value: Json) -> Json:
        if isinstance(value, dict) and isinstance(rule := value.get("rule"), str) and rule in _LATER_RULES:
            raise ValueError(f"rule {rule!r} is not supported by this version of Lynxgate, which cannot judge under it")
        return value

    def terms_of(self, bucket: str) -> Terms:
        """The terms on which a bucket of this name is judged."""
        matching = [glob for glob in self.buckets if matches(glob, bucket)]
        special = self.buckets[min(matching, key=_generality)] if matching else _NOTHING_SPECIAL
        return Terms(
            tier=special.tier or Tier.STANDARD,
            tolerance_pp=self.tolerance_pp if special.tolerance_pp is None else special.tolerance_pp,
            min=special.min,
        )

    def idle_globs(self, buckets: Iterable[str]) -> tuple[str, ...]:
        """The globs that match none of ``buckets``: probably misspelt."""
        names = tuple(buckets)
        return tuple(sorted(glob for glob in self.buckets if not any(matches(glob, name) for name in names)))


class Terms(Document):
    """The terms of one bucket, settled."""

    tier: Tier
    tolerance_pp: Decimal
    min: Decimal | None


def matches(glob: str, bucket: str) -> bool:
    """Whether a policy's glob is about a bucket."""
    return glob == bucket or fnmatchcase(bucket, glob.replace("[", "[[]"))


def _generality(glob: str) -> tuple[bool, int, str]:
    wildcards = glob.count("*") + glob.count("?")
    return wildcards > 0, wildcards - len(glob), glob


_NOTHING_SPECIAL = BucketPolicy.model_construct(tier=None, tolerance_pp=None, min=None)
