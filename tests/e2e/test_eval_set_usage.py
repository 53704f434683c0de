"""The gate counts before it answers, says so, and refuses at the end of life without answering."""

from __future__ import annotations

import json
import re

import pytest

from lynxgate.cli.app import run
from tests.e2e.test_gate import Scene, scene  # noqa: F401 - a fixture


@pytest.mark.slow
def read_usage(printed: str) -> str:
    """The first line; how many comparisons are allowed follows from how far the two models differ."""
    (found,) = re.findall(r"\A([1-9] of [1-9][0-9]* allowed comparisons on this eval set used)$", printed, re.MULTILINE)
    return str(found)


def test_the_gate_counts_and_a_refusal_leaves_only_that_entry(
    scene: Scene,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    policy = {"rule": "point", "tolerance_pp": 2.0, "overall_tolerance_pp": 80, "shelf_life": "refuse"}
    scene.change_baseline(policy=policy)
    assert scene.gate(scene.clean) == 0
    printed = capfd.readouterr()
    used = read_usage(printed.out)
    assert used.startswith("1 of ")
    assert f"[5/6] {used}\n" in printed.err
    assert printed.out.startswith(f"{used}\n\npromoted v0.1.0 ")
    before = scene.registry()
    assert scene.gate(scene.clean) == 0
    assert f"[5/6] {used} (this one was counted before)" in capfd.readouterr().err
    assert scene.registry() == before
    assert scene.gate(scene.degraded, "v0.1.1") == 2
    printed = capfd.readouterr()
    assert (
        "[6/6] promotion: none; registry and MLflow are unchanged except that this comparison was counted"
        in printed.err
    )
    used = read_usage(printed.out)
    assert used.startswith("2 of ")
    assert printed.out.startswith(f"{used}\n\n| bucket |")
    (scene.root / "printed").write_text(printed.out)
    told = ["--verdict", "verdict.json", "--receipt", "printed", "--exit-code", "2", "--head-sha", "a" * 40]
    for report in ("comment", "check"):
        assert run(["ci", report, "--dry-run", *told]) == 0
        assert f"\n- {used}\n" in capfd.readouterr().out
    (added,) = scene.registry().keys() - before.keys()
    assert "/gates/" in added
    assert {path: data for path, data in scene.registry().items() if path != added} == before


@pytest.mark.slow
def test_a_used_up_eval_set_gives_no_answer(
    scene: Scene,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    scene.change_baseline(policy={"rule": "point", "tolerance_pp": 2.0, "shelf_life": "refuse"})
    (scene.root / "verdict.json").write_text(json.dumps({"passed": True}))
    assert scene.gate(scene.clean) == 6
    printed = capfd.readouterr()
    assert "the eval set is too small for a comparison of two models that differ this much" in printed.err
    assert "[5/6] comparison" not in printed.err
    assert not (scene.root / "verdict.json").exists()
    assert not [path for path in scene.registry() if "/gates/" in path]
    scene.change_baseline(policy={"rule": "point", "tolerance_pp": 2.0, "shelf_life": "warn"})
    assert scene.gate(scene.clean) == 0
    assert "1 of 0 allowed comparisons on this eval set used; build a new eval set" in capfd.readouterr().err
