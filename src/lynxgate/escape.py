"""Make hostile text printable: the one place where names and sentences of others are escaped.

- Text that a candidate, an evaluator or a document supplied is hostile until it has gone through `visible` (for a
  terminal) or `as_code` (for Markdown). HTML has its own escape in `lynxgate.reports.page`, applied after `visible`.
- `lynxgate.cli.output`, through which every command prints, applies `visible_lines` to all of it.
- A CI system's log is a terminal and more: GitHub's runner obeys a line that starts with `::` or has `##[` in it.
- Escaping never fails and never drops a character.
"""

from __future__ import annotations

import re

# Text that a Markdown code span shows as it is: no backtick, cell border or backslash, and only single inner spaces,
# because Markdown strips outer spaces and merges runs of them.
_PLAIN = re.compile(r"[^`|\\\s]+( [^`|\\\s]+)*")


def visible(text: str) -> str:
    """Return ``text`` on one line; each character that is not printable becomes its code point, as ``\\u{1b}``."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _code_point(c) for c in text)


def visible_lines(text: str) -> str:
    """Return ``text`` line by line as `visible`, and so that no line is a command to the runner of a workflow."""
    return "\n".join(_without_command(visible(line)) for line in text.split("\n"))


def _without_command(line: str) -> str:
    harmless = line.replace("##[", f"#{_code_point('#')}[")
    start = harmless.lstrip()
    if start.startswith("::"):
        return harmless[: len(harmless) - len(start)] + _code_point(":") + start[1:]
    return harmless


def _code_point(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def as_code(text: str) -> str:
    """Return Markdown that shows ``text`` as code, in a table cell or elsewhere, and does nothing else.

    Inside code, nothing mentions a user, links, or closes an issue. Characters that could end a code span or a cell are
    written as HTML entities.
    """
    shown = visible(text)
    if _PLAIN.fullmatch(shown):
        return f"`{shown}`"
    return "<code>" + "".join(c if c.isalnum() else f"&#{ord(c)};" for c in shown) + "</code>"
