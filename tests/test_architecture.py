"""The picture of the layers in docs/architecture.md is what import-linter enforces, and names every package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from scripts.blocks import read_block
from scripts.reference import ARCHITECTURE

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = {
    contract["containers"][0]: contract["layers"]
    for contract in CONTRACTS
    if contract["type"] == "layers" and "containers" in contract
}


def read_picture() -> dict[str, list[str]]:
    """The lines of the picture below each rule, by the name at the rule's end; only what stands on their left."""
    picture: dict[str, list[str]] = {"": []}
    name = ""
    for line in read_block(ARCHITECTURE.read_text(), "layers").strip("`\n").splitlines()[1:]:
        if line.startswith("─"):
            name = line.strip("─ ")
            picture[name] = []
        else:
            layer, text = re.split(r" {2,}", line, maxsplit=1)
            assert text
            picture[name].append(layer)
    return picture


def test_the_picture_has_the_layers_of_the_contracts() -> None:
    picture = read_picture()
    assert picture.pop("") == ["scripts"]
    assert picture == LAYERS


@pytest.mark.parametrize("package", LAYERS)
def test_every_package_and_module_has_a_layer(package: str) -> None:
    named = [name for layer in LAYERS[package] for name in layer.split(" | ")]
    folder = ROOT / "src" / package
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(named) == sorted(found - {"__init__"})


def test_every_module_is_in_the_list_with_a_sentence() -> None:
    tree = read_block(ARCHITECTURE.read_text(), "tree")
    for path in (ROOT / "src").rglob("*.py"):
        section = path.parent.relative_to(ROOT / "src").as_posix()
        table = tree.partition(f"### {section}/\n")[2].partition("\n### ")[0]
        assert table, section
        if path.stem != "__init__":
            assert re.search(rf"^\| `{path.stem}` \| .{{10,}}[.?] \|$", table, re.MULTILINE), path
