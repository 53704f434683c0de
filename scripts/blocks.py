"""The generated blocks of pages: ``<!-- name -->`` to ``<!-- /name -->``, each the output of a command.

``COMMAND | python -m scripts.blocks NAME`` replaces a block; tests compare each block with the output of
the same command.

- A block is the output, with one change: of ids and hashes of 12 or more hex digits the first 8 remain.
- Values that differ between runs or machines (ids, times, seconds, the number of locked packages) are shown, and are
  not compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = {
    "demo": ROOT / "docs" / "demo.md",
    "kills": ROOT / "docs" / "reliability.md",
    "faults": ROOT / "docs" / "reliability.md",
    "exit codes": README,
}
FENCED = {"demo": "text"}  # blocks that are not Markdown themselves
_ID = re.compile(r"\b(?=[0-9a-f]*[0-9])([0-9a-f]{8})[0-9a-f]{4,}\b(?:\.\.\.)?")
_VARYING = (
    (re.compile(r"[0-9a-f]{8}…"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"(took +)\d+ s"), r"\1<seconds> s"),
    (re.compile(r"\d+ packages"), "<number> packages"),
)


def shown(output: str) -> str:
    """Return an output as a page shows it."""
    return _ID.sub(r"\1…", output.strip("\n")) + "\n"


def comparable(text: str) -> str:
    """Return a shown output without the values that differ between runs."""
    for pattern, stand_in in _VARYING:
        text = pattern.sub(stand_in, text)
    return text


def read_page(name: str) -> str:
    """Return the text of a block, read from its page.

    Raises:
        ValueError: the page has no such block.
    """
    return read_block(PAGES[name].read_text(), name)


def read_block(page: str, name: str) -> str:
    """Return the text of a block of ``page``, without its fence.

    Raises:
        ValueError: the page has no such block.
    """
    inside = _block(name).search(page)
    if inside is None:
        raise ValueError(f"no block <!-- {name} --> ... <!-- /{name} -->")
    text = inside["text"].strip("\n")
    return re.sub(r"\A```\w*\n|\n```\Z", "", text) + "\n" if name in FENCED else f"{text}\n"


def write_block(page: str, name: str, text: str, fences: Mapping[str, str] = FENCED) -> str:
    """Return the page with another text in a block.

    Raises:
        ValueError: the page has no such block.
    """
    read_block(page, name)
    body = f"```{fences[name]}\n{text}```\n" if name in fences else text
    return _block(name).sub(lambda match: f"{match['start']}\n{body}{match['end']}", page)


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<start><!-- {name} -->)\n(?P<text>.*?)(?P<end><!-- /{name} -->)", re.DOTALL)


def main() -> None:
    """Write stdin into the block that is named."""
    name = sys.argv[1]
    output = sys.stdin.read()
    page = PAGES[name]
    page.write_text(write_block(page.read_text(), name, shown(output) if name in FENCED else output))


if __name__ == "__main__":
    main()
