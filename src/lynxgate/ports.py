"""The small ports between the gate and the outside; each adapter implements one.

- No vendor type or vendor exception crosses a port: adapters raise `lynxgate.errors`.
- `Store` has compare-and-swap and nothing else to coordinate with: every rule of the promotion is written
  once, over it, for a directory and for S3 alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

Progress = Callable[[int, int | None], None]  # bytes done so far, bytes in all where known


@dataclass(frozen=True)
class Stored:
    """The bytes under a key and the opaque version that `Store.replace` must be given back."""

    data: bytes
    version: str


class Store(Protocol):
    """Where a registry lives: keys are POSIX relative paths, values whole byte strings.

    Every method raises `StoreFailure` when the store cannot be reached or fails; a write that may or may not
    have happened raises its subclass `OutcomeUnknown`.
    """

    @property
    def location(self) -> str:
        """Where it is, for messages; never with a credential."""
        ...

    def read(self, key: str) -> Stored | None:
        """The value under ``key``, or `None` when there is none."""
        ...

    def create(self, key: str, data: bytes) -> str:
        """Write ``key``, which must not exist; its version. Raises `Conflict` when it does."""
        ...

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Write ``key`` if its version is still ``expected``; its new one. Raises `Conflict` when it is not."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with ``prefix``, sorted."""
        ...

    def now(self) -> datetime:
        """The store's clock, in UTC: deadlines of several machines are compared by it alone."""
        ...


class Index(Protocol):
    """The registry's append-only list of events, numbered from 1; errors as `Store`."""

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:
        """Number and line of the newest event; ``hint`` is a number known to exist. `None` when empty."""
        ...

    def event(self, number: int) -> bytes | None:
        """The line of one event, without its newline."""
        ...

    def lines(self) -> Iterator[bytes]:
        """All lines, first to last: for auditors; no step of a promotion calls it."""
        ...

    def append(self, number: int, line: bytes) -> None:
        """Add event ``number``, the one after the last. Raises `Conflict` when that number is taken."""
        ...


@dataclass(frozen=True)
class RunModel:
    """The one model of a finished run: where the tracking server keeps it, and its files with sizes in bytes.

    A size is `None` where the artefact store does not tell; a digest it never tells.
    """

    source: str
    files: tuple[tuple[str, int | None], ...]


class ModelSource(Protocol):
    """Where the models of runs are downloaded from (MLflow).

    Raises `StoreFailure` when it refuses (no permission), `OutcomeUnknown` when it cannot be reached, fails or does
    not answer in time.
    """

    @property
    def location(self) -> str:
        """Where it is, for messages; never with a credential."""
        ...

    def find_model(self, run_id: str) -> RunModel:
        """The run's model, without its bytes.

        Raises:
            CannotJudge: no such run, deleted, unfinished, or no model (or several) in it.
            IntegrityFailure: a file name in it would leave the bundle.
        """
        ...

    def download(self, run_id: str, destination: Path, progress: Progress | None = None) -> None:
        """Download the run's model into ``destination`` (new); it appears there whole or not at all.

        Raises:
            CannotJudge, IntegrityFailure: as `find_model`.
            IntegrityFailure: files are missing, extra, or of another size than the server listed.
        """
        ...


class RunTags(Protocol):
    """What carries a promotion where models are tracked (MLflow): tags of runs, and a registered model's alias.

    Raises as `ModelSource`; after `OutcomeUnknown` the change may be there or not.
    """

    def read_tag(self, run_id: str, key: str) -> str | None:
        """The value of a tag of a run, or `None` when it is absent."""
        ...

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run, once, without retrying."""
        ...

    def set_alias(self, model: str, run_id: str, tags: Mapping[str, str]) -> None:
        """Make the run's version of a registered model the one in production, and tag it.

        The model and the version are registered where they are not yet. Doing it again changes nothing.

        Raises:
            CannotJudge: the run has no model to register.
        """
        ...

    def read_alias(self, model: str) -> str | None:
        """The run of the version of a registered model that is in production; `None` when there is none."""
        ...


@dataclass(frozen=True)
class RunFacts:
    """What a run says of where its model comes from; ``training_data_sha256`` is 64 hex digits where it says it."""

    training_data_sha256: str | None = None


class RunMetadata(Protocol):
    """What runs say of themselves (MLflow); their own claims, which nothing proves. Raises as `ModelSource`."""

    def read_facts(self, run_id: str) -> RunFacts:
        """What the run's parameters and tags say.

        Raises:
            CannotJudge: no such run, or what it says contradicts itself or is no hash.
        """
        ...


class Tracking(ModelSource, RunTags, RunMetadata, Protocol):
    """The whole tracking server."""


class Signer(Protocol):
    """What signs evidence; the same bytes signed again give the same bytes."""

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """An envelope that holds ``payload`` and its signature."""
        ...


class Verifier(Protocol):
    """What tells a signature of one key from anything else."""

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        ...

    def check(self, envelope: bytes, payload: bytes) -> None:
        """Make sure that ``envelope`` is the key's signature of ``payload``. Raises `IntegrityFailure` when not."""
        ...


class EvalData(Protocol):
    """What brings the eval set's bytes to the working tree (DVC)."""

    def pull(self, target: Path) -> None:
        """Bring ``target`` (the data, not the ``.dvc`` file) up to date with its ``.dvc`` file."""
        ...


class RegistryStore(Store, Index, Protocol):
    """Everything a registry needs of the place where it lives."""


@runtime_checkable
class UnprovenStore(Protocol):
    """What a store offers besides where its compare-and-swap is a server's, which may not keep it."""

    def check_conditional_writes(self) -> None:
        """Prove that the server honours the conditions of writes. Raises `StoreFailure` when it does not."""
        ...
