"""The gate's own errors, in addition to those of `minieval.contract.exits`; each has its exit code."""

from __future__ import annotations

from minieval.contract.exits import CannotJudge, Exit, GateError, IntegrityFailure, UsageFailure

__all__ = [
    "CannotJudge",
    "Conflict",
    "Exit",
    "GateError",
    "IntegrityFailure",
    "OutcomeUnknown",
    "Refused",
    "StoreFailure",
    "UsageFailure",
]


class StoreFailure(GateError):
    """A store or service could not be reached, or failed."""

    exit = Exit.UNAVAILABLE


class OutcomeUnknown(StoreFailure):
    """A call that changes something failed, and it is unknown whether the change was made."""


class Refused(GateError):
    """Not authorised, semver taken, or changed by another process meanwhile."""

    exit = Exit.REFUSED


class Conflict(Refused):
    """A create-only or compare-and-swap write lost to another writer."""
