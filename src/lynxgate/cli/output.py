"""How a command prints: data to stdout, notes to stderr.

- No command prints in another way. Names and sentences from documents and servers may be hostile: what a terminal or a
  workflow's log would obey is escaped here (`lynxgate.escape`), whichever command prints it.
- Text is UTF-8 in every locale, so that equal verdicts are equal bytes.
- JSON is strict and ASCII, so that no terminal or log acts on a name in a document.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lynxgate.escape import visible, visible_lines

if TYPE_CHECKING:
    from lynxgate.promotion.eval_set_usage import EvalSetUsage
    from lynxgate.promotion.promote import Receipt


def print_text(text: str) -> None:
    """Print ``text`` and a newline on stdout, escaped; `minieval.contract.exits.run` has made the stream UTF-8."""
    print(visible_lines(text), flush=True)


def print_json(value: Any) -> None:
    """Print ``value`` on stdout as indented, strict JSON in ASCII.

    Raises:
        ValueError: ``value`` has NaN or an infinity, which JSON does not have.
    """
    print_document(json.dumps(value, indent=2, allow_nan=False).encode())


def print_document(data: bytes) -> None:
    """Print a JSON document in ASCII on stdout; what a reader parses is unchanged."""
    # `##[` can only be inside a text of it, where an escape stands for the same character.
    print_text(data.decode().rstrip().replace("##[", "#\\u0023["))


def note(line: str) -> None:
    """Print one line on stderr, escaped, at once."""
    print(visible_lines(visible(line)), file=sys.stderr, flush=True)


def print_receipt(receipt: Receipt, *, as_json: bool, usage: EvalSetUsage | None = None) -> None:
    """Print what a promotion came to: its line, or its values and the use of the eval set as JSON."""
    if not as_json:
        print_text(receipt.line)
        return
    print_json(
        {
            "status": receipt.ending,
            "semver": receipt.semver,
            "canonical_sha": receipt.canonical_sha,
            "production_before": receipt.production_before,
            "production": receipt.production,
            **({} if usage is None else {"wear": asdict(usage)}),
        }
    )


def warn_if_dev() -> None:
    """Warn on stderr when LYNX_ENV=dev allows writes from a laptop to a dev registry."""
    if os.environ.get("LYNX_ENV") == "dev":
        note("lynxgate: warning: LYNX_ENV=dev writes to a dev registry; use CI to promote to production")
