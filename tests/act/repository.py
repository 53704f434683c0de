"""A repository like this one, with the shipped workflow, a small eval set, and a pull request from a hostile branch.

- ``main`` is what the working tree has of the gate (code, lock, workflow), a baseline, and a DVC remote beside it.
- The pull request's branch breaks all that must not be taken from it: gate, scripts, lock, DVC settings, baseline. Its
  copy of the calling workflow is the shipped one, since GitHub would run that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.minieval.candidates import model, write_bundle
from tests.servers import MlflowServer, log_bundle, once

ROOT = Path(__file__).parent.parent.parent
NAME = "lynxgate/lynxgate"
EVAL_SET = "data/eval/phase-20.jsonl"
ROWS = 60
TAKEN = (
    "src",
    "scripts",
    ".ci",
    ".github/workflows",
    "requirements.lock",
    "requirements-gate.lock",
    "requirements-report.lock",
    "pyproject.toml",
    ".dvc/config",
)
GOOD = model("return [prompt.upper() for prompt in frame['prompt']]")
DEGRADED = model("return ['mangled' if int(p.split()[1]) % 10 == 3 else p.upper() for p in frame['prompt']]")
HOSTILE = {
    "src/lynxgate/decision/decide.py": "raise SystemExit('the gate of the pull request ran')\n",
    "scripts/mlops/registry.py": "raise SystemExit('a script of the pull request ran')\n",
    ".ci/stage": "#!/bin/sh\necho 'a stage of the pull request ran' >&2; exit 0\n",
    ".ci/install": "#!/bin/sh\necho 'an install of the pull request ran' >&2; exit 9\n",
    "requirements.lock": "nothing==0.0.0\n",
    "requirements-gate.lock": "nothing==0.0.0\n",
    "requirements-report.lock": "nothing==0.0.0\n",
    ".dvc/config": "[core]\n    remote = theirs\n['remote \"theirs\"']\n    url = /nowhere\n",
    f"{EVAL_SET}.dvc": "outs:\n- md5: 00000000000000000000000000000000\n  path: phase-20.jsonl\n  hash: md5\n",
    "eval_baseline.json": "{}\n",
    ".github/workflows/promote.yml": "on: workflow_call\njobs: {}\n",
}


@dataclass(frozen=True)
class Repository:
    """A git repository whose worktree is the pull request's head."""

    root: Path
    name: str = NAME

    @property
    def base(self) -> str:
        """The commit of ``main``."""
        return self.git("rev-parse", "main")

    @property
    def head(self) -> str:
        """The pull request's head."""
        return self.git("rev-parse", "candidate")

    def git(self, *arguments: str) -> str:
        """Run git here; its stdout."""
        who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit_on_main(self, files: dict[str, str]) -> None:
        """Somebody merges ``files`` into main while the pull request is open."""
        self.git("checkout", "--quiet", "main")
        write(self.root, files)
        self.git("commit", "--quiet", "--all", "--message", "Meanwhile")
        self.git("checkout", "--quiet", "candidate")


def copy_repository(shared: Path, root: Path) -> Repository:
    """Copy the repository that is made once per session to ``root``."""
    shared.mkdir(parents=True, exist_ok=True)
    made = once(shared, "act-repository", lambda: str(make_repository(shared / "act-repository").root))
    shutil.copytree(made, root, symlinks=True)
    return Repository(root)


def make_repository(root: Path) -> Repository:
    """A new one at ``root``."""
    root.mkdir(parents=True)
    repository = Repository(root)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.git("remote", "add", "origin", f"https://github.com/{repository.name}")
    for name in TAKEN:
        source, destination = ROOT / name, root / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, destination)
    add_eval_set(root)
    write(root, {".gitignore": "__pycache__/\n", f"{Path(EVAL_SET).parent}/.gitignore": "/phase-20.jsonl\n"})
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "The base")
    repository.git("checkout", "--quiet", "-b", "candidate")
    write(root, HOSTILE)
    repository.git("commit", "--quiet", "--all", "--message", "A candidate")
    return repository


def make_bundle(folder: Path, source: str) -> Path:
    """A candidate whose code is ``source``."""
    return write_bundle(folder, source)


def candidate_bundles(shared: Path, server: MlflowServer) -> dict[str, Path]:
    """``good`` and ``degraded``, made once per session; read only."""

    def make() -> dict[str, str]:
        log_bundle(server.url, None)  # makes the experiment, which two processes at once could not
        sources = {"good": GOOD, "degraded": DEGRADED}
        return {name: str(make_bundle(shared / "act-bundles" / name, source)) for name, source in sources.items()}

    return {name: Path(folder) for name, folder in once(shared / "mlflow", "act-bundles", make).items()}


def baseline(correct: int = ROWS // 2, md5: str | None = None) -> str:
    """The committed baseline; ``correct`` of each bucket's 30 rows, for another eval set when ``md5`` is given."""
    data = eval_rows()
    half = ROWS // 2
    document: dict[str, Any] = {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": EVAL_SET,
        "eval_set_dvc_hash": md5 or hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "eval_set_sha256": hashlib.sha256(data).hexdigest(),
        "source": {"canonical_sha": "0" * 64, "semver": "v0.3.0", "mlflow_run_id": "0" * 32},
        "policy": {"rule": "point", "tolerance_pp": 2.0, "min_isolation": "bwrap"},
        "buckets": {name: {"n": half, "correct": correct} for name in ("tense.past_participle", "tense.past_simple")},
    }
    return json.dumps(document, indent=2) + "\n"


def eval_rows() -> bytes:
    """The eval set: odd rows are participles."""
    rows = []
    for number in range(ROWS):
        bucket = "tense.past_participle" if number % 2 else "tense.past_simple"
        rows.append({"id": f"r{number}", "prompt": f"word {number}", "expected": f"WORD {number}", "buckets": [bucket]})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(root: Path, files: dict[str, str]) -> None:
    """Write files below ``root``; what is executable stays so."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def add_eval_set(root: Path) -> None:
    """The eval set in a remote beside it, its .dvc file, and a baseline."""
    data = eval_rows()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- md5: {md5}\n  size: {len(data)}\n  hash: md5\n  path: {Path(EVAL_SET).name}\n"
    write(root, {f"{EVAL_SET}.dvc": pointer, "eval_baseline.json": baseline()})
    stored = root / "data/remote/files/md5" / md5[:2] / md5[2:]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(data)
