"""The table of kills in docs/reliability.md is what kills leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.blocks import read_page

from tests.promotion.kill_table import table


@pytest.mark.heavy
@pytest.mark.slow
def test_the_page_shows_what_a_kill_at_each_step_leaves(memory: Path) -> None:
    assert read_page("kills") == "".join(f"{line}\n" for line in table(memory))
