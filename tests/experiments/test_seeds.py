"""Fresh seeds under `guard`, as the script is run: a clean tutor passes, a mangled one fails where it was mangled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from build_eval_set import main as build_eval_set

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("experiment")]

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "38-ci-gate" / "seeds.py"
ROW = re.compile(r"\| (\d+) \| ([+-]\d+\.\d\d) pp \| (.*) \| ([+-]\d+\.\d\d) pp \| (.*) \|")
SEEDS = (102, 103)


def judge_seeds(place: Path) -> tuple[int, list[tuple[str, ...]]]:
    """The script's exit code and the rows of its table."""
    command = [sys.executable, str(SCRIPT), "--seeds", str(len(SEEDS)), "--first", str(SEEDS[0])]
    command += ["--eval-set", str(place / "phase-20.jsonl"), "--keep", str(place / "kept")]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [match.groups() for match in map(ROW.fullmatch, done.stdout.splitlines()) if match]


@pytest.mark.heavy
def test_fresh_seeds_pass_clean_and_fail_mangled_in_past_participles_alone(tmp_path: Path) -> None:
    build_eval_set(["--output", str(tmp_path / "phase-20.jsonl")])
    code, rows = judge_seeds(tmp_path)
    assert code == 0
    assert [int(seed) for seed, *_ in rows] == list(SEEDS)
    for _, clean, passed, mangled, failing in rows:
        assert (passed, failing) == ("passed", "tense.past_participle (regressed)")
        assert -1 < float(clean) < 1
        assert float(mangled) < float(clean) - 0.5

    # The kept evaluations are judged again, not trained again; and the script fails where a clean one does.
    kept = tmp_path / "kept"
    (kept / "seed-102-clean.json").write_bytes((kept / "seed-103-mangled.json").read_bytes())
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    code, rows = judge_seeds(tmp_path)
    assert code == 1
    assert rows[0][2] == "tense.past_participle (regressed)"
    assert rows[1][2] == "passed"
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == before
