"""The port to the forge, where pull requests live (GitHub), and the values that cross it.

- A login is compared by `same_login`: GitHub's logins do not differ by case.
- Lists are whole: an implementation reads every page, or raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Permission(StrEnum):
    """What somebody may do in the repository."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    TRIAGE = "triage"
    READ = "read"
    NONE = "none"

    @property
    def may_promote(self) -> bool:
        """Whether a request, or the label, counts when this person set it."""
        return self in (Permission.ADMIN, Permission.MAINTAIN, Permission.WRITE)


@dataclass(frozen=True)
class Comment:
    """A comment in the pull request's conversation; ``updated_at`` is ``created_at`` until it is edited."""

    id: int
    author: str
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class LabelEvent:
    """Somebody set a label (``added``) or took it off."""

    id: int
    label: str
    actor: str
    added: bool
    at: datetime


@dataclass(frozen=True)
class Pull:
    """The pull request as it is now; ``changed_files`` is how many files it touches."""

    number: int
    head_sha: str
    is_open: bool
    changed_files: int


@dataclass(frozen=True)
class ChangedFile:
    """A file that the pull request touches; ``previous`` is its old name when it was renamed."""

    path: str
    previous: str | None = None


class Level(StrEnum):
    """How an annotation is shown."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Annotation:
    """A sentence at a line of a file of the pull request."""

    path: str
    line: int
    level: Level
    title: str
    message: str


class Conclusion(StrEnum):
    """How a check run ended."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """A finished check run; any number of annotations."""

    name: str
    head_sha: str
    conclusion: Conclusion
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()
    details_url: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A change of one file, to be reviewed: ``data`` at ``path`` on a new ``branch`` that starts at ``base_sha``.

    ``replaces`` is git's blob SHA of what is at ``path`` now; ``branch`` is a name that no other change has.
    """

    base: str
    base_sha: str
    branch: str
    path: str
    replaces: str
    data: bytes
    title: str
    body: str


@dataclass(frozen=True)
class Proposed:
    """The pull request of a proposal; ``is_new`` unless an earlier run had opened it."""

    number: int
    url: str
    is_new: bool


class Forge(Protocol):
    """One repository on the forge.

    Every method raises `StoreFailure` when the forge cannot be reached, refuses, or fails; a write that may or may
    not have happened raises its subclass `OutcomeUnknown`.
    """

    def pull(self, number: int) -> Pull:
        """The pull request as it is now."""
        ...

    def files(self, number: int) -> Sequence[ChangedFile]:
        """Every file it touches, or as many as the forge lists."""
        ...

    def comments(self, number: int) -> Sequence[Comment]:
        """The conversation, oldest first."""
        ...

    def labels(self, number: int) -> Sequence[LabelEvent]:
        """Every time a label was set or taken off, oldest first."""
        ...

    def permission(self, login: str) -> Permission:
        """What somebody may do in the repository; strangers and apps: at most what everybody may."""
        ...

    def upsert_comment(self, number: int, marker: str, body: str) -> None:
        """Make ``body``, which starts with ``marker``, the one comment of ours that starts so."""
        ...

    def create_check(self, check: Check) -> None:
        """Create a check run with all its annotations."""
        ...

    def propose(self, proposal: Proposal) -> Proposed:
        """Open a pull request for the change, or find the open one; what an earlier run left half done is completed.

        Raises:
            Refused: somebody put something else on the proposal's branch.
        """
        ...


def same_login(one: str, other: str) -> bool:
    """Whether two logins name one account."""
    return one.lower() == other.lower()


def blob_sha(data: bytes) -> str:
    """The name that git gives the bytes of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
