"""The identities that arrive as text: semver, canonical SHA, run id. Parsed here, with `fullmatch`, once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lynxgate.errors import UsageFailure

_SEMVER = re.compile(r"v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_SHA = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class Semver:
    """A release version ``vMAJOR.MINOR.PATCH``; ordered by number, so v0.10.0 follows v0.9.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def is_semver(text: str) -> bool:
    """Whether `parse_semver` takes it."""
    return _SEMVER.fullmatch(text) is not None


def is_sha(text: str) -> bool:
    """Whether `parse_sha` takes it."""
    return _SHA.fullmatch(text) is not None


def parse_semver(text: str) -> Semver:
    """Read ``vMAJOR.MINOR.PATCH``.

    Raises:
        UsageFailure: for anything else, pre-releases and build metadata among it.
    """
    if match := _SEMVER.fullmatch(text):
        return Semver(*(int(part) for part in match.groups()))
    raise UsageFailure(f"{text[:80]!r} is not a semver of the form v0.3.1")


def parse_sha(text: str) -> str:
    """Check a canonical SHA.

    Raises:
        UsageFailure: when it is not 64 lower-case hex digits.
    """
    if _SHA.fullmatch(text):
        return text
    raise UsageFailure(f"{text[:80]!r} is not a canonical SHA (64 lower-case hex digits)")


def parse_run_id(text: str) -> str:
    """Check an MLflow run id.

    Raises:
        UsageFailure: when it is not 32 lower-case hex digits.
    """
    if _RUN.fullmatch(text):
        return text
    raise UsageFailure(f"{text[:80]!r} is not an MLflow run id (32 lower-case hex digits)")
