"""A manifest: which files a folder holds, by path, size and SHA-256, and the one digest of them all.

The digest is the SHA-256 of the RFC 8785 form of
``{"format": "lynxgate.manifest/1", "files": [{"path", "size", "sha256"}, ...]}``, paths POSIX, relative and
sorted by code point.

- Times, owners, modes, empty folders and the order of the directory do not matter; every byte does.
- Links, special files and names that are no text are refused, never followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.fields import Count, Sha256

FORMAT = "lynxgate.manifest/1"

Progress = Callable[[int], None]


class File(Document):
    """One file as it is hashed; ``size`` in bytes, ``path`` POSIX and relative to the folder."""

    path: str
    size: Count
    sha256: Sha256


class Manifest(Document):
    """Everything in a folder that its SHA covers, in path order."""

    format: Literal["lynxgate.manifest/1"] = "lynxgate.manifest/1"
    files: Annotated[tuple[File, ...], Field(min_length=1, strict=False)]

    @property
    def canonical_sha(self) -> str:
        """SHA-256 of the canonical JSON of this manifest."""
        return digest_bytes(self.canonical_bytes())

    def canonical_bytes(self) -> bytes:
        """The RFC 8785 form of this manifest."""
        return canonical_json(self.model_dump(mode="json"))


def describe_difference(expected: Manifest, found: Manifest) -> str:
    """Which files are missing, extra or changed in ``found``, in words; empty when the two agree."""
    before = {file.path: file for file in expected.files}
    after = {file.path: file for file in found.files}
    parts = {
        "missing": sorted(before.keys() - after.keys()),
        "extra": sorted(after.keys() - before.keys()),
        "changed": sorted(path for path in before.keys() & after.keys() if before[path] != after[path]),
    }
    return "; ".join(
        f"{word}: {', '.join(paths[:5])}" + (" ..." if len(paths) > 5 else "") for word, paths in parts.items() if paths
    )


def list_files(folder: Path) -> Iterator[str]:
    """POSIX relative paths of all files below ``folder``, in no order.

    Raises:
        CannotJudge: when a directory cannot be read.
        IntegrityFailure: on a link, a special file, or a name that is no UTF-8 text.
    """
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError as error:
            raise CannotJudge(f"{folder}: cannot be read: {error.strerror}") from error
        for entry in entries:
            path = Path(entry.path)
            relative = path.relative_to(folder).as_posix()
            try:
                relative.encode()
            except UnicodeEncodeError as error:
                raise IntegrityFailure(f"{folder}: a file name is no UTF-8 text: {relative!r}") from error
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif stat.S_ISREG(mode):
                yield relative
            else:
                raise IntegrityFailure(f"{folder}: {relative!r} is a link or a special file; use plain files only")
