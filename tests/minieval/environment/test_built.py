"""An environment is built from an index that the gate names, and nothing of it runs outside the sandbox."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from minieval.command import run
from minieval.contract.digests import digest_bytes
from minieval.contract.exits import CannotJudge
from minieval.contract.report import parse_evaluation
from minieval.environment.build import Builder, choose_builder
from minieval.environment.choose import choose_python
from minieval.environment.requirements import Asked, parse_lines
from minieval.environment.uv import Uv, find_uv, read_lock
from tests.minieval.candidates import UPPER, upper_rows, write_bundle, write_rows
from tests.minieval.environment.wheels import write_index, write_wheel

MLFLOW = {
    "mlflow/__init__.py": "",
    "mlflow/pyfunc.py": "def load_model(path):\n    import evil\n    return evil.answer\n",
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that the hostile package writes as soon as a Python that has it starts."""
    return tmp_path / "marker"


@pytest.fixture
def index(tmp_path: Path, marker: Path) -> str:
    pth = f"import os; os.close(os.open({str(marker)!r}, os.O_CREAT | os.O_WRONLY))\n"
    evil = {"evil.py": "answer = 42\n", "evil.pth": pth, "sitecustomize.py": pth}
    folder = tmp_path / "wheels"
    wheels = [
        write_wheel(folder, "mlflow", "3.0.0", MLFLOW, needs=("evil",)),
        write_wheel(folder, "mlflow", "2.0.0", MLFLOW, needs=("evil",)),
        write_wheel(folder, "evil", "1.0", evil),
    ]
    return write_index(tmp_path / "index", wheels)


def bundle(folder: Path, requirements: str, python: str = "") -> Path:
    files = {"requirements.txt": requirements.encode()}
    return write_bundle(folder, UPPER, files={**files, **({"python_env.yaml": python.encode()} if python else {})})


def nothing(_: str) -> None:
    pass


@pytest.mark.slow
def test_no_package_runs_while_it_is_built_compiled_and_kept(tmp_path: Path, index: str, marker: Path) -> None:
    made = bundle(tmp_path / "bundle", "mlflow<3\n")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        chosen = choose_python("model", made, tmp_path / name, Builder(index, tmp_path / "cache"), warn=nothing)
        assert chosen.packages == {"mlflow": "2.0.0", "evil": "1.0"}
        assert chosen.lock is not None
        assert chosen.described.lock_sha256 == digest_bytes(chosen.lock)
        assert read_lock(chosen.lock) == chosen.packages
    (packages,) = chosen.python.packages or ()
    assert list(packages.glob("mlflow/__pycache__/*.pyc"))
    assert (packages / "evil.pth").is_file()
    assert len(list((tmp_path / "cache" / "environments").iterdir())) == 1
    assert not marker.exists()
    subprocess.run([chosen.python.executable, "-c", ""], check=True)
    assert marker.exists(), "the trap works"


