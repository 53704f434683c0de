"""The note beside a fetched bundle: which run it is from. A bundle in canonical form does not name its run.

- For the bundle ``candidate`` it is ``candidate.run.json``, in the same folder and outside the bundle.
- It counts only for the bundle whose canonical SHA it has. It is a claim all the same: a promotion compares the bundle
  with the bytes of that run.
"""

from __future__ import annotations

from pathlib import Path

from minieval.contract.documents import Document, canonical_json, parse_document
from minieval.contract.exits import CannotJudge
from minieval.contract.fields import RunId, Sha256
from minieval.contract.writes import write_atomically


class RunNote(Document):
    """The canonical SHA of a bundle, and the run that it was fetched from."""

    canonical_sha: Sha256
    mlflow_run_id: RunId


def note_path(bundle: Path) -> Path:
    """Return the path of the note beside a bundle."""
    absolute = bundle.absolute()
    return absolute.with_name(f"{absolute.name}.run.json")


def write_run_note(bundle: Path, note: RunNote) -> None:
    """Write the note beside a bundle; raises `OSError` where that cannot be written."""
    write_atomically(note_path(bundle), canonical_json(note.model_dump(mode="json")) + b"\n")


def read_noted_run(bundle: Path, canonical_sha: str) -> str | None:
    """Return the run that the note names for this SHA; a missing, damaged or stale note counts as absent."""
    try:
        note = parse_document(note_path(bundle).read_bytes(), RunNote, where=str(bundle))
    except (OSError, CannotJudge):
        return None
    return note.mlflow_run_id if note.canonical_sha == canonical_sha else None
