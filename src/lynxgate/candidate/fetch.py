"""Fetch a candidate: from a run to a verified bundle at a destination, through the cache.

- What is placed is byte for byte what is hashed, staged and evaluated, and nothing else: `minieval.contract.bundle`.
- The run is noted beside the destination, for the evaluator (`minieval.contract.run_note`).
- A bundle is hashed where it was written, and then renamed into place as a whole.
- Only what `fetch` itself put at a destination is ever replaced, and only while it is unaltered.
- A download is tried `ATTEMPTS` times while its outcome is unknown; a refusal is final at once.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lynxgate.candidate.cache import Cache
from lynxgate.errors import GateError, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.ports import ModelSource, Progress
from minieval.contract.bundle import read_placed, settle
from minieval.contract.manifest import Manifest, describe_difference
from minieval.contract.run_note import RunNote, note_path, write_run_note
from minieval.contract.writes import fsync_directory

ATTEMPTS = 3
PAUSE_SECONDS = 0.5

Notify = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Fetched:
    """A candidate at its destination; ``from_cache`` when no byte of it was downloaded."""

    manifest: Manifest
    canonical_sha: str
    from_cache: bool


def fetch(
    tracking: ModelSource,
    run_id: str,
    destination: Path,
    cache: Cache,
    progress: Progress | None = None,
    *,
    expected_sha: str | None = None,
    expected: Manifest | None = None,
    logged_model: str | None = None,
    fresh: bool = False,
    notify: Notify = lambda _: None,
) -> Fetched:
    """Put the model of ``run_id`` at ``destination``, from the cache (unless ``fresh``) or by a download.

    A cache hit for ``expected_sha`` needs no request to the server. ``expected`` is the same with the whole manifest,
    so that an error can name the files that differ. ``logged_model`` is the name of the model in its run, for a run
    that has several.

    Raises:
        CannotJudge: the run holds no candidate, or none of this name.
        IntegrityFailure: the files are not those that the server listed, or not ``expected_sha``.
        StoreFailure: the server cannot be reached or refuses, or the destination cannot be written.
        Refused: the destination holds something that `fetch` did not write.
    """
    destination = destination.absolute()
    expected_sha = expected.canonical_sha if expected is not None else expected_sha
    present = _replaceable(destination, cache)
    with _workspace(destination) as bundle:
        manifest, from_cache = _obtain(
            tracking,
            run_id,
            bundle,
            cache,
            progress=progress,
            expected_sha=expected_sha,
            logged_model=logged_model,
            fresh=fresh,
            notify=notify,
        )
        sha = manifest.canonical_sha
        if expected_sha is not None and sha != expected_sha:
            files = f" ({describe_difference(expected, manifest)})" if expected is not None else ""
            raise IntegrityFailure(f"run {run_id} holds {sha}, not the expected {expected_sha}{files}; do not use it")
        cache.note_placed(destination, sha, *present)
        _place(bundle, destination)
        _note_run(destination, RunNote(canonical_sha=sha, mlflow_run_id=run_id))
    return Fetched(manifest, sha, from_cache)


def verify_bundle(bundle: Path, expected: Manifest) -> None:
    """Hash a bundle again and compare it with its manifest.

    Raises:
        IntegrityFailure: they differ; the message names missing, extra and changed files.
    """
    if difference := describe_difference(expected, read_placed(bundle)):
        raise IntegrityFailure(f"{bundle}: no longer the bundle that was fetched ({difference}); fetch it again")


def _obtain(
    tracking: ModelSource,
    run_id: str,
    bundle: Path,
    cache: Cache,
    *,
    progress: Progress | None,
    expected_sha: str | None,
    logged_model: str | None,
    fresh: bool,
    notify: Notify,
) -> tuple[Manifest, bool]:
    """Return the bundle's manifest, and whether it came from the cache."""
    if expected_sha and not fresh and (manifest := _from_cache(expected_sha, bundle, cache, notify)):
        return manifest, True
    model = _retried(lambda: tracking.find_model(run_id, logged_model), notify)
    noted = None if fresh or expected_sha else cache.run_sha(tracking.location, run_id, model)
    if noted and (manifest := _from_cache(noted, bundle, cache, notify)):
        return manifest, True
    _retried(lambda: tracking.download(run_id, bundle, progress, logged_model), notify)
    manifest = _settle(bundle)
    cache.keep(bundle, manifest.canonical_sha)
    cache.note_run(tracking.location, run_id, model, manifest.canonical_sha)
    return manifest, False


def _note_run(destination: Path, note: RunNote) -> None:
    try:
        write_run_note(destination, note)
    except OSError as error:
        raise StoreFailure(f"{note_path(destination)}: cannot be written: {error.strerror}") from error


def _settle(bundle: Path) -> Manifest:
    try:
        return settle(bundle)
    except OSError as error:
        raise StoreFailure(f"{bundle}: cannot be written: {error.strerror}") from error


def _from_cache(sha: str, bundle: Path, cache: Cache, notify: Notify) -> Manifest | None:
    try:
        return cache.copy(sha, bundle)
    except IntegrityFailure as failure:
        notify(f"{failure}; downloading it again")
        return None


def _retried(call: Callable[[], T], notify: Notify) -> T:
    for attempt in range(1, ATTEMPTS):
        try:
            return call()
        except OutcomeUnknown as failure:
            notify(f"{failure}; trying again ({attempt} of {ATTEMPTS - 1})")
            time.sleep(PAUSE_SECONDS * attempt)
    return call()


def _replaceable(destination: Path, cache: Cache) -> tuple[str, ...]:
    """Return the SHA of the bundle at the destination, or nothing when it is empty; refuse any other content."""
    if not destination.exists() and not destination.is_symlink():
        return ()
    if destination.is_dir() and not destination.is_symlink():
        if not any(destination.iterdir()):
            return ()
        with contextlib.suppress(GateError):
            sha = read_placed(destination).canonical_sha
            if sha in cache.placed(destination):
                return (sha,)
    raise Refused(
        f"{destination}: this is not (or no longer) what lynxgate fetch put there, and it is not deleted for you; "
        "move it away, or choose another --dest"
    )


@contextlib.contextmanager
def _workspace(destination: Path) -> Iterator[Path]:
    """Yield a new path beside the destination; remove its folder at the end."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}.fetch-"))
    except OSError as error:
        raise StoreFailure(f"{destination}: cannot be written: {error.strerror}") from error
    try:
        yield work / "bundle"
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _place(bundle: Path, destination: Path) -> None:
    """Move the bundle to the destination; a kill in between leaves the old bundle, none, or the new one."""
    previous = bundle.with_name("previous")
    try:
        if destination.exists():
            destination.rename(previous)
        try:
            bundle.rename(destination)
        except OSError:
            if previous.exists():
                previous.rename(destination)
            raise
        fsync_directory(destination.parent)
    except OSError as error:
        raise StoreFailure(f"{destination}: cannot be written: {error.strerror}") from error
