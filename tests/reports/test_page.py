"""A verdict as a page: it is complete, and no text in it has an effect."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from lynxgate.decision.verdict import Verdict
from lynxgate.reports.page import render_page
from lynxgate.reports.verdict_table import tabulate
from tests.decision.guard_documents import guarding, latency, measuring
from tests.reports.test_verdict_table import HOSTILE
from tests.samples import AFTER, baseline, evaluation, judge

FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "p", "ul", "li", "div", "table", "thead", "tbody",
        "tr", "th", "td", "dl", "dt", "dd"}  # fmt: skip


class Reader(HTMLParser):
    """The tags of a page, its text cell by cell, and what its head forbids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile() -> Verdict:
    agreed = {name: {"n": 100, "correct": 90} for name in HOSTILE}
    return judge(evaluation({name: {"n": 100, "correct": 80} for name in HOSTILE}), baseline(agreed))


def test_the_page_has_every_row_and_the_inputs() -> None:
    verdict = judge(evaluation(FALLEN, aggregate={"accuracy": 0.95}), baseline(aggregate={"accuracy": 0.96}))
    page = Reader(render_page(verdict))
    (grid,) = tabulate(verdict)
    for cell in (*grid.columns, *(cell for row in grid.rows for cell in row if cell)):
        assert cell in page.texts
    assert verdict.summary in page.texts
    assert set(verdict.reasons) <= set(page.texts)
    assert verdict.inputs.baseline_sha256 in page.texts
    assert render_page(verdict) == render_page(verdict)


def test_metrics_have_a_table_of_their_own() -> None:
    verdict = judge(measuring(latency_ms_p95=latency("2.0")), guarding())
    page = Reader(render_page(verdict))
    assert page.tags.count("table") == 2
    assert "latency_ms_p95" in page.texts


@pytest.mark.parametrize("verdict", [hostile()])
def test_names_are_escaped(verdict: Verdict) -> None:
    text = render_page(verdict)
    page = Reader(text)
    assert set(page.tags) == TAGS
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}
    assert not re.search(r"https?://|<script|javascript:", text.replace("x](http://evil)", ""))
    assert "default-src 'none'" in text
