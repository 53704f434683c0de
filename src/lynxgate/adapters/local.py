"""A registry in a directory: `lynxgate.ports.RegistryStore` over files.

- Readers take no lock: a file is replaced whole (temporary file in the same directory, fsync, rename, fsync of
  the directory), so they see the old bytes or the new ones.
- Writers hold an exclusive `flock` on `.lock` while they compare and swap; the kernel releases it when they end.
- The version of a file is the SHA-256 of its bytes.
- `index.jsonl` grows by one line per event. A line torn by a crash was never acknowledged: readers ignore it, and the
  next writer cuts it off.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, StoreFailure
from lynxgate.ports import Stored
from minieval.contract.digests import digest_bytes
from minieval.contract.writes import fsync_directory, write_atomically

INDEX = "index.jsonl"
_LOCK = ".lock"
_BLOCK = 64 * 1024


class DirectoryStore:
    """The registry under ``root``, which is created by the first write; ``patience`` in seconds, for the lock."""

    def __init__(self, root: Path, *, patience: float = 30.0) -> None:
        self._root = root
        self._patience = patience  # far more than the milliseconds that another writer needs

    @property
    def location(self) -> str:
        return str(self._root)

    def read(self, key: str) -> Stored | None:
        try:
            with open(self._root / key, "rb", opener=_open_regular) as file:
                data = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreFailure(f"{self._root / key}: cannot be read: {error.strerror}") from error
        return Stored(data, digest_bytes(data))

    def create(self, key: str, data: bytes) -> str:
        with self._writing(key) as path:
            if path.exists():
                raise Conflict(f"{path} exists already")
            return self._write(path, data)

    def replace(self, key: str, data: bytes, expected: str) -> str:
        with self._writing(key) as path:
            found = self.read(key)
            if found is None or found.version != expected:
                raise Conflict(f"{path} was changed by another process")
            return self._write(path, data)

    def keys(self, prefix: str) -> Iterator[str]:
        folder = self._root / prefix.rpartition("/")[0]
        names = (
            (Path(at) / name).relative_to(self._root).as_posix()
            for at, _, files in os.walk(folder, onerror=self._cannot_list)
            for name in files
            if not name.startswith(".")
        )
        return iter(sorted(name for name in names if name.startswith(prefix)))

    def now(self) -> datetime:
        return datetime.now(UTC)

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:  # noqa: ARG002 - the end of a file is found without
        line = next(self._lines_backwards(), None)
        return None if line is None else (self._number(line), line)

    def event(self, number: int) -> bytes | None:
        for line in self._lines_backwards():
            if (found := self._number(line)) <= number:
                return line if found == number else None
        return None

    def lines(self) -> Iterator[bytes]:
        try:
            with open(self._root / INDEX, "rb", opener=_open_regular) as file:
                # A writer may cut off a torn line while we read, and write another in its place. Reading stops where
                # the file was complete at first, so that a buffered torn part is never joined to the new line.
                left = self._complete_length(file.fileno())
                for line in file:
                    left -= len(line)
                    if left < 0:
                        return
                    yield line[:-1]
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreFailure(f"{self._root / INDEX}: cannot be read: {error.strerror}") from error

    def append(self, number: int, line: bytes) -> None:
        with self._writing(INDEX) as path:
            last = self.last()
            if (last[0] if last else 0) != number - 1:
                raise Conflict(f"{path}: event {number} is there already, or the one before it is not")
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                # Cut off a torn line first: a new line must start at the beginning of a line.
                end = self._complete_length(handle)
                os.ftruncate(handle, end)
                _write_all(handle, line + b"\n", end)
                os.fsync(handle)
            finally:
                os.close(handle)
            fsync_directory(path.parent)

    def _cannot_list(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise StoreFailure(f"{error.filename}: cannot be listed: {error.strerror}") from error

    @contextlib.contextmanager
    def _writing(self, key: str) -> Iterator[Path]:
        path = self._root / key
        try:
            self._make_directory(path.parent)
            lock = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreFailure(f"{path}: cannot be written: {error.strerror}") from error
        try:
            self._wait_for(lock)
            yield path
        except OSError as error:
            raise OutcomeUnknown(f"{path}: writing failed: {error.strerror}") from error
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise StoreFailure(
                        f"{self._root}: another process has held the lock for {self._patience:.0f} s "
                        f"(is one stopped? fuser {self._root / _LOCK}); run it again"
                    ) from None
                time.sleep(0.005)
            else:
                return

    def _make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            fsync_directory(directory.parent)

    def _write(self, path: Path, data: bytes) -> str:
        # The lock allows one writer at a time, so one temporary name is enough; a file left by a crash is overwritten.
        write_atomically(path, data, temporary=path.with_name(f".{path.name}.tmp"))
        return digest_bytes(data)

    def _lines_backwards(self) -> Iterator[bytes]:
        try:
            handle = _open_regular(self._root / INDEX, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreFailure(f"{self._root / INDEX}: cannot be read: {error.strerror}") from error
        try:
            position = max(self._complete_length(handle) - 1, 0)  # without the newline at the end of the last line
            tail = b""
            while position:
                size = min(_BLOCK, position)
                position -= size
                tail, *whole = (os.pread(handle, size, position) + tail).split(b"\n")
                yield from reversed(whole)
            if tail:
                yield tail
        except OSError as error:
            raise StoreFailure(f"{self._root / INDEX}: cannot be read: {error.strerror}") from error
        finally:
            os.close(handle)

    def _complete_length(self, handle: int) -> int:
        """Return the number of bytes up to and including the last newline: what follows was torn by a crash."""
        position = os.fstat(handle).st_size
        while position:
            size = min(_BLOCK, position)
            block = os.pread(handle, size, position - size)
            if (at := block.rfind(b"\n")) >= 0:
                return position - size + at + 1
            position -= size
        return 0

    def _number(self, line: bytes) -> int:
        try:
            number = json.loads(line)["number"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            where = self._root / INDEX
            raise IntegrityFailure(f"{where}: a line is not an event; see lynxgate registry verify") from error
        if not isinstance(number, int):
            raise IntegrityFailure(f"{self._root / INDEX}: an event has no number; see lynxgate registry verify")
        return number


def _open_regular(path: str | Path, flags: int) -> int:
    """Open a file for reading; refuse at once what is no file, since to open a FIFO waits for its writer.

    Raises:
        IntegrityFailure: it is a FIFO, a socket or a device.
        OSError: it cannot be opened.
    """
    handle = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(mode := os.fstat(handle).st_mode) or stat.S_ISDIR(mode):  # a directory fails when it is read
        return handle
    os.close(handle)
    raise IntegrityFailure(f"{path}: is not a regular file; remove it, and find out who made it")


def _write_all(handle: int, data: bytes, at: int) -> None:
    """Write all of ``data`` at ``at``: a disk that fills up accepts a part of it and reports no error for that call."""
    while data:
        written = os.pwrite(handle, data, at)
        data, at = data[written:], at + written
