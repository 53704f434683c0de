"""An eval set in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.minieval.candidates import upper_rows, write_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An eval set of ten rows in four files of a folder, and a file that does not belong to it."""
    root = tmp_path / "eval"
    rows = upper_rows(9)
    write_rows(root / "b.jsonl", rows[3:6])
    write_rows(root / "a.jsonl", rows[:3])
    write_rows(root / "sub" / "c.jsonl", rows[6:])
    write_rows(root / "sub-2" / "d\u00e9.jsonl", [upper_rows(10)[9]])
    (root / "README.md").write_text("about")
    return root
