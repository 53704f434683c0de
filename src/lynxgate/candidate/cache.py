"""Bundles kept by content on this machine, so that the same candidate is not downloaded twice.

Layout of the root: ``bundles/<canonical SHA>/`` (the files as downloaded), ``runs/<key>.json`` (which SHA a run had
when it was last downloaded) and ``placed/<key>.json`` (which SHAs were put at a destination).

- A hit is hashed anew: it proves that the bytes are those of the SHA, whatever happened to the cache.
- The note about a run proves nothing: MLflow lets a run's artefacts be overwritten. It is followed only while the
  server lists the same model, names and sizes; an overwriting that keeps all of these is seen by a download alone,
  which `lynxgate fetch --fresh` forces, and which a promotion does anyway.
- Losing the cache, in whole or part, costs time and nothing else.
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
from minieval.contract.bundle import read_manifest
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
        """Copy a bundle to ``destination`` (new) and hash the copy; `None` when it is not kept.

        Raises:
            IntegrityFailure: when what was kept has other bytes than its name says; it is dropped by then.
        """
        kept = self.root / "bundles" / sha
        if not kept.is_dir():
            return None
        try:
            shutil.copytree(kept, destination, symlinks=True)
            manifest = read_manifest(destination)
            found = manifest.canonical_sha
        except (OSError, shutil.Error, GateError):
            found = "unreadable"
        if found == sha:
            with contextlib.suppress(OSError):
                os.utime(kept)
            return manifest
        shutil.rmtree(destination, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        raise IntegrityFailure(f"the cached copy of {sha} was altered (it is {found}) and has been dropped")

    def keep(self, bundle: Path, sha: str) -> None:
        """Keep a copy of ``bundle``; the `KEEP` last used stay. A disk that is full or read only is no failure."""
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
        """The SHA that this run had when it was last downloaded, if the server still lists the same model."""
        noted = _read(self._note("runs", f"{location}\n{run_id}"), _RunNote)
        return noted.canonical_sha if noted and noted.listing == _listing(model) else None

    def note_run(self, location: str, run_id: str, model: RunModel, sha: str) -> None:
        """Remember what a run had."""
        _write(self._note("runs", f"{location}\n{run_id}"), _RunNote(canonical_sha=sha, listing=_listing(model)))

    def placed(self, destination: Path) -> tuple[str, ...]:
        """The SHAs that may stand at ``destination`` because `fetch` put them there."""
        noted = _read(self._note("placed", str(destination.absolute())), _PlacedNote)
        return noted.canonical_shas if noted else ()

    def note_placed(self, destination: Path, *shas: str) -> None:
        """Remember what is being put at a destination.

        Raises:
            StoreFailure: when it cannot be remembered: a later fetch would refuse to replace it.
        """
        note = self._note("placed", str(destination.absolute()))
        if not _write(note, _PlacedNote(canonical_shas=shas)):
            raise StoreFailure(f"{note}: cannot be written; choose another --cache")

    def _note(self, kind: str, name: str) -> Path:
        return self.root / kind / f"{digest_bytes(name.encode())[:32]}.json"


class _RunNote(Document):
    canonical_sha: Sha256
    listing: Sha256


class _PlacedNote(Document):
    canonical_shas: Annotated[tuple[Sha256, ...], Field(strict=False)]


def _listing(model: RunModel) -> str:
    return digest_bytes(canonical_json({"source": model.source, "files": [list(file) for file in model.files]}))


def _read(path: Path, kind: type[D]) -> D | None:
    """A note that is missing or damaged says nothing."""
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
