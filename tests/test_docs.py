"""The samples in the docs are run: a page's fenced blocks, in order, in a directory of the page's own.

- ``document=evaluation`` (or ``baseline``, ``verdict``): the block is a valid document of that kind.
- ``file=NAME``: the block is written there for the commands that follow.
- ``console``: each line after ``$ `` is run by bash, and what it prints (stdout and stderr) is the lines below it; a
  line ``...`` there stands for any number of lines. ``$ echo $?`` prints the exit code of the command before.

These options stand in an HTML comment above the block, where no reader sees them: ``<!-- file=NAME -->``. A block that
is inside an HTML comment itself is set-up, and has its options after its language. Blocks of other kinds are text.

The site (`mkdocs.yml`) is built strictly by `just docs`; here its navigation and its generated pages are checked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.reference import find_undocumented, render_pages

from lynxgate.decision.documents import KINDS
from minieval.contract.documents import parse_document

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
# They make a database of MLflow's, and models in it.
MARKS = {"adopt": pytest.mark.slow, "adopt-regressor": pytest.mark.heavy, "adopt-trials": pytest.mark.heavy}
FENCE = re.compile(
    r"(?:^<!-- (?P<above>[^\n]*=[^\n]*) -->\n)?^```(?P<info>\w[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
GENERATED = render_pages()
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
        language, *options = f"{match['info']} {match['above'] or ''}".split()
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
    return {"PATH": path, "HOME": str(home), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(each, marks=[MARKS[each.stem]] if each.stem in MARKS else [], id=each.stem)
        for each in PAGES
        if any(block.options or block.language == "console" for block in blocks(each))
    ],
)
@pytest.mark.slow
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


def test_links_to_files_of_this_repository_lead_somewhere() -> None:
    """Relative ones, and those of the site to files that are not on it."""
    for page in PAGES:
        text = page.read_text()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        for target in re.findall(rf"\]\({re.escape(SITE['repo_url'])}/blob/main/([^)#]+)", text):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def find_pages(entry: Any) -> Iterator[str]:
    """Every page below an entry of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for below in entry.values() if isinstance(entry, dict) else entry:
            yield from find_pages(below)


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(find_pages(SITE["nav"]))
    assert sorted(listed) == sorted(path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md"))
    assert [title for door in SITE["nav"] if isinstance(door, dict) for title in door] == [
        "Tutorial",
        "How-to guides",
        "Reference",
        "Explanation",
    ]


@pytest.mark.parametrize("page", GENERATED, ids=lambda path: path.stem)
def test_a_generated_page_is_what_its_sources_give(page: Path) -> None:
    assert page.read_text() == GENERATED[page], "run `just reference`"


def test_every_command_option_and_public_name_has_a_text() -> None:
    assert list(find_undocumented()) == []


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "reference" / "commands" / "index.html").is_file()
    (tmp_path / "docs" / "index.md").write_text("[nowhere](nowhere.md) and [no anchor](adopt.md#nowhere)")
    again = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "2 issues found" in again.stdout + again.stderr
