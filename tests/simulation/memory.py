"""A registry and a tracking server in memory.

`MemoryStore` passes the contract of `lynxgate.ports.RegistryStore` (`tests/contract`). A version is the SHA-256 of the
bytes, as in a directory and on S3, so that equal bytes have equal versions here too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from lynxgate.errors import CannotJudge, Conflict, StoreFailure
from lynxgate.ports import AliasedVersion, Progress, RunFacts, RunModel, RunTag, Stored
from minieval.contract.manifest import Manifest


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """One registry; ``clock`` gives its time in UTC."""

    def __init__(self, location: str, clock: Callable[[], datetime] = _now) -> None:
        self._location = location
        self._clock = clock
        self._values: dict[str, Stored] = {}
        self._events: list[bytes] = []
        self._lock = Lock()

    @property
    def location(self) -> str:
        return self._location

    def read(self, key: str) -> Stored | None:
        return self._values.get(key)

    def create(self, key: str, data: bytes) -> str:
        with self._lock:
            if key in self._values:
                raise Conflict(f"{self._location}/{key} exists already")
            return self._write(key, data)

    def replace(self, key: str, data: bytes, expected: str) -> str:
        with self._lock:
            found = self._values.get(key)
            if found is None or found.version != expected:
                raise Conflict(f"{self._location}/{key} was changed by another writer")
            return self._write(key, data)

    def keys(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in list(self._values) if key.startswith(prefix)))

    def now(self) -> datetime:
        return self._clock()

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:
        events = self._events
        return (int(json.loads(events[-1])["number"]), events[-1]) if events else None

    def event(self, number: int) -> bytes | None:
        return self._events[number - 1] if 0 < number <= len(self._events) else None

    def lines(self) -> Iterator[bytes]:
        return iter(tuple(self._events))

    def append(self, number: int, line: bytes) -> None:
        with self._lock:
            if number != len(self._events) + 1:
                raise Conflict(f"{self._location}: event {number} is there already, or the one before it is not")
            self._events.append(line)

    def _write(self, key: str, data: bytes) -> str:
        version = hashlib.sha256(data).hexdigest()
        self._values[key] = Stored(data, version)
        return version


class MemoryTracking:
    """Runs with one model each, their tags, and the aliases of registered models.

    A model is kept as its manifest: `download` writes no file, and `find_manifest` knows what it would have written.
    """

    location = "memory:tracking"

    def __init__(self, models: Mapping[str, Manifest]) -> None:
        self._models = dict(models)
        self._tags: dict[tuple[str, str], str] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._version_tags: dict[tuple[str, str], dict[str, str]] = {}
        self._downloaded: dict[Path, str] = {}

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        del name
        return RunModel(run_id, tuple((file.path, file.size) for file in self._find(run_id).files))

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        del progress, name
        self._find(run_id)
        self._downloaded[destination] = run_id

    def find_manifest(self, bundle: Path) -> Manifest:
        """The manifest of what was downloaded to ``bundle``; a bundle that was there before has its run's name."""
        return self._find(self._downloaded.pop(bundle, bundle.name))

    def read_facts(self, run_id: str) -> RunFacts:
        return RunFacts(self.read_tag(run_id, "training_data_sha256"))

    def read_tag(self, run_id: str, key: str) -> str | None:
        return self._tags.get((run_id, key))

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        if run_id not in self._models:
            raise StoreFailure(f"no run {run_id}")
        self._tags[run_id, key] = value

    def find_tags(self, prefix: str) -> Iterator[RunTag]:
        for (run_id, key), value in sorted(self._tags.items()):
            if key.startswith(prefix):
                yield RunTag(run_id, key, value)

    def set_alias(
        self, model: str, run_id: str, tags: Mapping[str, str], *, alias: str = "production", name: str | None = None
    ) -> None:
        del name
        self._find(run_id)
        self._version_tags.setdefault((model, run_id), {}).update(tags)
        self._aliases[model, alias] = run_id

    def read_alias(self, model: str, alias: str = "production", name: str | None = None) -> AliasedVersion | None:
        del name
        run_id = self._aliases.get((model, alias))
        if run_id is None:
            return None
        tags = dict(self._version_tags[model, run_id])
        return AliasedVersion("1", run_id, f"runs:/{run_id}/model", holds_candidate=True, tags=tags)

    def _find(self, run_id: str) -> Manifest:
        if run_id not in self._models:
            raise CannotJudge(f"no run {run_id}")
        return self._models[run_id]
