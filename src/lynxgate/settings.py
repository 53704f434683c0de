"""The settings that come from environment variables, and the defaults. Each variable is read here alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lynxgate.errors import UsageFailure

TRACKING_URI = "MLFLOW_TRACKING_URI"
DEFAULT_TRACKING_URI = "sqlite:///.lynxgate/mlflow.db"
DEFAULT_REGISTRY = ".lynxgate/registry"
DEFAULT_CACHE = Path(".lynxgate/cache")  # in the checkout, so no two projects share a cache

MLFLOW_SECONDS = "LYNXGATE_MLFLOW_SECONDS"
_DEFAULT_SECONDS, _FEWEST_SECONDS, _MOST_SECONDS = 60, 6, 3600
_REQUEST_SECONDS = 10  # the most for one request


@dataclass(frozen=True)
class MlflowBounds:
    """How long to wait for MLflow: for one request, and until a step of a promotion stops trying.

    One try is two requests (set the tag, read it back), so a step ends within ``step_seconds + 2 * request_seconds``.
    """

    request_seconds: int
    step_seconds: float


def mlflow_bounds() -> MlflowBounds:
    """Return the bounds with which a step of a promotion that waits for MLflow ends within `MLFLOW_SECONDS`.

    Raises:
        UsageFailure: the variable is not a whole number of seconds from 6 to 3600.
    """
    text = os.environ.get(MLFLOW_SECONDS) or str(_DEFAULT_SECONDS)
    if not (text.isascii() and text.isdecimal() and _FEWEST_SECONDS <= int(text[:5]) <= _MOST_SECONDS):
        raise UsageFailure(
            f"{MLFLOW_SECONDS} is {text[:40]!r}; it must be a number from {_FEWEST_SECONDS} to {_MOST_SECONDS}"
        )
    # A sixth for one request: a step makes at least two tries (four requests) even with the smallest bound.
    request = min(_REQUEST_SECONDS, int(text) // 6)
    return MlflowBounds(request, float(int(text) - 2 * request))


def tracking_uri(given: str | None = None) -> str:
    """Return the tracking server: from the command line, else from `TRACKING_URI`, else the embedded default."""
    return given or os.environ.get(TRACKING_URI) or DEFAULT_TRACKING_URI
