"""A checkout of the end-to-end tests' own: what git would commit of this one, committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's settings; what it prints."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=True)
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """The environment of a user who has activated nothing: the .venv's commands on PATH, none of our variables."""
    dropped = ("LYNX", "MLFLOW_", "GITHUB_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clean checkout of the present sources, with DVC's remote but without pulled data."""
    folder = tmp_path / "checkout"
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is")
    return folder
