"""The picture of docs/operating-characteristics.md: an SVG of three panels, written by hand so that it is small.

- Lines differ by colour (Okabe and Ito's palette), by dash and by marker; text is text; a dark page gets a dark one.
- Equal results give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.decision_rules import EQUAL, ONE_WORSE, QUIET_WORSE, Rate, Results, Truth

HEAD = "How often each rule errs, in % of simulated gates (lower is better)"
WIDTH, HEIGHT = 1000, 440
TOP, BOTTOM, LEFT, PANEL, GAP = 84, 336, 56, 280, 42


@dataclass(frozen=True)
class Panel:
    """One diagram: the cells of a truth with so many buckets."""

    title: str
    subtitle: str
    truth: Truth
    buckets: int


@dataclass(frozen=True)
class Line:
    """How a rule is drawn: colours on a light and on a dark page, dashes, marker."""

    rule: str
    light: str
    dark: str
    dash: str
    marker: str


PANELS = (
    Panel("Blocks an equal model", "20 buckets, 10 % disagreement", EQUAL, 20),
    Panel("Misses one bucket 8 pp worse", "20 buckets, 10 % disagreement", ONE_WORSE, 20),
    Panel("Misses it in small, quiet buckets", "5 buckets, 1 % disagreement elsewhere", QUIET_WORSE, 5),
)
LINES = (
    Line("guard", "#0072b2", "#56b4e9", "", "circle"),
    Line("noninferior", "#009e73", "#2fd0a4", "9 4", "square"),
    Line("point 2 pp", "#d55e00", "#ff8a3d", "2 3", "triangle"),
    Line("t interval", "#a6468a", "#e59bc8", "10 3 2 3", "diamond"),
    Line("bootstrap", "#8a6d00", "#f0c843", "5 3", "cross"),
    Line("t drop", "#555555", "#bbbbbb", "1 4", "ring"),
)


def draw(results: Results) -> str:
    """The picture as SVG; a panel whose cells were not simulated stays empty."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
            ' role="img" aria-labelledby="title desc">',
            '<title id="title">How often each rule errs</title>',
            '<desc id="desc">Share of simulated gates, by examples in a bucket: equal models blocked, one worse bucket '
            "missed, and missed in small buckets. The tables of the page have the figures.</desc>",
            _style(),
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text class="head" x="{LEFT}" y="28">{HEAD}</text>',
            *(part for index, panel in enumerate(PANELS) for part in _panel(index, panel, results)),
            *_legend(),
            "</svg>",
            "",
        ]
    )


def _style() -> str:
    light = " ".join(f".r{i}{{--c:{line.light}}}" for i, line in enumerate(LINES))
    dark = " ".join(f".r{i}{{--c:{line.dark}}}" for i, line in enumerate(LINES))
    return (
        "<style>svg{--ink:#1f2328;--faint:#d0d7de;--page:#ffffff} " + light + " @media (prefers-color-scheme: dark)"
        "{svg{--ink:#e6edf3;--faint:#3d444d;--page:#0d1117} " + dark + "} text{font:13px sans-serif;fill:var(--ink)} "
        ".head{font-weight:bold;font-size:15px} .name{font-weight:bold;font-size:14px} .small{font-size:12px} "
        ".page{fill:var(--page)} .grid{stroke:var(--faint)} .line{fill:none;stroke:var(--c);stroke-width:2.2} "
        ".mark{fill:var(--c);stroke:var(--c);stroke-width:1.6} "
        ".hollow{fill:var(--page);stroke:var(--c);stroke-width:2} .bar{stroke:var(--c);stroke-width:1.2}</style>"
    )


def _panel(index: int, panel: Panel, results: Results) -> Iterator[str]:
    left = LEFT + index * (PANEL + GAP)
    yield f'<text class="name" x="{left}" y="56">{escape(panel.title)}</text>'
    yield f'<text class="small" x="{left}" y="73">{escape(panel.subtitle)}</text>'
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent / 100)
        yield f'<line class="grid" x1="{left}" y1="{y}" x2="{left + PANEL}" y2="{y}"/>'
        yield f'<text class="small" x="{left - 6}" y="{y + 4}" text-anchor="end">{percent}</text>'
    found = {
        cell.n: rates for cell, rates in results.items() if cell.truth == panel.truth and cell.buckets == panel.buckets
    }
    sizes = sorted(found)
    xs = _positions(sizes, left)
    for n, x in zip(sizes, xs, strict=True):
        yield f'<text class="small" x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{n:,}</text>'
    middle, below = left + PANEL // 2, BOTTOM + 36
    yield f'<text class="small" x="{middle}" y="{below}" text-anchor="middle">examples in a bucket (log scale)</text>'
    for number, line in reversed(list(enumerate(LINES))):
        yield from _curve(number, line, xs, [found[n][line.rule] for n in sizes])


def _curve(number: int, line: Line, xs: Sequence[float], rates: Sequence[Rate]) -> Iterator[str]:
    yield f'<g class="r{number}"><title>{escape(line.rule)}</title>'
    points = " ".join(f"{x},{_y(rate.share)}" for x, rate in zip(xs, rates, strict=True))
    yield _polyline(line, points)
    for x, rate in zip(xs, rates, strict=True):
        low, high = rate.interval
        yield f'<line class="bar" x1="{x}" y1="{_y(low)}" x2="{x}" y2="{_y(high)}"/>'
        yield _marker(line.marker, x, _y(rate.share))
    yield "</g>"


def _polyline(line: Line, points: str) -> str:
    return f'<polyline class="line" points="{points}" stroke-dasharray="{line.dash or "none"}"/>'


def _legend() -> Iterator[str]:
    step = (WIDTH - 2 * LEFT) / len(LINES)
    for number, line in enumerate(LINES):
        x, y = round(LEFT + number * step, 1), HEIGHT - 28
        yield f'<g class="r{number}">{_polyline(line, f"{x},{y} {x + 40},{y}")}{_marker(line.marker, x + 20, y)}</g>'
        yield f'<text x="{x + 47}" y="{y + 4}">{escape(line.rule)}</text>'


def _marker(kind: str, x: float, y: float) -> str:
    around = {
        "square": [(-4, -4), (4, -4), (4, 4), (-4, 4)],
        "triangle": [(0, -5), (5, 4), (-5, 4)],
        "diamond": [(0, -5), (5, 0), (0, 5), (-5, 0)],
    }
    if kind in around:
        corners = " ".join(f"{round(x + dx, 1)},{round(y + dy, 1)}" for dx, dy in around[kind])
        return f'<polygon class="mark" points="{corners}"/>'
    if kind == "cross":
        x, y = round(x, 1), round(y, 1)
        return f'<path class="mark" d="M{x} {y}m-4 -4l8 8m0 -8l-8 8"/>'
    return f'<circle class="{"hollow" if kind == "ring" else "mark"}" cx="{round(x, 1)}" cy="{y}" r="4"/>'


def _y(share: float) -> float:
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _positions(sizes: Sequence[int], left: int) -> list[float]:
    if len(sizes) < 2:
        return [left + PANEL / 2] * len(sizes)
    low, high = math.log(sizes[0]), math.log(sizes[-1])
    return [round(left + 12 + (math.log(n) - low) / (high - low) * (PANEL - 24), 1) for n in sizes]
