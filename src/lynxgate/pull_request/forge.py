"""The port to the forge (GitHub), which has the pull requests, and the values that cross the port.

- Compare logins by `same_login`: on GitHub the case of a login does not matter.
- Lists are complete: an implementation reads every page, or raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Permission(StrEnum):
    """What an account may do in the repository."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    TRIAGE = "triage"
    READ = "read"
    NONE = "none"

    @property
    def may_promote(self) -> bool:
        """Return whether a request or label from this account counts."""
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
    """A label was set (``added``) or removed."""

    id: int
    label: str
    actor: str
    added: bool
    at: datetime


@dataclass(frozen=True)
class Pull:
    """A pull request now; ``changed_files`` is the number of files that it changes."""

    number: int
    head_sha: str
    is_open: bool
    changed_files: int


@dataclass(frozen=True)
class ChangedFile:
    """A file that the pull request changes; ``previous`` is its old path when it was renamed."""

    path: str
    previous: str | None = None


class Level(StrEnum):
    """The severity of an annotation."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Annotation:
    """A message at a line of a file; lines count from 1."""

    path: str
    line: int
    level: Level
    title: str
    message: str


class Conclusion(StrEnum):
    """The conclusion of a check run."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"


@dataclass(frozen=True)
class Check:
    """A completed check run, with any number of annotations."""

    name: str
    head_sha: str
    conclusion: Conclusion
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()
    details_url: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A change of one file, for review: ``data`` at ``path`` on a new ``branch`` that starts at ``base_sha``.

    ``replaces`` is git's blob SHA of the file at ``path`` now. No other change uses the name ``branch``.
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
    """The pull request of a proposal; ``is_new`` is false when an earlier run had opened it."""

    number: int
    url: str
    is_new: bool


class Forge(Protocol):
    """One repository on the forge.

    Every method raises `StoreFailure` when the forge cannot be reached, refuses, or fails; a write that may or may
    not have happened raises its subclass `OutcomeUnknown`.
    """

    def pull(self, number: int) -> Pull:
        """Return the pull request as it is now."""
        ...

    def files(self, number: int) -> Sequence[ChangedFile]:
        """Return every file that it changes, or as many as the forge lists."""
        ...

    def comments(self, number: int) -> Sequence[Comment]:
        """Return the conversation, oldest first."""
        ...

    def labels(self, number: int) -> Sequence[LabelEvent]:
        """Return every time that a label was set or removed, oldest first."""
        ...

    def permission(self, login: str) -> Permission:
        """Return what an account may do; for an account without a role and for apps, at most what everyone may."""
        ...

    def upsert_comment(self, number: int, marker: str, body: str) -> None:
        """Create or update our one comment that starts with ``marker``; ``body`` starts with it."""
        ...

    def create_check(self, check: Check) -> None:
        """Create a check run with all its annotations."""
        ...

    def propose(self, proposal: Proposal) -> Proposed:
        """Open a pull request for the change, or return the open one; complete what an interrupted run began.

        Raises:
            Refused: the proposal's branch has another content.
        """
        ...


def same_login(one: str, other: str) -> bool:
    """Return whether two logins name one account."""
    return one.lower() == other.lower()


def blob_sha(data: bytes) -> str:
    """Return git's blob SHA of a file's bytes, 40 hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
