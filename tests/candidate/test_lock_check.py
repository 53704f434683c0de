"""Stage one: what is installed against what the lock names."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from lynxgate.candidate.lock_check import check_lock
from lynxgate.errors import CannotJudge, IntegrityFailure


def pin(name: str, version: str | None = None) -> str:
    return f"{name}=={version or metadata.version(name)} \\\n    --hash=sha256:{'0' * 64}\n    # via something==9.9\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text(text)
    return path


@pytest.mark.slow
def test_packages_that_match_the_lock_are_counted(tmp_path: Path) -> None:
    assert check_lock(write(tmp_path, f"# a comment\n{pin('pydantic')}{pin('typer')}")) == 2


def test_names_are_compared_as_package_indexes_do(tmp_path: Path) -> None:
    version = metadata.version("pydantic-core")
    assert check_lock(write(tmp_path, pin("Pydantic_Core", version) + pin("pydantic.core", version))) == 2


@pytest.mark.slow
def test_a_marker_after_the_version_does_not_belong_to_it(tmp_path: Path) -> None:
    assert check_lock(write(tmp_path, f"pydantic=={metadata.version('pydantic')} ; python_version >= '3.11'\n")) == 1


def test_another_version_and_a_missing_package_are_named(tmp_path: Path) -> None:
    lock = write(tmp_path, pin("pydantic", "0.1") + pin("no-such-package-at-all", "1.0") + pin("typer"))
    with pytest.raises(IntegrityFailure) as failure:
        check_lock(lock)
    message = str(failure.value)
    assert f"pydantic is {metadata.version('pydantic')}, locked 0.1" in message
    assert "no-such-package-at-all is missing, locked 1.0" in message
    assert "typer" not in message
    assert f"pip install -r {lock}" in message
    assert "just" not in message


@pytest.mark.slow
def test_the_advice_fits_the_repository(tmp_path: Path) -> None:
    lock = write(tmp_path, pin("pydantic", "0.1"))
    (tmp_path / "Justfile").write_text("# no recipe of that name\ntest:\n    pytest\n")
    with pytest.raises(IntegrityFailure, match="pip install -r"):
        check_lock(lock)
    (tmp_path / "Justfile").write_text("setup:\n    uv pip sync requirements.lock\n")
    with pytest.raises(IntegrityFailure, match=r"run `just setup`$"):
        check_lock(lock)


@pytest.mark.slow
def test_only_pins_for_this_platform_count(tmp_path: Path) -> None:
    """As `uv export` writes them: one package in two versions, and packages of other systems."""
    version = metadata.version("numpy")
    text = (
        f"numpy==1.0 ; python_full_version < '3.9' \\\n    --hash=sha256:{'0' * 64}\n"
        f"numpy=={version} ; python_full_version >= '3.9' \\\n    --hash=sha256:{'0' * 64}\n"
        'colorama==0.4.6 ; sys_platform == "win32" --hash=sha256:00\n'
        f"uvicorn[standard]=={metadata.version('uvicorn')}\n"
    )
    assert check_lock(write(tmp_path, text)) == 2
    with pytest.raises(IntegrityFailure, match=f"numpy is {version}, locked 1.0"):
        check_lock(write(tmp_path, text.replace("< '3.9'", "> '3.9'")))
    with pytest.raises(CannotJudge, match="pins nothing for this platform"):
        check_lock(write(tmp_path, "colorama==0.4.6 ; sys_platform == 'win32'\n"))


@pytest.mark.slow
def test_a_marker_that_cannot_be_read_skips_nothing(tmp_path: Path) -> None:
    for marker in ("sys_platform ==", "(" * 900, "no_such_name == 'x'", "x" * 5000):
        with pytest.raises(IntegrityFailure, match=r"locked 0\.1"):
            check_lock(write(tmp_path, f"pydantic==0.1 ; {marker}\n"))


def test_of_many_differences_three_are_named(tmp_path: Path) -> None:
    lock = write(tmp_path, "".join(pin(f"no-such-package-{number}", "1.0") for number in range(5)))
    with pytest.raises(IntegrityFailure, match="and 2 more"):
        check_lock(lock)


@pytest.mark.parametrize("text", ["", "# nothing\n", "pydantic>=2\n", "\x00"])
def test_a_lock_that_pins_nothing_decides_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(CannotJudge, match="pins nothing"):
        check_lock(write(tmp_path, text))


def test_a_missing_or_binary_lock_decides_nothing(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=r"--lock.*pip freeze > .*requirements\.lock.*--no-lock"):
        check_lock(tmp_path / "requirements.lock")
    (tmp_path / "binary.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CannotJudge, match="--lock"):
        check_lock(tmp_path / "binary.lock")


def test_the_lock_of_this_checkout_names_what_runs_it() -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    for name in ("uv", "rust-just", "pytest", "mlflow", "dvc", "boto3"):
        assert f"\n{name}==" in lock
    assert "://" not in lock
