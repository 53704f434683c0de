"""The identities that arrive as text: semver, canonical SHA, run id, commit, model name. Each is parsed here, once.

- A pattern is always matched against the whole text (`fullmatch`).
- Parsing changes nothing about a text: an identity has one spelling, and everything else is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from lynxgate.errors import UsageFailure
from minieval.contract.identities import COMMIT, RUN_ID, SHA256

# At most nine digits a part: a longer one is a mistake, and Python refuses to read thousands of digits as a number.
_SEMVER = re.compile(r"v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_SHA = re.compile(SHA256)
_RUN = re.compile(RUN_ID)
_COMMIT = re.compile(COMMIT)
# Letters, digits, "_" and "-": a name enters keys of tags, a comment and a label, and needs no quoting there.
MODEL: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
_MODEL = re.compile(MODEL)


@dataclass(frozen=True, order=True)
class Semver:
    """A release version ``vMAJOR.MINOR.PATCH``; ordered by number, so v0.10.0 follows v0.9.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def is_semver(text: str) -> bool:
    """Return whether `parse_semver` accepts ``text``."""
    return _SEMVER.fullmatch(text) is not None


def is_sha(text: str) -> bool:
    """Return whether `parse_sha` accepts ``text``."""
    return _SHA.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Return whether `parse_run_id` accepts ``text``."""
    return _RUN.fullmatch(text) is not None


def is_model(text: str) -> bool:
    """Return whether `parse_model` accepts ``text``."""
    return _MODEL.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Return whether ``text`` is a full Git commit: 40 lower-case hex digits."""
    return _COMMIT.fullmatch(text) is not None


def parse_semver(text: str) -> Semver:
    """Read ``vMAJOR.MINOR.PATCH``.

    Raises:
        UsageFailure: ``text`` is anything else, a pre-release or a version with build metadata included.
    """
    if match := _SEMVER.fullmatch(text):
        return Semver(*(int(part) for part in match.groups()))
    raise UsageFailure(f"{text[:80]!r} is not a semver of the form v0.3.1")


def parse_sha(text: str) -> str:
    """Check a canonical SHA and return it.

    Raises:
        UsageFailure: ``text`` is not 64 lower-case hex digits.
    """
    if is_sha(text):
        return text
    raise UsageFailure(f"{text[:80]!r} is not a canonical SHA (64 lower-case hex digits)")


def parse_run_id(text: str) -> str:
    """Check an MLflow run id and return it.

    Raises:
        UsageFailure: ``text`` is not 32 lower-case hex digits.
    """
    if _RUN.fullmatch(text):
        return text
    raise UsageFailure(f"{text[:80]!r} is not an MLflow run id (32 lower-case hex digits)")


def parse_model(text: str) -> str:
    """Check the name of a model and return it.

    Raises:
        UsageFailure: ``text`` is not 1 to 63 letters, digits, ``_`` and ``-`` after a letter or digit.
    """
    if _MODEL.fullmatch(text):
        return text
    raise UsageFailure(f"{text[:80]!r} is not the name of a model (1 to 63 letters, digits, '_' and '-')")


def _check_model(text: str) -> str:
    try:
        return parse_model(text)
    except UsageFailure as error:
        raise ValueError(str(error)) from error


ModelName = Annotated[str, AfterValidator(_check_model), WithJsonSchema({"type": "string", "pattern": f"^{MODEL}$"})]
"""A name in a document: text that `parse_model` accepts."""


def _check_semver(text: str) -> str:
    try:
        parse_semver(text)
    except UsageFailure as error:
        raise ValueError(str(error)) from error  # the kind of error that pydantic reports with its place
    return text


SemverText = Annotated[
    str,
    AfterValidator(_check_semver),
    WithJsonSchema({"type": "string", "pattern": r"^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"}),
]
"""A semver in a document: text that `parse_semver` accepts."""
