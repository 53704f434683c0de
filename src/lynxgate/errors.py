"""The gate's own errors, beside those of `minieval.contract.exits`; each carries its exit code."""

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
    """A store or service could not be reached, or answered that it failed."""

    exit = Exit.UNAVAILABLE


class OutcomeUnknown(StoreFailure):
    """A call that changes something failed in a way that leaves open whether the change was made."""


class Refused(GateError):
    """Not authorised, semver taken, or changed by somebody else meanwhile."""

    exit = Exit.REFUSED


class Conflict(Refused):
    """A create-only or compare-and-swap write lost against another writer."""
