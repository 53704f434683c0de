"""A base installation has no pyarrow: it compares documents, and says what an eval set needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.minieval.candidates import upper_rows, write_rows
from tests.samples import BEFORE, baseline, evaluation, write

WITHOUT = """
import sys
sys.modules["pyarrow"] = None  # what an import of a package that is not there ends in
from lynxgate.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--eval-set", "set.jsonl"), 3)])
@pytest.mark.slow
def test_compare_needs_arrow_only_for_groups(more: tuple[str, ...], code: int, tmp_path: Path) -> None:
    (tmp_path / "eval_baseline.json").write_bytes(write(baseline(BEFORE)))
    (tmp_path / "candidate_eval.json").write_bytes(write(evaluation(BEFORE)))
    write_rows(tmp_path / "set.jsonl", upper_rows(3))
    command = [sys.executable, "-c", WITHOUT, "compare", *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert ("needs pyarrow; install lynxgate[arrow]" in done.stderr) == bool(more)
