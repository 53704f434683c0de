"""The package index of the tests: the one that the machine's uv or pip is configured with."""

from __future__ import annotations

import os
import subprocess
import sys


def find_index() -> str | None:
    """The URL of the index; `None` where none is configured, which is uv's own default."""
    if found := os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL"):
        return found
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
