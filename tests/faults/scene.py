"""The promotion that every fault strikes: v0.3.0 is in production, v0.3.1 is to follow, v0.3.2 is another candidate."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from lynxgate.adapters.local import DirectoryStore
from lynxgate.adapters.s3 import S3Store
from lynxgate.errors import GateError
from lynxgate.ports import RegistryStore, Tracking
from lynxgate.promotion.promote import promote
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from tests.faults.invariants import BUG, Attempt
from tests.promotion.workshop import DEV, Candidate, LaterStore, Workshop, open_context

OLD, NEW, OTHER = "v0.3.0", "v0.3.1", "v0.3.2"
PATIENCE = 0.05  # seconds to wait for the registry's lock: only a stopped process holds it longer here
ANY_ENDING = frozenset({0, 3, 4, 5, 6, -9})


class LaterS3Store(S3Store):
    """The same registry an hour later: every lease is over."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


@dataclass(frozen=True)
class Cast:
    """The candidates: what is in production, what is to be promoted, and another one."""

    first: Candidate
    next: Candidate
    other: Candidate

    @classmethod
    def of_workshop(cls, workshop: Workshop) -> Cast:
        """Three candidates whose runs are in the workshop's directory."""
        return cls(*(workshop.candidate(name) for name in "abc"))


@dataclass(frozen=True)
class Try:
    """One promotion to try, which can go to another process."""

    candidate: Candidate
    semver: str
    tag_seconds: float = 0.05

    def run(
        self, store: RegistryStore, tracking: Tracking, allowed: frozenset[int] = ANY_ENDING, owner: str = ""
    ) -> Attempt:
        """Try it; whatever it raises becomes an exit code and words."""
        context = open_context(store, tracking, tag_seconds=self.tag_seconds, owner=owner)
        code, said = end_of(lambda: promote(self.candidate.request(self.semver), context, tracking, DEV).ending)
        return Attempt(self.semver, code, said, allowed)


def end_of(action: Callable[[], object]) -> tuple[int, str]:
    """The exit code and the words that a command would end with."""
    try:
        return 0, str(action())
    except GateError as error:
        return int(error.exit), str(error)
    except Exception:  # noqa: BLE001 - what is no GateError is a bug, and the invariants say so
        return BUG, traceback.format_exc()


def open_registry(store: RegistryStore, tracking: Tracking, cast: Cast, *, first: bool = False) -> None:
    """A registry where v0.3.0 is in production, or none yet if the promotion under test is the ``first``."""
    create_registry(store, Environment.DEV)
    if not first:
        attempt = Try(cast.first, OLD).run(store, tracking)
        assert attempt.exit == 0, attempt.said


def directory_stores(registry: Path) -> tuple[DirectoryStore, LaterStore]:
    """A registry now, and the same an hour later."""
    return DirectoryStore(registry, patience=PATIENCE), LaterStore(registry, patience=PATIENCE)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The process environment with ``values`` in it."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
