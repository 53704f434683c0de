"""The README's generated blocks: ``<!-- name -->`` to ``<!-- /name -->``, each the output of a command.

``COMMAND | python -m scripts.readme NAME`` writes a block anew; tests hold each block to the same command's output.

- What is shown is the output, cut by one rule: of ids and hashes of 12 or more hex digits the first 8 remain.
- What differs from run to run or between machines (ids, times, seconds, the number of locked packages) is shown
  and not compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
FENCED = {"demo": "text"}  # blocks that are not Markdown themselves
_ID = re.compile(r"\b(?=[0-9a-f]*[0-9])([0-9a-f]{8})[0-9a-f]{4,}\b(?:\.\.\.)?")
_VARYING = (
    (re.compile(r"[0-9a-f]{8}…"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"(took +)\d+ s"), r"\1<seconds> s"),
    (re.compile(r"\d+ packages"), "<number> packages"),
)


def shown(output: str) -> str:
    """Output as a README shows it."""
    return _ID.sub(r"\1…", output.strip("\n")) + "\n"


def comparable(text: str) -> str:
    """What of a shown output has to be the same each time."""
    for pattern, stand_in in _VARYING:
        text = pattern.sub(stand_in, text)
    return text


def read_block(page: str, name: str) -> str:
    """What stands in a block, without its fence.

    Raises:
        ValueError: the page has no such block.
    """
    inside = _block(name).search(page)
    if inside is None:
        raise ValueError(f"no block <!-- {name} --> ... <!-- /{name} -->")
    text = inside["text"].strip("\n")
    return re.sub(r"\A```\w*\n|\n```\Z", "", text) + "\n" if name in FENCED else f"{text}\n"


def write_block(page: str, name: str, text: str, fences: Mapping[str, str] = FENCED) -> str:
    """The page with another text in a block."""
    read_block(page, name)
    body = f"```{fences[name]}\n{text}```\n" if name in fences else text
    return _block(name).sub(lambda match: f"{match['start']}\n{body}{match['end']}", page)


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<start><!-- {name} -->)\n(?P<text>.*?)(?P<end><!-- /{name} -->)", re.DOTALL)


def main() -> None:
    """Put what stands on stdin into the block that is named."""
    name = sys.argv[1]
    output = sys.stdin.read()
    README.write_text(write_block(README.read_text(), name, shown(output) if name in FENCED else output))


if __name__ == "__main__":
    main()
