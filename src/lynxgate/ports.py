"""The small ports between the gate and the outside; each adapter implements one.

- No vendor type or vendor exception crosses a port: adapters raise `lynxgate.errors`.
- `Store` has compare-and-swap and no other means to coordinate: every rule of the promotion is written once, over it,
  for a directory and for S3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

PRODUCTION_ALIAS: Final = "production"  # of a registered model, for the version in production
Progress = Callable[[int, int | None], None]  # bytes done so far, bytes in all where known


@dataclass(frozen=True)
class Stored:
    """The bytes under a key, and their opaque version, which `Store.replace` needs."""

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
        """Return the value under ``key``; `None` when there is none."""
        ...

    def create(self, key: str, data: bytes) -> str:
        """Write ``key``, which must not exist; return its version. Raises `Conflict` when it exists."""
        ...

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Write ``key`` if its version is still ``expected``; return its new one. Raises `Conflict` when it is not."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Return all keys that start with ``prefix``, sorted."""
        ...

    def now(self) -> datetime:
        """Return the store's time, in UTC: deadlines that several machines set are compared with this clock only."""
        ...


class Index(Protocol):
    """The registry's append-only list of events, numbered from 1; errors as `Store`."""

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:
        """Return number and line of the newest event; `None` when empty. ``hint`` is the number of some event."""
        ...

    def event(self, number: int) -> bytes | None:
        """Return the line of one event, without its newline; `None` when there is no such event."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Return all lines, first to last: for auditors; no step of a promotion calls it."""
        ...

    def append(self, number: int, line: bytes) -> None:
        """Add event ``number``, the one after the last. Raises `Conflict` when that number is taken."""
        ...


@dataclass(frozen=True)
class RunModel:
    """The one model of a finished run: where the tracking server keeps it, and its files with sizes in bytes.

    A size is `None` where the artifact store does not give it; a digest is never given.
    """

    source: str
    files: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class RegisteredVersion:
    """What a reference to a registered model stands for now: a version, its run, and the name of the model in it."""

    version: str
    run_id: str
    logged_model: str


class ModelSource(Protocol):
    """Where the models of runs are downloaded from (MLflow).

    Every method raises `StoreFailure` when the server refuses (no permission), `OutcomeUnknown` when it cannot be
    reached, fails or does not answer in time.
    """

    @property
    def location(self) -> str:
        """Where it is, for messages; never with a credential."""
        ...

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        """Find the run's model, without its bytes.

        With ``name``, the run may have several: it is the one of that name, or the only one where it is called
        ``model``, as a candidate without a name is.

        Raises:
            CannotJudge: no such run, deleted, unfinished, or no such model (or several) in it.
            IntegrityFailure: a file name in it would leave the bundle.
        """
        ...

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        """Download the model that `find_model` finds into ``destination`` (new); it appears there whole or not at all.

        Raises:
            CannotJudge, IntegrityFailure: as `find_model`.
            IntegrityFailure: files are missing, extra, or of another size than the server listed.
        """
        ...


class RegisteredModels(Protocol):
    """What is registered under the names of models (MLflow). Raises as `ModelSource`."""

    def resolve(self, reference: str) -> RegisteredVersion:
        """Resolve ``models:/name/7`` or ``models:/name@alias``, once: what an alias is moved to later changes nothing.

        Raises:
            UsageFailure: ``reference`` has another form.
            CannotJudge: there is no such version, or it is no model of a run that can be named.
        """
        ...


@dataclass(frozen=True)
class AliasedVersion:
    """The version of a registered model that has an alias, with its tags.

    ``holds_candidate``: whether its ``source`` is the model that a gate takes from the run, which may have others.
    """

    version: str
    run_id: str
    source: str
    holds_candidate: bool
    tags: Mapping[str, str]


