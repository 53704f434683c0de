"""A file is written whole, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minieval.contract.exits import CannotJudge
from minieval.contract.writes import write_atomically, write_output


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match=r"."):
        write_atomically(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(CannotJudge, match="choose another --output"):
        write_output(target, b"new")


def test_a_write_that_is_killed_leaves_old_or_new(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"a" * 100_000)
    script = (
        "import sys, pathlib; from minieval.contract.writes import write_atomically as w\n"
        "print('go', flush=True)\n"
        "while True:\n    [w(pathlib.Path(sys.argv[1]), c * 100_000) for c in (b'a', b'b')]"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == b"go\n"
        for _ in range(200):
            data = target.read_bytes()
            assert len(data) == 100_000
            assert len(set(data)) == 1
        writer.kill()
        writer.wait()
    assert target.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
