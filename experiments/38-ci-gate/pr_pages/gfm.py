"""A comment's Markdown as GitHub renders it, near enough: CommonMark and tables, line ends kept, then sanitised.

- No script, style, form, event handler or image comes through, however it is written: the sanitiser has the last word.
- Not here: mentions, issue links and emoji. A comment of ours has none outside code.
"""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt

_TAGS = {
    "a", "blockquote", "br", "code", "del", "details", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "td": {"style"}, "th": {"style"}}
_PARSER = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])


def render_comment(markdown: str) -> str:
    """HTML of a comment, safe to put into a page; its HTML comments are gone."""
    return nh3.clean(
        _PARSER.render(markdown),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        filter_style_properties={"text-align"},
        url_schemes={"http", "https"},
    )
