"""The one app: every command is registered under the name that the table says, and help shows them all."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import lynxgate.cli
from lynxgate.cli.app import MODULES, build, run


def names(*modules: str) -> set[str]:
    command = typer.main.get_command(build(modules))
    assert isinstance(command, typer.core.TyperGroup)
    return set(command.commands)


@pytest.mark.parametrize("module", [name for name, registered in MODULES.items() if registered != ("ci",)])
def test_a_module_registers_what_the_table_says(module: str) -> None:
    assert names(module) == set(MODULES[module])


def test_modules_of_one_group_come_together(capfd: pytest.CaptureFixture[str]) -> None:
    assert names("ci", "propose", "keep") == {"ci"}
    assert run(["ci", "--help"]) == 0
    shown = capfd.readouterr().out
    assert all(f"  {name} " in shown for name in ("request", "comment", "check", "rebaseline-pr", "keep"))


def test_the_table_has_every_module() -> None:
    sources = Path(lynxgate.cli.__path__[0]).glob("*.py")
    assert {each.stem for each in sources if "\ndef register(" in each.read_text()} == set(MODULES)


def test_help_shows_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capfd.readouterr().out
    assert all(f"  {name} " in shown for registered in MODULES.values() for name in registered)


def test_no_command_and_one_that_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["nonsense"]) == 64
    assert capfd.readouterr().err == "lynxgate: No such command 'nonsense'. (see lynxgate --help)\n"
    for words in ([], ["registry"]):
        assert run(words) == 64
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("Usage: lynxgate")
        assert "\n  promote " in printed.err
