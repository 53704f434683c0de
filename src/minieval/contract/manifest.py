"""The manifest of a folder: each file with path, size and SHA-256, and one digest of them all.

The digest is the SHA-256 of the RFC 8785 form of
``{"format": "lynxgate.manifest/2", "files": [{"path", "size", "sha256"}, ...]}``, paths POSIX, relative and
sorted by code point.

- Manifests in the format ``lynxgate.manifest/1`` are read and verified, and none is made: there the bytes of an
  ``MLmodel`` were other ones (`minieval.contract.mlmodel`).
- Times, owners, modes, empty folders and the order of the directory do not matter; every byte does.
- Links, special files and names that are not UTF-8 are refused, never followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.fields import HashedCount, Sha256

ManifestFormat = Literal["lynxgate.manifest/1", "lynxgate.manifest/2"]
FORMAT: Final = "lynxgate.manifest/2"  # of every manifest that is made
OLDER_FORMAT: Final = "lynxgate.manifest/1"  # of documents that name none

Progress = Callable[[int], None]


class File(Document):
    """One file as it is hashed; ``size`` in bytes, ``path`` POSIX and relative to the folder."""

    path: str
    size: HashedCount
    sha256: Sha256


class Manifest(Document):
    """The files of a folder that its SHA covers, in path order."""

    format: ManifestFormat = FORMAT
    files: Annotated[tuple[File, ...], Field(min_length=1, strict=False)]

    @property
    def canonical_sha(self) -> str:
        """SHA-256 of the canonical JSON of this manifest."""
        return digest_bytes(self.canonical_bytes())

    def canonical_bytes(self) -> bytes:
        """The RFC 8785 form of this manifest."""
        return canonical_json(self.model_dump(mode="json"))


def describe_difference(expected: Manifest, found: Manifest) -> str:
    """Return the missing, extra and changed files of ``found`` as text; empty when the two are equal."""
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
    """Yield the POSIX relative path of each file below ``folder``, in no order.

    Raises:
        CannotJudge: a directory cannot be read.
        IntegrityFailure: the folder holds a link, a special file, or a name that is not UTF-8.
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
                raise IntegrityFailure(f"{folder}: a file name is not UTF-8: {relative!r}; rename the file") from error
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif stat.S_ISREG(mode):
                yield relative
            else:
                raise IntegrityFailure(f"{folder}: {relative!r} is a link or a special file; use plain files only")
