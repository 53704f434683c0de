"""The README's first command, from a clean checkout: what it prints, in which order, twice, leaving no trace."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.blocks import comparable, find_refusal, read_page, shown

from tests.e2e.conftest import environment, git

ORDER = [
    r"^data/eval/phase-20\.jsonl: md5 [0-9a-f]{32}, sha256 [0-9a-f]{64}: matches eval_baseline\.json and .*$",
    r"^== The baseline$",
    r"^status +active$",
    r"^== The clean candidate$",
    r"^\[1/6\] environment: \d+ packages match requirements\.lock$",
    r"^\[2/6\] eval set: .*$",
    r"^\[3/6\] candidate: run [0-9a-f]{32} is [0-9a-f]{64} .*$",
    r"^\[4/6\] evaluation: .*$",
    r"^\[5/6\] comparison: passed: 11 of 11 buckets held .*$",
    r"^\[6/6\] promotion: promoted v0\.3\.1; previous version: none$",
    r"^promoted v0\.3\.1 [0-9a-f]{64}$",
    r"^== The degraded candidate.*$",
    r"^\[5/6\] comparison: failed: .*$",
    r"^\[6/6\] promotion: none; registry and MLflow are unchanged$",
    r"^\| bucket .*\n\| --- .*\n\| `tense\.past_participle` .* regressed \|\nexit 2$",
    r"^already promoted v0\.3\.1 [0-9a-f]{64}$",
    r"^== Where to look$",
    r"^promoted +v0\.3\.1 .* production$",
    r"^registry +.*tags\.json.*$",
]


def run_demo(checkout: Path) -> str:
    command = [sys.executable, "experiments/38-ci-gate/demo.py"]
    done = subprocess.run(
        command, cwd=checkout, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.heavy)], ids=["once", "twice"])
def test_the_demo_prints_what_its_page_shows_and_leaves_the_tree_clean(times: int, checkout: Path) -> None:
    first = run_demo(checkout)
    position = 0
    for expected in ORDER:
        found = re.compile(expected, re.MULTILINE).search(first, position)
        assert found, f"not after position {position}: {expected}\n{first}"
        position = found.end()
    assert git(checkout, "status", "--porcelain") == ""

    for _ in range(times - 1):
        again = run_demo(checkout)
        assert git(checkout, "status", "--porcelain") == ""
        assert comparable(shown(again)) == comparable(shown(first))
    assert comparable(read_page("demo")) == comparable(shown(first)), "run `just readme`"
    assert comparable(read_page("refusal")) == comparable(find_refusal(shown(first))), "run `just readme`"
