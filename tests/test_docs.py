"""The samples in the docs are run: a page's fenced blocks, in order, in a directory of the page's own.

- ``json document=evaluation`` (or ``baseline``, ``verdict``): the block is a valid document of that kind.
- any block with ``file=NAME``: it is written there for the commands that follow.
- ``console``: each line after ``$ `` is run by bash, and what it prints (stdout and stderr) is the lines below it; a
  line ``...`` there stands for any number of lines. ``$ echo $?`` prints the exit code of the command before.

A block inside an HTML comment is set-up that readers do not see. Blocks of other kinds are text.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lynxgate.decision.documents import KINDS
from minieval.contract.documents import parse_document

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
SLOW = ("adopt",)  # it makes a database of MLflow's, and a model in it
FENCE = re.compile(r"^```(?P<info>\w[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = {name.partition(".")[2].partition("/")[0]: kind for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Block:
    language: str
    options: dict[str, str]
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in FENCE.finditer(text):
        language, *options = match["info"].split()
        line = text[: match.start()].count("\n") + 1
        yield Block(language, dict(option.split("=", 1) for option in options if "=" in option), match["text"], line)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, and the lines it should print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, lines


def matches(expected: list[str], printed: list[str]) -> bool:
    pattern = "".join("(.*\n)*" if line == "..." else re.escape(line) + "\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def environment(home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(each, marks=[pytest.mark.slow] if each.stem in SLOW else [], id=each.stem) for each in PAGES],
)
def test_the_samples_of_the_page_work(page: Path, tmp_path: Path) -> None:
    folder, home = tmp_path / "here", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    code = 0
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if kind := block.options.get("document"):
            parse_document(block.text.encode(), DOCUMENTS[kind], where=place)
        if name := block.options.get("file"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text)
        if block.language == "console":
            for command, expected in commands(block.text):
                script = f"(exit {code}); {command}"
                done = subprocess.run(
                    ["bash", "-c", script], cwd=folder, env=environment(home), stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                )  # fmt: skip
                code = done.returncode
                printed = done.stdout.splitlines()
                assert matches(expected, printed), f"{place}: $ {command}\n" + done.stdout


def test_the_matcher_can_fail() -> None:
    assert matches(["a", "...", "c"], ["a", "b", "b", "c"])
    assert matches(["..."], [])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a.c"], ["abc"])


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
