"""Every guard that docs/threats.md claims is seen to block by a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/threats.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| attack")]
OURS_ALONE_CANNOT = ("GitHub's own;", "can be seen only there")


@cache
def named_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_has_all_six_kinds_of_access() -> None:
    assert re.findall(r"^## A (\w+)$", PAGE, re.M) == ["label", "comment", "branch", "bundle", "cache", "token"]
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_each_row_names_a_guard_and_a_test(row: str) -> None:
    _, who, guard, tests, _ = row.split("|")
    assert who.strip()
    assert guard.strip()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert named or any(each in tests for each in OURS_ALONE_CANNOT)
    for path, name in named:
        assert name in named_in(path), f"{path} has no {name}"