@pytest.mark.slow
def test_it_starts_in_the_sandbox_alone_and_ci_keeps_nothing(
    tmp_path: Path, index: str, marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = write_rows(tmp_path / "eval" / "rows.jsonl", upper_rows(3))
    made, output = bundle(tmp_path / "bundle", "mlflow\n"), tmp_path / "o.json"
    options = ["--bundle", str(made), "--eval-set", str(rows), "--output", str(output), "--python-index", index]
    assert run([*options, "--python", "model"]) == 3
    err = capsys.readouterr().err
    # The package's mlflow was found; it has no pandas.
    assert "No module named 'pandas' (the bundle's requirements.txt does not ask for it" in err
    assert not marker.exists()
    assert not (tmp_path / "cache").exists()
    assert not output.exists()
    assert run([*options, "--python", "model", "--isolation", "process"]) == 3
    assert "requires --isolation bwrap" in capsys.readouterr().err


@pytest.mark.slow
def test_what_has_no_solution_no_wheel_or_no_mlflow_is_one_sentence(tmp_path: Path, index: str) -> None:
    for number, (requirements, words) in enumerate(
        (
            ("mlflow==9\n", "uv could not resolve .*mlflow"),
            ("no-such-package-of-ours\n", "uv could not resolve .*no-such-package-of-ours"),
            ("evil\n", "does not ask for mlflow"),
            ("# nothing\n", "asks for nothing"),
        )
    ):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        made = bundle(scratch / "bundle", requirements)
        with pytest.raises(CannotJudge, match=words) as caught:
            choose_python("model", made, scratch, Builder(index), warn=nothing)
        assert str(caught.value).isprintable()
        assert index not in str(caught.value)


@pytest.mark.slow
def test_a_configuration_and_variables_are_not_obeyed(
    tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the current folder, of the user, and of the environment: the index stays the one that the gate names."""
    other = write_index(tmp_path / "other", [write_wheel(tmp_path / "more", "mlflow", "9.0.0", MLFLOW)])
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "uv.toml").write_text(f'[[index]]\nurl = "{other}"\ndefault = true\n')
    (folder / "pyproject.toml").write_text(f'[[tool.uv.index]]\nurl = "{other}"\ndefault = true\n')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("UV_DEFAULT_INDEX", other)
    monkeypatch.setenv("UV_INDEX", other)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    made = bundle(tmp_path / "bundle", "mlflow\n")
    chosen = choose_python("model", made, tmp_path, Builder(index), warn=nothing)
    assert chosen.packages["mlflow"] == "3.0.0"


@pytest.mark.slow
def test_another_minor_version_is_told_and_recorded(tmp_path: Path, index: str) -> None:
    made = bundle(tmp_path / "bundle", "mlflow\n", "python: 3.99.1\n")
    told: list[str] = []
    chosen = choose_python("model", made, tmp_path, Builder(index), warn=told.append)
    assert chosen.described.python_asked == "3.99.1"
    assert len(told) == 1
    assert told[0].startswith("the bundle asks for Python 3.99.1, and 3.1")


def test_a_lock_is_pins_and_hashes() -> None:
    digest = f"    --hash=sha256:{'0' * 64}"
    assert read_lock(
        f"a-b==1.0 \\\n{digest} \\\n{digest}\nc==2+cu1 ; python_version > '3' \\\n{digest}\n".encode()
    ) == {
        "a-b": "1.0",
        "c": "2+cu1",
    }
    for line in ("-e .", "--index-url https://example.org", "a @ file:///x \\", "a==1", digest):
        with pytest.raises(CannotJudge, match="line 1"):
            read_lock(line.encode())


def test_where_environments_are_kept(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert choose_builder(home, "") == Builder(None, tmp_path / ".cache" / "lynxgate")
    assert choose_builder({**home, "XDG_CACHE_HOME": "/kept"}, None).cache == Path("/kept/lynxgate")
    assert choose_builder({**home, "CI": "true"}, "https://x").cache is None


@pytest.mark.slow
def test_too_much_is_refused(tmp_path: Path, index: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    uv = Uv(find_uv(), home, tmp_path / "cache", index)
    asked = Asked(parse_lines("mlflow"))
    with pytest.raises(CannotJudge, match="has 2 packages; at most 1"):
        replace(uv, max_packages=1).resolve(asked.requirements, python="/usr/bin/python3")
    with pytest.raises(CannotJudge, match="larger than 0 MiB"):
        replace(uv, max_total_mb=0).resolve(asked.requirements, python="/usr/bin/python3")


def test_what_a_wheel_unpacks_to_in_the_cache_counts(tmp_path: Path) -> None:
    """The cache is on the disk too; what was in it before does not count."""
    home, cache, uv = (tmp_path / name for name in ("home", "cache", "uv"))
    home.mkdir()
    cache.mkdir()
    (cache / "earlier").write_bytes(bytes(5_000_000))
    for size, words in ((1_000_000, "could not make"), (3_000_000, "larger than 2 MiB")):
        uv.write_text(f'#!/bin/sh\nhead -c {size} /dev/zero > "$UV_CACHE_DIR/unpacked"\nexit 1\n')
        uv.chmod(0o755)
        with pytest.raises(CannotJudge, match=words):
            Uv(uv, home, cache, max_total_mb=2).install(b"", tmp_path / "environment", python="/usr/bin/python3")
        (cache / "unpacked").unlink()


@pytest.mark.slow
def test_the_gates_own_environment_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = write_rows(tmp_path / "eval" / "rows.jsonl", upper_rows(3))
    requirements = "mlflow\nnumpy==1.19\nno-such-package; python_version > '3'\nx; python_version < '3'\n-e ./code\n"
    made, output = bundle(tmp_path / "bundle", requirements, "python: 3.6.1\n"), tmp_path / "o.json"
    assert run(["--bundle", str(made), "--eval-set", str(rows), "--output", str(output)]) == 0
    found = parse_evaluation(output.read_bytes()).model_environment
    assert found is not None
    assert [(each.package, each.asked) for each in found.differences] == [
        ("numpy", "numpy==1.19"), ("no-such-package", "no-such-package"),
    ]  # fmt: skip
    assert found.differences[1].installed is None
    assert (found.requirements, found.unread, found.python_asked, found.interpreter) == (4, 1, "3.6.1", "gate")
    err = capsys.readouterr().err
    assert "asks for numpy==1.19 (" in err
    assert "no-such-package (not installed)" in err
    assert "Python 3.6.1" in err
    assert "1 of its lines" in err
    assert "--python model" in err
    assert "lock_sha256" not in json.loads(output.read_text())["model_environment"]
