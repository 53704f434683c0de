"""The command line as a whole: which module adds which command, the help, versions, aliases and shell completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import lynxgate
import lynxgate.cli
from lynxgate.cli.app import MODULES, build, run
from lynxgate.cli.commands import Panel

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HEAVY = ("mlflow", "dvc", "boto3", "pandas", "numpy", "pyarrow", "scipy")


def find_commands(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command below ``command`` with its words, hidden ones and groups too."""
    for name, each in getattr(command, "commands", {}).items():
        yield (*names, name), each
        yield from find_commands(each, *names, name)


COMMANDS = dict(find_commands(typer.main.get_command(build())))
VISIBLE = [words for words, command in COMMANDS.items() if not command.hidden]
LEAVES = [words for words, command in COMMANDS.items() if not hasattr(command, "commands")]


def names(*modules: str) -> set[str]:
    return set(getattr(typer.main.get_command(build(modules)), "commands", {}))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_adds_the_names_of_the_table(module: str) -> None:
    assert names(module) == set(MODULES[module])


def test_the_table_has_every_module() -> None:
    sources = Path(lynxgate.cli.__path__[0]).glob("*.py")
    assert {each.stem for each in sources if "\ndef register(" in each.read_text()} == set(MODULES)


@pytest.mark.parametrize("group", ["ci", "registry", "baseline", "policy"])
def test_a_group_is_complete_when_only_its_modules_are_built(group: str) -> None:
    modules = [module for module, registered in MODULES.items() if group in registered]
    built = dict(find_commands(typer.main.get_command(build(modules))))
    assert {words for words in built if words[0] == group} == {words for words in COMMANDS if words[0] == group}


@pytest.mark.parametrize("words", [(), *VISIBLE], ids=" ".join)
def test_help_fits_80_columns(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    # A usage example is one command; it is not broken.
    shown = capfd.readouterr().out.partition("\n  Example:\n")[0]
    assert [line for line in shown.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("group", sorted({words[:-1] for words in VISIBLE}), ids=lambda words: " ".join(words) or "all")
def test_each_summary_is_a_short_sentence_and_is_shown_whole(
    group: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*group, "--help"]) == 0
    shown = capfd.readouterr().out
    for words in (each for each in VISIBLE if each[:-1] == group):
        summary = COMMANDS[words].help.partition("\n")[0]
        assert re.fullmatch(r"[A-Z].{5,47}\.", summary), summary
        assert re.search(rf"^  {words[-1]} +{re.escape(summary)}$", shown, re.MULTILINE)


def test_help_lists_the_commands_by_task(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capfd.readouterr().out
    titles = re.findall(r"^(\w+):$", shown, re.MULTILINE)
    assert titles == ["Options", "Gate", "Decide", "Baseline", "Registry", "CI", "Tools"]
    tools = shown.partition("\nTools:\n")[2]
    assert re.findall(r"^  (\S+) ", tools, re.MULTILINE) == ["import", "validate", "schema"]
    assert {COMMANDS[words].rich_help_panel for words in VISIBLE if len(words) == 1} <= set(Panel)


def test_help_is_plain_text(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert capfd.readouterr().out.isascii()


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_command_has_an_example_and_explains_each_option(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    example = command.epilog.partition("Example:\n  ")[2].splitlines()
    assert example and all(line.split()[0] == "lynxgate" for line in example)
    assert [each.name for each in command.params if not each.help] == []


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_an_example_names_options_that_the_command_has(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    example = command.epilog.partition("Example:\n")[2]
    known = {option for each in command.params for option in each.opts}
    assert set(re.findall(r"(?<= )--[a-z-]+", example)) <= known
    name = " ".join(words).replace(" arm", " activate").replace(" keep", " archive")
    assert all(line.split("lynxgate ")[1].startswith(name) for line in example.splitlines())


@pytest.mark.parametrize(
    ("alias", "words"), [(("baseline", "arm"), ("baseline", "activate")), (("ci", "keep"), ("ci", "archive"))]
)
def test_an_earlier_name_works_and_is_hidden(alias: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert COMMANDS[alias].hidden
    assert not COMMANDS[words].hidden
    assert COMMANDS[alias].callback.__wrapped__ is COMMANDS[words].callback.__wrapped__


def test_no_command_and_an_unknown_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["nonsense"]) == 64
    assert capfd.readouterr().err == "lynxgate: No such command 'nonsense'. (see lynxgate --help)\n"
    for words in ([], ["registry"]):
        assert run(words) == 64
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("Usage: lynxgate")
        assert "\n  promote " in printed.err


@pytest.mark.parametrize(
    "command",
    [
        ["lynxgate", "--version"],
        ["python", "-m", "lynxgate", "--version"],
        ["minieval", "--version"],
        ["python", "-m", "minieval", "--version"],
    ],
    ids=" ".join,
)
def test_each_program_prints_its_version(command: list[str]) -> None:
    printed = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=True)
    program = "minieval" if "minieval" in command else "lynxgate"
    assert (printed.stdout, printed.stderr) == (f"{program} {lynxgate.__version__}\n", "")


def test_help_loads_no_heavy_package() -> None:
    look = f"import sys; from lynxgate.cli.app import run; run(['--help']); print(set(sys.modules) & set({HEAVY}))"
    printed = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert printed.stdout.endswith("\nset()\n")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("lynxgate comp", ["compare"]),
        ("lynxgate registry ro", ["rollback"]),
        ("lynxgate baseline a", ["activate"]),
        ("lynxgate compare --cand", ["--candidate"]),
    ],
)
@pytest.mark.slow
def test_the_shell_completes_commands_and_options(typed: str, completed: list[str]) -> None:
    """The call is the one that the script of `--show-completion` makes."""
    words = {"_LYNXGATE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    printed = subprocess.run(
        [BIN / "lynxgate"], env={**os.environ, **words}, capture_output=True, text=True, check=True
    )
    assert printed.stdout.split() == completed


@pytest.mark.slow
def test_the_completion_script_can_be_shown(tmp_path: Path) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    script = subprocess.run(
        [BIN / "lynxgate", "--show-completion", "bash"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "_LYNXGATE_COMPLETE=complete_bash" in script
    typed = "COMP_WORDS=(lynxgate comp); COMP_CWORD=1; _lynxgate_completion lynxgate"
    sourced = f'source /dev/stdin; {typed}; echo "${{COMPREPLY[@]}}"'
    path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    reply = subprocess.run(["bash", "-c", sourced], input=script, env=path, capture_output=True, text=True, check=True)
    assert reply.stdout == "compare\n"
