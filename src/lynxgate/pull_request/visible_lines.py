"""The lines of a Markdown comment that a reader sees as plain text. Pure.

- The text is parsed as GitHub parses it (CommonMark with tables and strikethrough), not searched for patterns: a line
  in a code block, a quotation, a list, a table, a heading, an attribute or a link's title is not plain text.
- GitHub's parser and its HTML sanitiser differ from ours in details. So a comment that has what could hide text
  there (HTML other than a plain ``<!-- -->``, a footnote, mathematics) has no plain line at all.
- It never returns text that does not stand as a line in the source: escapes and entities do not make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

# A comment in both languages: HTML ends one at `--!>` too, and reads `<!-->` as a whole one.
_HTML_COMMENT = re.compile(r"\s*<!--(?!-?>)(?:(?!--).)*-->\s*", re.DOTALL)
# CommonMark shows it as text, but a browser or GitHub's older parser may read the start of a tag.
_LIKE_A_TAG = re.compile(r"<[A-Za-z/!?]")
# GitHub shows a footnote only where it is referred to; `$` may begin mathematics, which is drawn, not shown as text.
_FOOTNOTE = re.compile(r"^[ \t]*\[\^[^\]\n]*\]:", re.MULTILINE)
_MATHEMATICS = "$"
_BREAKS = ("softbreak", "hardbreak")


def find_plain_lines(markdown: str) -> tuple[str, ...]:
    """Return the lines of the top-level paragraphs that are plain text only, without outer blanks, in order."""
    if _FOOTNOTE.search(markdown):
        return ()
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    if any(_may_hide(each) for each in _flatten(blocks)):
        return ()
    # A paragraph is three tokens; at the top level its content is at level 1.
    paragraphs = [block for opened, block in pairwise(blocks) if opened.type == "paragraph_open" and opened.level == 0]
    return tuple(line for block in paragraphs for line in _read_paragraph(block))


def _flatten(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flatten(token.children or ())


def _may_hide(token: Token) -> bool:
    if token.type in ("html_block", "html_inline"):
        return _HTML_COMMENT.fullmatch(token.content) is None
    return token.type == "text" and _LIKE_A_TAG.search(token.content) is not None


def _read_paragraph(block: Token) -> Iterator[str]:
    if _MATHEMATICS in block.content:
        return
    source = {line.strip(" \t") for line in block.content.split("\n")}
    for parts in _split_lines(block.children or ()):
        # One text at level 0: neither emphasised nor struck through nor a link, and nothing beside it.
        if len(parts) == 1 and parts[0].type == "text" and parts[0].level == 0:
            line = parts[0].content.strip(" \t")
            if line in source:
                yield line


def _split_lines(parts: Sequence[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for part in parts:
        if part.type in _BREAKS:
            yield line
            line = []
        else:
            line.append(part)
    yield line
