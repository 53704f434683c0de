"""A cache of bundles by content, so that the same candidate is not downloaded twice.

Layout of the root: ``bundles/<canonical SHA>/`` (the files as `fetch` places them), ``runs/<key>.json`` (the SHA of a
run at its last download) and ``placed/<key>.json`` (the SHAs that were put at a destination).

- A hit is hashed again, every byte, which proves that the bytes are those of the SHA.
- The note about a run proves nothing: MLflow lets a run's artifacts be overwritten. It is used only while the server
  lists the same model, names and sizes. Only a download detects an overwrite that keeps all of these;
  `lynxgate fetch --fresh` forces one, and a promotion always downloads.
- Losing the cache, in whole or in part, costs only time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lynxgate.errors import CannotJudge, GateError, IntegrityFailure, StoreFailure
from lynxgate.ports import RunModel
from minieval.contract.bundle import read_placed
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import D, Document, canonical_json, parse_document
from minieval.contract.fields import Sha256
from minieval.contract.manifest import Manifest
from minieval.contract.writes import write_atomically

KEEP = 8


@dataclass(frozen=True)
class Cache:
    """The cache at ``root``, which need not exist."""

    root: Path

    def copy(self, sha: str, destination: Path) -> Manifest | None:
        """Copy a bundle to ``destination`` (new) and hash the copy; return `None` when the cache does not have it.

        Raises:
            IntegrityFailure: the cached bytes do not match their name; they have been removed.
        """
        kept = self.root / "bundles" / sha
        if not kept.is_dir():
            return None
        try:
            shutil.copytree(kept, destination, symlinks=True)
            manifest = read_placed(destination)
            found = manifest.canonical_sha
        except (OSError, shutil.Error, GateError):
            found = "unreadable"
        if found == sha:
            with contextlib.suppress(OSError):
                os.utime(kept)  # the time of last use decides which bundles stay
            return manifest
        shutil.rmtree(destination, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        raise IntegrityFailure(
            f"the cached copy of {sha} was changed (it hashes to {found}) and has been removed; fetch again"
        )

    def keep(self, bundle: Path, sha: str) -> None:
        """Store a copy of ``bundle``; the `KEEP` most recently used stay. A full or read-only disk is not an error."""
        bundles = self.root / "bundles"
        try:
            bundles.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(dir=self.root, prefix="keeping-"))
        except OSError:
            return
        try:
            shutil.copytree(bundle, work / sha, symlinks=True)
            if not (bundles / sha).exists():
                (work / sha).rename(bundles / sha)
            os.utime(bundles / sha)
            newest = sorted(bundles.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
            for old in newest[KEEP:]:
                shutil.rmtree(old, ignore_errors=True)
        except (OSError, shutil.Error):
            pass
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def run_sha(self, location: str, run_id: str, model: RunModel) -> str | None:
        """Return the SHA of this run at its last download, if the server still lists the same model."""
        noted = _read(self._note("runs", f"{location}\n{run_id}"), _RunNote)
        return noted.canonical_sha if noted and noted.listing == _listing(model) else None

    def note_run(self, location: str, run_id: str, model: RunModel, sha: str) -> None:
        """Record the SHA of a run."""
        _write(self._note("runs", f"{location}\n{run_id}"), _RunNote(canonical_sha=sha, listing=_listing(model)))

    def placed(self, destination: Path) -> tuple[str, ...]:
        """Return the SHAs that `fetch` put at ``destination``."""
        noted = _read(self._note("placed", str(destination.absolute())), _PlacedNote)
        return noted.canonical_shas if noted else ()

    def note_placed(self, destination: Path, *shas: str) -> None:
        """Record the SHAs that are being put at a destination.

        Raises:
            StoreFailure: the note cannot be written; a later fetch would refuse to replace the bundle.
        """
        note = self._note("placed", str(destination.absolute()))
        if not _write(note, _PlacedNote(canonical_shas=shas)):
            raise StoreFailure(f"{note}: cannot be written; choose another --cache")

    def _note(self, kind: str, name: str) -> Path:
        return self.root / kind / f"{digest_bytes(os.fsencode(name))[:32]}.json"


class _RunNote(Document):
    canonical_sha: Sha256
    listing: Sha256


class _PlacedNote(Document):
    canonical_shas: Annotated[tuple[Sha256, ...], Field(strict=False)]


def _listing(model: RunModel) -> str:
    return digest_bytes(canonical_json({"source": model.source, "files": [list(file) for file in model.files]}))


def _read(path: Path, kind: type[D]) -> D | None:
    """Return a note; a missing or damaged one counts as absent."""
    try:
        return parse_document(path.read_bytes(), kind, where=str(path))
    except (OSError, CannotJudge):
        return None


def _write(path: Path, note: Document) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, canonical_json(note.model_dump(mode="json")))
    except OSError:
        return False
    return True
