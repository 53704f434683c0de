"""A Python is found from files alone: what it needs is shown to the sandbox, and nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minieval.command import run
from minieval.contract.exits import CannotJudge
from minieval.contract.report import parse_evaluation
from minieval.environment.difference import find_installed
from minieval.runner.interpreter import find_built_python, find_gates_python, find_named_python
from tests.minieval.candidates import UPPER, upper_rows, write_bundle, write_rows

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment, with a package that writes a file as soon as its Python starts."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = tmp_path / "venv" / "lib" / f"python{MINOR}" / "site-packages"
    (packages / "trap.pth").write_text(f"import os; open({str(tmp_path / 'started')!r}, 'w').close()\n")
    (packages / "numpy-1.2.3.dist-info").mkdir()
    (packages / "numpy-1.2.3.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.2.3\n")
    return tmp_path / "venv"


def test_a_virtual_environment_and_the_installation_below_it(environment: Path) -> None:
    found = find_named_python(str(environment / "bin" / "python"))
    assert found.executable == str(environment / "bin" / "python")
    assert found.roots[0] == str(environment)
    assert all(Path(root).exists() and root not in ("/", str(Path.home())) for root in found.roots)
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.packages == (environment / "lib" / f"python{MINOR}" / "site-packages",)
    base = find_named_python(str(Path(sys.executable).resolve()))
    assert (base.version or "").startswith(MINOR)
    built = find_built_python(environment, base)
    assert set(built.roots) == {str(environment), *base.roots}
    assert find_gates_python().executable == sys.executable


def test_what_an_environment_claims_of_itself_shows_nothing_more(environment: Path, tmp_path: Path) -> None:
    """``pyvenv.cfg`` may have been written by a package."""
    (environment / "pyvenv.cfg").write_text(f"home = {tmp_path}\nversion = \x1b[2J\n")
    found = find_named_python(str(environment / "bin" / "python"))
    assert str(tmp_path) not in found.roots
    assert (found.version or "3.1").startswith("3.1")
    metadata = environment / "lib" / f"python{MINOR}" / "site-packages" / "numpy-1.2.3.dist-info" / "METADATA"
    for text in ("Name: numpy\nVersion: \x1b[2J\n", "Name: numpy\n", "", "\x00"):
        metadata.write_text(text)
        assert find_installed(["numpy", "absent"], found.packages) == {"numpy": "an unreadable version"}


def test_what_is_no_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "lib" / "python3.11").mkdir(parents=True)
    (home / "lib" / "python3.11" / "os.py").touch()
    (home / "bin").mkdir()
    for program in (home / "bin" / "python", tmp_path / "bin" / "python"):
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    for name, words in (
        (tmp_path / "none", "no such program"),
        (tmp_path, "no such program"),
        (tmp_path / "bin" / "python", r"has no lib/python3"),
        (home / "bin" / "python", r"has no lib/python3"),
    ):
        with pytest.raises(CannotJudge, match=words):
            find_named_python(str(name))


def test_its_packages_are_compared_and_it_starts_in_the_sandbox_alone(
    environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "eval" / "rows.jsonl", upper_rows(3))
    made = write_bundle(tmp_path / "bundle", UPPER, files={"requirements.txt": b"numpy>=2\nmlflow\n"})
    arguments = ["--bundle", str(made), "--eval-set", str(rows), "--output", str(tmp_path / "o.json")]
    assert run([*arguments, "--isolation", "bwrap", "--python", str(environment / "bin" / "python")]) == 3
    err = capsys.readouterr().err
    assert "numpy>=2 (1.2.3 is installed), mlflow (not installed)" in err
    assert "No module named 'mlflow' (install it in that Python, or use --python model)" in err
    assert not (tmp_path / "started").exists()
    inside = write_rows(environment / "rows.jsonl", upper_rows(3))
    assert run([*arguments, "--eval-set", str(inside), "--python", str(environment / "bin" / "python")]) == 3
    assert "visible to the candidate" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gates_own_python_by_its_path(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "eval" / "rows.jsonl", upper_rows(3))
    made = write_bundle(tmp_path / "bundle", UPPER, files={"requirements.txt": b"mlflow>=3\n"})
    task = tmp_path / "eval.toml"
    task.write_text(
        'schema = "minieval.task/1"\nid = "id"\n[buckets]\nlists = ["buckets"]\n'
        f'[model]\npython = "{sys.executable}"\nmemory_mb = 1000\n'
    )
    arguments = ["--bundle", str(made), "--eval-set", str(rows), "--output", str(tmp_path / "o.json")]
    assert run([*arguments, "--task", str(task)]) == 0
    found = parse_evaluation((tmp_path / "o.json").read_bytes()).model_environment
    assert found is not None
    assert (found.interpreter, found.requirements, found.differences) == ("path", 1, ())
    assert run([*arguments, "--task", str(task), "--python", "gate"]) == 0
    found = parse_evaluation((tmp_path / "o.json").read_bytes()).model_environment
    assert found is not None
    assert found.interpreter == "gate"
