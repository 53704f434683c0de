"""The registry's events: what happened, in order, each line bound to the one before by its SHA-256.

- An event is a function of the transaction record that announces it: whoever finishes that transaction writes the
  same bytes under the same number, so an event is there once however often it is tried.
- A line is canonical JSON; `previous` is the SHA-256 of the line before it (64 zeros for the first).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lynxgate.registry import SemverText
from minieval.files import Document, canonical_json
from minieval.report import Name, Positive, RunId, Sha256

GENESIS = "0" * 64


class Event(Document):
    """One line of `index.jsonl`; ``at`` is the store's clock, ISO 8601 in UTC."""

    schema_: Annotated[Literal["lynxgate.event/1"], Field(alias="schema")] = "lynxgate.event/1"
    number: Positive
    previous: Sha256
    at: Name
    kind: Literal["promoted"]
    semver: SemverText
    canonical_sha: Sha256
    mlflow_run_id: RunId
    evidence: Sha256
    production_before: SemverText | None

    def line(self) -> bytes:
        """The bytes of this event as they stand in the index, without the newline."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))
