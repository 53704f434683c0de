"""A registry in a directory whose calls to the operating system fail: in a forked child that watches its own.

The calls are those to `os`, `io.open`, `fcntl.flock` and the writes of a file that name something in the registry, and
those to the tracking port. What the six faults are here: SIGKILL of the child; `ENOSPC` (`EIO` for what takes no
space) without and with the call having been made; SIGSTOP in the call until others are done, an hour later by their
clock; made, and answered `ETIMEDOUT` as a network file system does; made, and every later call answered `EIO`.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lynxgate.errors import OutcomeUnknown, StoreFailure
from lynxgate.ports import Progress, RegistryStore, RunModel, Tracking
from lynxgate.registry.resolve import find_production
from tests.faults.catalogue import KILLS, Call, Fault
from tests.faults.invariants import KILLED, Attempt
from tests.faults.scene import NEW, Cast, Try, directory_stores, open_registry
from tests.promotion.workshop import DirectoryTracking, Workshop

_OS_CALLS = ("open", "mkdir", "ftruncate", "pread", "pwrite", "fsync", "chmod", "replace", "unlink")
_TAKES_SPACE = {"open", "mkdir", "write", "pwrite", "fsync", "replace"}
_TRACKING_CALLS = ("find_model", "download", "read_tag", "set_tag", "read_alias", "set_alias")
PATIENCE_SECONDS = 60  # before a child that neither ends nor stops is an error


class DirectoryBench:
    """See the module; ``first`` strikes the first promotion of an empty registry."""

    def __init__(self, folder: Path, *, first: bool = False) -> None:
        self.name = "directory, first promotion" if first else "directory"
        self.first = first
        self._folder = folder
        self._workshop = Workshop(folder / "live")
        self._copies = 0
        self.cast = Cast.of_workshop(self._workshop)
        self.store: RegistryStore
        self.later: RegistryStore
        self.store, self.later = directory_stores(self._registry)
        self.tracking: Tracking = self._workshop.tracking
        open_registry(self.store, self.tracking, self.cast, first=first)

    @property
    def _registry(self) -> Path:
        return self._workshop.folder / "registry"

    def calls(self) -> list[Call]:
        base = self.save()
        report = self._dry_run()
        self.restore(base)
        names: list[str] = report["calls"]
        places = ("tracking" if name.split()[0] in _TRACKING_CALLS else "directory" for name in names)
        return [Call(place, point, name) for point, (place, name) in enumerate(zip(places, names, strict=True))]

    def save(self) -> dict[str, bytes | None]:
        return {
            path.relative_to(self._workshop.folder).as_posix(): path.read_bytes() if path.is_file() else None
            for folder in (self._registry, self._workshop.folder / "mlflow")
            for path in sorted(folder.rglob("*"))
            if "model" not in path.parts and path.name != ".lock"
        }

    def restore(self, saved: dict[str, bytes | None]) -> None:
        shutil.rmtree(self._registry)
        for tag in (self._workshop.folder / "mlflow").glob("*/tags/*"):
            tag.unlink()
        for name, data in saved.items():
            path = self._workshop.folder / name
            if data is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def strike(self, point: int, fault: Fault) -> tuple[Attempt, tuple[str | None, ...]]:
        child = _Child.start(
            self._registry, self._folder / "result.json", self._try(), self.tracking, point=point, fault=fault
        )
        polled: list[str | None] = []
        while child.poll() is None:
            _add(polled, find_production(self.store))
        _add(polled, find_production(self.store))
        attempt = child.end()
        assert (attempt.exit == KILLED) == (fault in KILLS), (point, fault, attempt.said)
        return attempt, tuple(polled)

    def pause(self, point: int) -> _Child:
        child = _Child.start(
            self._registry, self._folder / "result.json", self._try(), self.tracking, point=point, fault=Fault.HANG
        )
        assert child.poll_until(stopped=True) == "stopped", child.end().said
        return child

    def _try(self) -> Try:
        return Try(self.cast.next, NEW)

    def _dry_run(self) -> dict[str, Any]:
        report = self._folder / "result.json"
        child = _Child.start(self._registry, report, self._try(), self.tracking, point=None, fault=None)
        child.poll_until(stopped=False)
        found: dict[str, Any] = json.loads(report.read_text())
        assert found["exit"] == 0, found["said"]
        return found


def _add(polled: list[str | None], production: str | None) -> None:
    if not polled or polled[-1] != production:
        polled.append(production)


@dataclass
class _Child:
    """The process that promotes."""

    pid: int
    report: Path
    semver: str
    status: int | None = None

    @classmethod
    def start(
        cls, registry: Path, report: Path, attempt: Try, tracking: Tracking, *, point: int | None, fault: Fault | None
    ) -> _Child:
        report.unlink(missing_ok=True)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                _run_child(registry, report, attempt, tracking, point=point, fault=fault)
            finally:
                os._exit(0)
        return cls(pid, report, attempt.semver)

    def poll(self) -> str | None:
        """What has become of it: `None` while it runs, "stopped" or "ended"."""
        found, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if not found:
            return None
        if os.WIFSTOPPED(status):
            return "stopped"
        self.status = status
        return "ended"

    def poll_until(self, *, stopped: bool) -> str:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (found := self.poll()) is None:
            assert time.monotonic() < give_up, f"the child at {self.pid} neither {'stops' if stopped else 'ends'}"
            time.sleep(0.0005)
        return found

    def wake(self) -> Attempt:
        os.kill(self.pid, signal.SIGCONT)
        self.poll_until(stopped=False)
        return self.end()

    def end(self) -> Attempt:
        assert self.status is not None
        if os.WIFSIGNALED(self.status):
            assert os.WTERMSIG(self.status) == signal.SIGKILL
            return Attempt(self.semver, KILLED, "killed")
        found = json.loads(self.report.read_text())
        return Attempt(self.semver, found["exit"], found["said"])


def _run_child(
    registry: Path, report: Path, attempt: Try, tracking: Tracking, *, point: int | None, fault: Fault | None
) -> None:
    assert isinstance(tracking, DirectoryTracking)
    trap = Trap(registry, point, fault)
    trap.set()
    ended = attempt.run(directory_stores(registry)[0], WatchedTracking(tracking.root, trap))
    trap.lift()
    report.write_text(json.dumps({"exit": ended.exit, "said": ended.said, "calls": trap.calls}))


class Trap:
    """Counts calls and strikes at one; for a process that does nothing else afterwards."""

    def __init__(self, folder: Path, point: int | None, fault: Fault | None) -> None:
        self.calls: list[str] = []
        self._folder, self._point, self._fault = str(folder), point, fault
        self._gone = False
        self._lifted = False

    def set(self) -> None:
        for name in _OS_CALLS:
            setattr(os, name, self._watch_os(name, getattr(os, name)))
        fcntl.flock = self._watch_os("flock", fcntl.flock)
        fdopen, opened = os.fdopen, io.open

        def watched_fdopen(handle: int, *rest: Any, **options: Any) -> Any:
            path = self._path(handle)
            file = fdopen(handle, *rest, **options)
            return _WatchedFile(file, path, self) if self._is_ours(path) else file

        def watched_open(target: Any, *rest: Any, **options: Any) -> Any:
            path = self._path(target)
            if not self._is_ours(path):
                return opened(target, *rest, **options)
            return self.pass_through("read", path, lambda: opened(target, *rest, **options))

        os.fdopen = watched_fdopen  # type: ignore[assignment]
        io.open = builtins.open = watched_open  # type: ignore[assignment]

    def lift(self) -> None:
        """Let everything pass from here on."""
        self._lifted = True

    def pass_through(self, name: str, path: str, call: Callable[[], Any]) -> Any:
        """One call to the operating system that counts."""
        return self.strike(
            f"{name} {path.removeprefix(self._folder).lstrip('/') or '.'}",
            call,
            lambda: OSError(errno.ENOSPC if name in _TAKES_SPACE else errno.EIO, "No space left on device"),
            lambda: OSError(errno.ETIMEDOUT, "Connection timed out"),
        )

    def strike(
        self, name: str, call: Callable[[], Any], refused: Callable[[], Exception], lost: Callable[[], Exception]
    ) -> Any:
        """Count a call, and do what is to be done to it."""
        if self._lifted:
            return call()
        if self._gone:
            raise lost()
        here = len(self.calls) == self._point
        self.calls.append(name)
        if not here:
            return call()
        match self._fault:
            case Fault.KILL_BEFORE:
                os.kill(os.getpid(), signal.SIGKILL)
            case Fault.ERROR_BEFORE:
                raise refused()
            case Fault.HANG:
                os.kill(os.getpid(), signal.SIGSTOP)
                return call()
        with contextlib.suppress(OSError):  # that there is no such file is an answer too, and it is lost
            self._drop(call())
        if self._fault is Fault.KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
        self._gone = self._fault is Fault.GONE
        raise refused() if self._fault is Fault.ERROR_AFTER else lost()

    @staticmethod
    def _drop(result: Any) -> None:
        """Close what was opened and whose answer is lost."""
        if hasattr(result, "close"):
            result.close()

    def _watch_os(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(target: Any, *rest: Any, **options: Any) -> Any:
            path = self._path(target)
            if self._lifted or not self._is_ours(path):
                return call(target, *rest, **options)
            shown = name
            if name == "open" and not (rest and rest[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                shown = "read"
            return self.pass_through(shown, path, lambda: call(target, *rest, **options))

        return watched

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._folder)

    @staticmethod
    def _path(target: Any) -> str:
        if isinstance(target, int):
            return str(Path(f"/proc/self/fd/{target}").readlink())
        return str(os.fspath(target))


class _WatchedFile:
    """A file whose writes count."""

    def __init__(self, file: Any, path: str, trap: Trap) -> None:
        self._file, self._path, self._trap = file, path, trap

    def write(self, data: bytes) -> Any:
        def write() -> Any:
            self._file.write(data)
            self._file.flush()

        return self._trap.pass_through("write", self._path, write)

    def __enter__(self) -> _WatchedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class WatchedTracking(DirectoryTracking):
    """Runs in a directory, each call to which can fail as an adapter says that it failed."""

    def __init__(self, root: Path, trap: Trap) -> None:
        super().__init__(root)
        self._trap = trap

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        found: RunModel = self._call("find_model", lambda: super(WatchedTracking, self).find_model(run_id, name))
        return found

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        self._call("download", lambda: super(WatchedTracking, self).download(run_id, destination, progress, name))

    def read_tag(self, run_id: str, key: str) -> str | None:
        found: str | None = self._call("read_tag", lambda: super(WatchedTracking, self).read_tag(run_id, key))
        return found

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self._call("set_tag", lambda: super(WatchedTracking, self).set_tag(run_id, key, value))

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        return self._trap.strike(
            name, call, lambda: StoreFailure("the stand-in refuses"), lambda: OutcomeUnknown("the stand-in is silent")
        )
