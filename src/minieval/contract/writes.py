"""Writing a file so that a reader finds the whole old file or the whole new one.

- `write_atomically` leaves the old file or the new one, at whatever moment the process dies.
- Nothing is left beside the file when a write fails.
- The mode of a file that is replaced stays; a new file gets what the umask allows.
- `write_output` follows links, writes to a device or a pipe instead of replacing it, and refuses a read-only file.
- No output is an input (`check_output`), and nothing but a regular file is ever removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from minieval.contract.exits import CannotJudge, UsageFailure

_LONGEST_STEM = 40  # characters of a name that its temporary file repeats: with the rest at most 255 bytes


def write_atomically(
    path: Path, data: bytes, *, temporary: Path | None = None, like: os.stat_result | None = None
) -> None:
    """Write a file through a temporary file beside it: flush, fsync, rename, fsync of the directory.

    ``temporary`` is the temporary file, for a caller that locks out other writers; by default its name is unique.
    ``like`` is a file that was there before, whose owner and mode a new one gets.

    Raises:
        OSError: the write failed. The old file is unchanged, unless the fsync of the directory failed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    if temporary is None:
        temporary = path.with_name(f".{path.name[:_LONGEST_STEM]}.{secrets.token_hex(8)}.tmp")
        flags |= os.O_EXCL
    else:
        flags |= os.O_TRUNC
    old = _stat(path) or like
    handle = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            if old is not None:
                _take_owner_and_mode(file.fileno(), old)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable: a rename survives a crash only after this.

    Raises:
        OSError: the directory cannot be opened or synchronised.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_output(path: Path, data: bytes, *, like: os.stat_result | None = None) -> None:
    """Write a file that a user named with ``--output``; create its folder.

    A regular file is written as `write_atomically` does, a link at its target; a device or a pipe is written to.
    ``like`` is what `discard_output` removed, if it did.

    Raises:
        CannotJudge: the file cannot be written.
    """
    try:
        found = _stat(path)
        if found is not None and _is_written_to(path, found):
            _write_to(path, found, data)
            return
        # `realpath` and not `resolve`, which raises no `OSError` for a loop; `_stat` has refused that.
        target = Path(os.path.realpath(path))
        if found is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data, like=like)
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be written: {error.strerror}; choose another --output") from error


def discard_output(path: Path, *, inputs: Iterable[Path] = ()) -> os.stat_result | None:
    """Remove what an earlier call wrote to ``path``, so that it is not taken for the result of this one.

    Call it before anything that can fail. A device or a pipe holds no earlier result and stays; of a link, the file
    that it names is removed. Returns what it removed, so that `write_output` can give the new file its mode.

    Raises:
        UsageFailure: ``path`` is one of ``inputs``, or lies in one that is a folder.
        CannotJudge: the file is there and cannot be removed.
    """
    check_output(path, inputs)
    try:
        found = _stat(path)
        if found is not None and stat.S_ISREG(found.st_mode) and not _is_written_to(path, found):
            Path(os.path.realpath(path)).unlink()
            return found
    except OSError as error:
        raise CannotJudge(
            f"{path}: is of an earlier call and cannot be removed: {error.strerror}; do not read it, and "
            "choose another --output"
        ) from error
    return None


def check_output(output: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse an output that is one of the inputs, by any name, or that lies in an input directory.

    An input may be missing: an eval set that is pulled later. Devices and pipes have nothing to lose.

    Raises:
        UsageFailure: naming both.
    """
    for each in inputs:
        if each is not None and _is_same_or_inside(output, each):
            raise UsageFailure(f"the output {output} is the input {each}, or lies in it; choose another file")


def _is_same_or_inside(output: Path, source: Path) -> bool:
    # What cannot be a path, such as a name with a NUL, is no file; reading it has its own message.
    with contextlib.suppress(OSError, ValueError):
        read, written = _stat(source), _stat(output)
        if read is None:
            return written is None and os.path.realpath(output) == os.path.realpath(source)
        if not (stat.S_ISREG(read.st_mode) or stat.S_ISDIR(read.st_mode)):
            return False
        if written is not None and os.path.samestat(read, written):
            return True
        real = Path(os.path.realpath(output))
        return stat.S_ISDIR(read.st_mode) and real.is_relative_to(os.path.realpath(source))
    return False


def _stat(path: Path) -> os.stat_result | None:
    """Return what the path leads to; `None` when there is nothing yet, as behind a link to nothing.

    Raises:
        OSError: a loop of links, a name that is too long, a directory that may not be searched.
    """
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_written_to(path: Path, found: os.stat_result) -> bool:
    """Return whether the path is written to as it is: a device, a pipe, or one of this process's own streams."""
    if not stat.S_ISREG(found.st_mode):
        return not stat.S_ISDIR(found.st_mode)
    # /dev/stdout that was redirected to a file: replacing the file would lose what is printed after it.
    return os.path.realpath(path.parent).startswith(("/dev", "/proc")) and _own_stream(found) is not None


def _write_to(path: Path, found: os.stat_result, data: bytes) -> None:
    if (stream := _own_stream(found)) is not None:
        sys.stdout.flush()
        handle = os.dup(stream)
    else:
        handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _own_stream(found: os.stat_result) -> int | None:
    """Return 1 or 2 when that descriptor is the same file: it has a position of its own, which a new one has not."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), found):
                return descriptor
    return None


def _take_owner_and_mode(handle: int, old: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):  # only root may give a file away
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
