"""The receipt of a promotion and the use of the eval set, parsed from the output of our commands. Pure.

- A text that does not have exactly our form is not a receipt: no guess is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lynxgate.identity import Semver, parse_semver
from minieval.contract.identities import SHA256

_VERSION = "v[0-9.]{5,32}"
_RECEIPT = re.compile(rf"(promoted|already promoted) ({_VERSION}) ({SHA256})(?:, in production: ({_VERSION}|none))?")
_USAGE = re.compile(
    r"[0-9]{1,9} of [0-9]{1,9} allowed comparisons on this eval set used"
    r"( \(this one was counted before\))?(; build a new eval set)?"
)


@dataclass(frozen=True)
class ParsedReceipt:
    """The line that `promote` prints when it succeeds; ``ending`` is "promoted" or "already promoted".

    ``followed_by`` is what is in production instead, a version or "none"; `None` where the promoted version is.
    """

    ending: str
    semver: Semver
    canonical_sha: str
    followed_by: str | None = None


def parse_receipt(text: str) -> ParsedReceipt | None:
    """Return the receipt in the last line of `promote`'s output; `None` when nothing was promoted."""
    # The last line only: what a table or log above it contains is not a receipt.
    lines = text.strip().splitlines()
    match = _RECEIPT.fullmatch(lines[-1].strip()) if lines else None
    if match is None:
        return None
    followed_by = str(parse_semver(match[4])) if match[4] not in (None, "none") else match[4]
    return ParsedReceipt(match[1], parse_semver(match[2]), match[3], followed_by)


def parse_usage(text: str) -> str | None:
    """Return the use of the eval set in the first line of `gate`'s or `promote`'s output; `None` when not counted."""
    first = text.partition("\n")[0].strip()
    return first if _USAGE.fullmatch(first) else None
