"""A small DVC repository with a local remote, made by the real dvc command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROW = '{{"id": "{0}", "prompt": "walk {0}", "expected": "walked", "buckets": ["tense.past_simple"]}}\n'


@dataclass(frozen=True)
class DvcRepository:
    """A repository at ``root``: a file and a folder of rows, added and pushed to ``root/remote``."""

    root: Path

    @property
    def file(self) -> Path:
        """An eval set of one file."""
        return self.root / "rows.jsonl"

    @property
    def folder(self) -> Path:
        """An eval set of several files, one of them in a folder of its own."""
        return self.root / "rows"

    def run(self, *arguments: str) -> None:
        """Run dvc in the repository; what it prints is shown when it fails."""
        environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
        command = [sys.executable, "-W", "ignore", "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def forget(self) -> None:
        """Lose the data and DVC's local cache, as on a fresh clone."""
        self.file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.root / ".dvc" / "cache", ignore_errors=True)

    def remote_objects(self) -> list[Path]:
        """The files in the remote."""
        return sorted(path for path in (self.root / "remote").rglob("*") if path.is_file())


def make_dvc_repository(root: Path) -> DvcRepository:
    """A new repository; takes some seconds, so copy one that is there (`copy_dvc_repository`)."""
    root.mkdir(parents=True)
    repository = DvcRepository(root)
    repository.run("init", "--no-scm", "-q")
    repository.run("remote", "add", "-q", "-d", "store", "remote")
    repository.file.write_text("".join(ROW.format(n) for n in range(3)))
    (repository.folder / "deep").mkdir(parents=True)
    (repository.folder / "b.jsonl").write_text(ROW.format("b"))
    (repository.folder / "a.jsonl").write_text(ROW.format("a"))
    (repository.folder / "deep" / "ü.jsonl").write_text(ROW.format("ü"))
    repository.run("add", "-q", "rows.jsonl", "rows")
    repository.run("push", "-q")
    return repository


def copy_dvc_repository(source: Path, destination: Path) -> DvcRepository:
    """A copy that a test may change."""
    shutil.copytree(source, destination)
    return DvcRepository(destination)
