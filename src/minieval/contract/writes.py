"""Writing a file so that a reader finds the whole old file or the whole new one.

- `write_atomically` leaves the old file or the new one, at whatever moment the process dies.
- Nothing is left beside the file when a write fails.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from minieval.contract.exits import CannotJudge, UsageFailure


def write_atomically(path: Path, data: bytes, *, temporary: Path | None = None) -> None:
    """Write a file through a temporary file beside it: flush, fsync, rename, fsync of the directory.

    ``temporary`` is the temporary file, for a caller that locks out other writers; by default its name is unique.

    Raises:
        OSError: the write failed. The old file is unchanged, unless the fsync of the directory failed.
    """
    if temporary is None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
    else:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
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


def write_output(path: Path, data: bytes) -> None:
    """Write a file that a user named with ``--output``, as `write_atomically` does; create its folder.

    Raises:
        CannotJudge: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be written: {error.strerror}; choose another --output") from error


def discard_output(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Remove what an earlier call wrote to ``path``, so that it is not taken for the result of this one.

    Call it before anything that can fail. A device or a pipe holds no earlier result and stays; of a link, the file
    that it names is removed.

    Raises:
        UsageFailure: ``path`` is one of ``inputs``, or lies in one that is a folder.
        CannotJudge: the file is there and cannot be removed.
    """
    for each in inputs:
        is_same = path.exists() and each.exists() and path.samefile(each)
        if is_same or path.resolve() == each.resolve() or (each.is_dir() and each.resolve() in path.resolve().parents):
            raise UsageFailure(f"the output {path} is the input {each}, or lies in it; choose another file")
    try:
        if path.is_file():
            path.resolve().unlink()
    except OSError as error:
        raise CannotJudge(
            f"{path}: is of an earlier call and cannot be removed: {error.strerror}; do not read it, and "
            "choose another --output"
        ) from error
