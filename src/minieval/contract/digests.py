"""SHA-256 and other digests of bytes and of files, as lower-case hex digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1024 * 1024


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path, *algorithms: str, progress: Callable[[int], None] | None = None) -> tuple[str, ...]:
    """Return the hex digest of a file for each named algorithm; the file is read once.

    ``progress`` is called with the number of bytes of each chunk.

    Raises:
        OSError: the file cannot be read.
    """
    hashes = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for each in hashes:
                each.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return tuple(each.hexdigest() for each in hashes)
