"""The README's table of kills is what kills leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.readme import README, read_block

from tests.promotion.kill_table import table


@pytest.mark.slow
def test_the_readme_says_what_a_kill_at_each_step_leaves(memory: Path) -> None:
    assert read_block(README.read_text(), "kills") == "".join(f"{line}\n" for line in table(memory))
