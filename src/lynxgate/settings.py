"""What the environment says: read here, once, by name."""

from __future__ import annotations

import os
from pathlib import Path

TRACKING_URI = "MLFLOW_TRACKING_URI"
DEFAULT_TRACKING_URI = "sqlite:///.lynxgate/mlflow.db"
DEFAULT_REGISTRY = ".lynxgate/registry"
DEFAULT_CACHE = Path(".lynxgate/cache")  # beside the checkout: it goes with it, and no two projects share one


def tracking_uri(given: str | None = None) -> str:
    """The tracking server: as given on the command line, else by `TRACKING_URI`, else the embedded default."""
    return given or os.environ.get(TRACKING_URI) or DEFAULT_TRACKING_URI
