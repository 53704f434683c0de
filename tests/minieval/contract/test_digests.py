"""Digests are those of the bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from minieval.contract.digests import digest_file


def test_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc" * 1_000_000)
    seen: list[int] = []
    md5, sha = digest_file(file, "md5", "sha256", progress=seen.append)
    expected = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout.split()[0]
    assert sha == expected
    assert len(md5) == 32
    assert sum(seen) == 3_000_000
