"""How a command prints: data to stdout, notes to stderr.

- Text is UTF-8 in every locale, so that equal verdicts are equal bytes.
- JSON is strict and ASCII, so that no terminal or log acts on a name in a document.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def print_text(text: str) -> None:
    """Print ``text`` and a newline on stdout as UTF-8, in every locale."""
    # `minieval.contract.exits.run` has made the stream UTF-8.
    print(text, flush=True)


def print_json(value: Any) -> None:
    """Print ``value`` on stdout as indented, strict JSON in ASCII.

    Raises:
        ValueError: ``value`` has NaN or an infinity, which JSON does not have.
    """
    print(json.dumps(value, indent=2, allow_nan=False))


def note(line: str) -> None:
    """Print one line on stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def warn_if_dev() -> None:
    """Warn on stderr when LYNX_ENV=dev allows writes from a laptop to a dev registry."""
    if os.environ.get("LYNX_ENV") == "dev":
        note("lynxgate: warning: LYNX_ENV=dev writes to a dev registry; use CI to promote to production")