class RunTags(Protocol):
    """Where a promotion is marked on tracked models (MLflow): tags of runs, and a registered model's alias.

    Raises as `ModelSource`; after `OutcomeUnknown` the change may be there or not.
    """

    def read_tag(self, run_id: str, key: str) -> str | None:
        """Return the value of a tag of a run; `None` when it is absent."""
        ...

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run, once, without retrying."""
        ...

    def set_alias(
        self,
        model: str,
        run_id: str,
        tags: Mapping[str, str],
        *,
        alias: str = PRODUCTION_ALIAS,
        name: str | None = None,
    ) -> None:
        """Put ``alias`` on the version whose source is the run's candidate, and tag that version.

        The candidate is the model that `ModelSource.find_model` finds by ``name``. Model and version are registered
        when they are not yet. A repetition changes nothing.

        Raises:
            CannotJudge: the run has no model to register.
            StoreFailure: also when the server registers another source than the candidate.
        """
        ...

    def read_alias(self, model: str, alias: str = PRODUCTION_ALIAS, name: str | None = None) -> AliasedVersion | None:
        """Return the version of a registered model that has ``alias``; `None` when none has it.

        ``name`` is that of the candidate in the version's run, as for `ModelSource.find_model`.
        """
        ...


@dataclass(frozen=True)
class RunTag:
    """One tag of a run."""

    run_id: str
    key: str
    value: str


class AuditedTags(RunTags, Protocol):
    """The tags of all runs, for auditors; no step of a promotion searches them."""

    def find_tags(self, prefix: str) -> Iterator[RunTag]:
        """Return every tag whose key starts with ``prefix``, of all runs in all experiments, deleted ones too."""
        ...


@dataclass(frozen=True)
class RunFacts:
    """The claims of a run about its model's origin; ``training_data_sha256`` is 64 hex digits, where it has one."""

    training_data_sha256: str | None = None


class RunMetadata(Protocol):
    """The claims of runs about themselves (MLflow), which nothing proves. Raises as `ModelSource`."""

    def read_facts(self, run_id: str) -> RunFacts:
        """Read the claims from the run's parameters and tags.

        Raises:
            CannotJudge: no such run, or its claims contradict each other or are not hashes.
        """
        ...


class Tracking(ModelSource, RegisteredModels, AuditedTags, RunMetadata, Protocol):
    """The whole tracking server."""


class Signer(Protocol):
    """Sign evidence and events; the same payload signed again gives the same bytes."""

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """Return an envelope that holds ``payload`` and its signature."""
        ...

    def sign_event(self, payload: bytes) -> str:
        """Return the signature of an event, 128 hex digits; it is never one of evidence."""
        ...


class Verifier(Protocol):
    """Check signatures of one key."""

    @property
    def key_id(self) -> str:
        """The id of the key, 64 hex digits."""
        ...

    def check(self, envelope: bytes, payload: bytes) -> None:
        """Check that ``envelope`` is the key's signature of ``payload``. Raises `IntegrityFailure` when it is not."""
        ...

    def check_event(self, signature: str, payload: bytes) -> None:
        """Check that ``signature`` is the key's of the event ``payload``. Raises `IntegrityFailure` when it is not."""
        ...


class EvalData(Protocol):
    """Bring the bytes of the eval set to the working tree (DVC)."""

    def pull(self, target: Path) -> None:
        """Bring ``target`` (the data, not the ``.dvc`` file) up to date with what DVC names.

        Raises:
            IntegrityFailure: it was changed, and a pull would lose bytes that are kept nowhere else.
            CannotJudge, StoreFailure: DVC does not track it; the remote failed.
        """
        ...


class RegistryStore(Store, Index, Protocol):
    """Everything that a registry needs from the place where it is stored."""


@runtime_checkable
class UnprovenStore(Protocol):
    """A store whose compare-and-swap is done by a server, which may ignore it."""

    def check_conditional_writes(self) -> None:
        """Prove that the server honours the conditions of writes. Raises `StoreFailure` when it does not."""
        ...
