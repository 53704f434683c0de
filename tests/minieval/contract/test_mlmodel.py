"""MLmodel: its canonical form, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from minieval.contract.bundle import read_manifest
from minieval.contract.exits import CannotJudge
from minieval.contract.mlmodel import MLMODEL, VOLATILE_KEYS, canonical_mlmodel
from tests.minieval.candidates import write_files


@pytest.mark.parametrize("key", sorted(VOLATILE_KEYS))
def test_only_volatile_keys_at_the_top_are_dropped(key: str, tmp_path: Path) -> None:
    top = write_files(tmp_path / "top", {MLMODEL: f"flavors: {{}}\n{key}: one\n"})
    below = write_files(tmp_path / "below", {MLMODEL: f"flavors: {{{key}: one}}\n"})
    assert canonical_mlmodel(top) == b'"flavors": {}\n'
    assert key.encode() in canonical_mlmodel(below)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- a\n- b\n",
        "a: 1\na: 2\n",
        "a: {b: 1, b: 2}\n",
        "a: !!python/object/apply:os.system ['true']\n",
        "a: &x [*x]\n",
        "a: !!bool abc\n",
        "a: !!int ''\n",
        "a: !!float ''\n",
        "a: !!timestamp abc\n",
        "a: 1:30\n",
        "a: [\n",
        "a: " + "[" * 1000 + "]" * 1000,
        "a: !!set {x, y}\n",
        "a: !!binary aGk=\n",
        "\x00",
        "<<: 3\n",
        "a: &a {b: 1}\nc: {<<: *a}\n",
        "a: " + "x" * 2_000_000,
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
    ],
)
def test_an_mlmodel_that_is_no_mapping_in_plain_yaml_is_refused(text: str, tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "b", {MLMODEL: text})
    with pytest.raises(CannotJudge, match="not an MLmodel file") as caught:
        read_manifest(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["1: x\n", "a: .nan\n", "a: 99999999999999999999\n", "a: 2025-01-01\n", "a: 1.0e-07\n"]
)
def test_values_that_json_cannot_hold_are_read_again(text: str, tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "b", {MLMODEL: text})
    assert repr(yaml.safe_load(canonical_mlmodel(bundle))) == repr(yaml.safe_load(text))
