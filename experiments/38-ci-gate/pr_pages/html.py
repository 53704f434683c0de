"""The pages that the pictures are taken of: a terminal's window, and a pull request's conversation. Pure.

- Every text is escaped here or comes out of `gfm.render_comment`; a policy in the page forbids scripts all the same.
- The look is GitHub's, drawn anew in `style.css`; no time of day is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pr_pages.gfm import render_comment
from pr_pages.terminal import Line, Run

WIDTH = 930
STYLE = Path(__file__).with_name("style.css").read_text()
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# On white; what has no name here is shown as the terminal gave it, in six hex digits.
COLOURS = {
    "red": "#b3261e",
    "green": "#1a7f37",
    "brown": "#8a6100",
    "blue": "#0550ae",
    "magenta": "#8250df",
    "cyan": "#0a6570",
}
_TICK = '<path d="M4.5 8.2l2.4 2.4 4.6-5" fill="none" stroke="#fff" stroke-width="1.8"/>'
_CROSS = '<path d="M5.2 5.2l5.6 5.6m0-5.6l-5.6 5.6" fill="none" stroke="#fff" stroke-width="1.8"/>'


@dataclass(frozen=True)
class Check:
    """A check run as a pull request lists it; ``conclusion`` is GitHub's word."""

    name: str
    conclusion: str
    title: str


@dataclass(frozen=True)
class Conversation:
    """What a pull request shows: who asked for what, the label, the gate's comment, its check."""

    number: int
    title: str
    author: str
    request: str
    label: str
    bot: str
    comment: str
    check: Check


def draw_terminal(lines: Sequence[Line], title: str) -> str:
    """A page with a terminal's window."""
    screen = "\n".join("".join(_draw_run(run) for run in line) for line in lines)
    return _page(f'<div class="window"><div class="bar">{escape(title)}</div><pre class="screen">{screen}</pre></div>')


def draw_conversation(shown: Conversation) -> str:
    """A page with a pull request's conversation."""
    author, bot = escape(shown.author), escape(shown.bot.removesuffix("[bot]"))
    head = f'<h1 class="title">{escape(shown.title)} <span>#{shown.number}</span></h1>'
    wants = f'<span class="state">Open</span> <b>{author}</b> wants to merge into <code>main</code>'
    about = f'<div class="about">{wants}</div>'
    asked = _comment(f"<b>{author}</b> commented", author[:1].upper(), "", shown.request)
    event = f'<p class="event"><b>{author}</b> added the <span class="label">{escape(shown.label)}</span> label</p>'
    told = _comment(f'<b>{bot}</b> <span class="tag">bot</span> commented', "g", " bot", shown.comment)
    return _page(head + about + asked + event + told + _checks(shown.check))


def _comment(header: str, letter: str, kind: str, markdown: str) -> str:
    body = f'<div class="markdown">{render_comment(markdown)}</div>'
    face = f'<div class="face{kind}">{letter}</div>'
    return f'<div class="comment">{face}<div class="card"><header>{header}</header>{body}</div></div>'


def _checks(check: Check) -> str:
    passed = check.conclusion == "success"
    colour, sign = ("#1a7f37", _TICK) if passed else ("#cf222e", _CROSS)
    icon = f'<svg width="20" height="20" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="{colour}"/>{sign}</svg>'
    row = f"<b>{escape(check.name)}</b> <span class=says>{escape(check.title)}</span>"
    return f'<div class="checks"><div class="says">Checks</div><div>{icon}<span>{row}</span></div></div>'


def _draw_run(run: Run) -> str:
    styles = [f"color:{colour}"] if (colour := _colour(run.colour)) else []
    styles += ["font-weight:bold"] if run.bold else []
    text = escape(run.text)
    return f'<span style="{";".join(styles)}">{text}</span>' if styles else text


def _colour(name: str) -> str:
    if name in COLOURS:
        return COLOURS[name]
    return f"#{name}" if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name) else ""


def _page(body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lynxgate</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )
