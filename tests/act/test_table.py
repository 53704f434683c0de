"""The scenario table names nothing but scenarios that a test holds."""

from __future__ import annotations

from tests.act.repository import ROOT
from tests.act.table import PAGE


def test_every_row_has_its_test() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    source = (ROOT / "tests/act/test_scenarios.py").read_text()
    assert len(rows) == len(set(rows)) > 20
    for row in rows:
        assert f'"{row}"' in source
