"""Exit codes: the README's table is that of the code, and for each code a real command ends with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.blocks import read_page

from minieval.contract.exits import MEANINGS, Exit
from tests.samples import AFTER, BEFORE, baseline, evaluation

ROOT = Path(__file__).parent.parent
COMPARE = ["lynxgate", "compare"]
FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 500}}
DOCUMENTS = {
    "eval_baseline.json": baseline(BEFORE),
    "candidate_eval.json": evaluation(AFTER),
    "fallen.json": evaluation(FALLEN),
    "other_set.json": evaluation(AFTER, eval_set={"dvc_md5": "0" * 32}),
}
COMMANDS: list[tuple[Exit, list[str]]] = [
    (Exit.OK, COMPARE),
    (Exit.OK, ["python", "-m", "scripts.mlops.compare_baseline", "--tolerance", "0.02"]),
    (Exit.OK, ["lynxgate", "--help"]),
    (Exit.OK, ["lynxgate", "--version"]),
    (Exit.OK, ["python", "-m", "lynxgate", "compare"]),
    (Exit.OK, ["minieval", "--version"]),
    (Exit.OK, ["python", "-m", "scripts.mlops.registry", "promote", "--help"]),
    (Exit.BUG, COMPARE),
    (Exit.REGRESSION, [*COMPARE, "--candidate", "fallen.json"]),
    (Exit.CANNOT_JUDGE, [*COMPARE, "--candidate", "missing.json"]),
    (Exit.INTEGRITY, [*COMPARE, "--candidate", "other_set.json"]),
    (Exit.UNAVAILABLE, ["lynxgate", "fetch", "--run-id", "e" * 32, "--tracking-uri", "http://127.0.0.1:1"]),
    (Exit.REFUSED, [*COMPARE, "--tolerance", "0.03"]),
    (Exit.REFUSED, ["lynxgate", "gate", "--run-id", "e" * 32, "--semver", "v0.1.0"]),
    (Exit.USAGE, [*COMPARE, "--tolerance", "2 pp"]),
    (Exit.USAGE, [*COMPARE, "--nope"]),
    (Exit.USAGE, ["lynxgate", "nope"]),
    (Exit.USAGE, ["python", "-m", "lynxgate", "nope"]),
    (Exit.USAGE, ["lynxgate", "gate", "--semver", "v0.1.0"]),
    (Exit.USAGE, ["python", "-m", "scripts.mlops.compare_baseline", "extra"]),
    (Exit.USAGE, ["python", "-m", "scripts.mlops.registry", "promote", "--semver", "v0.1.0"]),
    (Exit.USAGE, ["python", "-m", "minieval", "--nope"]),
]


def test_the_readme_has_every_code_with_its_meaning() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", read_page("exit codes"), re.MULTILINE)
    assert [(int(number), name, meaning) for number, name, meaning in rows] == [
        (int(code), code.name, MEANINGS[code]) for code in Exit
    ]


def test_every_code_has_a_command() -> None:
    # Exit.INTERRUPTED: tests/cli/test_conditions.py, with a signal.
    assert {code for code, _ in COMMANDS} == set(Exit) - {Exit.INTERRUPTED}


@pytest.mark.parametrize(("code", "command"), COMMANDS, ids=lambda value: value.name if isinstance(value, Exit) else "")
@pytest.mark.slow
def test_a_command_ends_with_its_code(code: Exit, command: list[str], tmp_path: Path) -> None:
    for name, tree in DOCUMENTS.items():
        (tmp_path / name).write_text(json.dumps(tree))
    paths = [str(ROOT)]
    if code is Exit.BUG:
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "rfc8785.py").write_text("raise RuntimeError('this installation is broken')\n")
        paths.insert(0, str(tmp_path / "broken"))
    program = str(Path(sys.executable).parent / command[0])
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [program, *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("Traceback" in done.stderr) == (code is Exit.BUG)
    if code is Exit.REGRESSION:
        assert done.stdout.startswith("| bucket |")
    elif code is not Exit.OK:
        assert done.stdout == ""
        assert done.stderr.strip()
