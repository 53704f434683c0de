"""Check that a document is about the MLflow run that was requested: the one rule and the one sentence for it. Pure."""

from __future__ import annotations

from lynxgate.errors import IntegrityFailure


def check_same_run(subject: str, found: str | None, requested: str | None) -> None:
    """Check that ``subject`` (as "the verdict") is about the requested run, where both are known.

    An evaluation may name no run (`minieval` without ``--run-id``). Then the canonical SHA alone identifies the
    candidate.

    Raises:
        IntegrityFailure: ``found`` is another run than ``requested``; both have 32 hex digits.
    """
    if found is not None and requested is not None and found != requested:
        raise IntegrityFailure(f"{subject} is for the run {found}, but the request is for the run {requested}")
