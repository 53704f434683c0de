"""Evaluate the environment marker of a requirement: whether the line applies to this platform and a Python.

A marker is hostile text that has been parsed. One that cannot be evaluated applies: what is asked for is then compared,
and never skipped.
"""

from __future__ import annotations

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.version import InvalidVersion


def applies(marker: Marker | None, python: str | None = None) -> bool:
    """Return whether a marker holds here; ``python`` is a version, as ``3.11.7``, by default that of this process."""
    if marker is None:
        return True
    environment = {}
    if python is not None:
        environment = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}
    try:
        return marker.evaluate(environment)
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, RecursionError):
        return True
