"""The gate respects groups of examples: comparison, promotion, audit and replay come to one verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lynxgate.audit.finding import Finding
from lynxgate.cli.app import run
from minieval.contract.digests import digest_bytes
from minieval.contract.exits import Exit
from minieval.contract.outcome_bits import pack_outcomes
from tests.dvc_repository import DvcRepository
from tests.e2e.test_gate import ROWS, Scene, md5_of, row, scene  # noqa: F401 - a fixture
from tests.promotion.workshop import leave_out_others

POLICY = {"rule": "guard", "tolerance_pp": 20.0, "confidence": 0.9}


def group_rows(scene: Scene, size: int) -> None:  # noqa: F811
    """The scene's rows in groups of ``size``, versioned and pushed by dvc, and a baseline that was right on all."""
    repository = DvcRepository(scene.root)
    rows = [row(number) | {"group": f"verb {number // size}"} for number in range(ROWS)]
    repository.file.write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    repository.run("add", "-q", "rows.jsonl")
    repository.run("push", "-q")
    half, whole = ({"n": n, "correct": n, "outcomes": pack_outcomes([True] * n)} for n in (ROWS // 2, ROWS))
    scene.change_baseline(
        eval_set_dvc_hash=md5_of(scene.root / "rows.jsonl.dvc"),
        eval_set_sha256=digest_bytes(repository.file.read_bytes()),
        policy=POLICY,
        aggregate=whole,
        buckets={"tense.past": half, "tense.present": half},
    )


def evidence_files(scene: Scene) -> list[Path]:  # noqa: F811
    return sorted((scene.root / ".lynxgate/registry/entries").glob("*/evidence/*.json"))


def verify(scene: Scene, capfd: pytest.CaptureFixture[str]) -> list[Finding]:  # noqa: F811
    """What `verify` finds, without the tags of other tests on the same server."""
    capfd.readouterr()
    code = run(["registry", "verify", "--tracking-uri", scene.url, "--json"])
    found = [Finding(**each) for each in json.loads(capfd.readouterr().out)["findings"]]
    assert code == (Exit.INTEGRITY if found else Exit.OK)
    return leave_out_others(found, scene.clean)


@pytest.mark.slow
def test_gate_promote_verify_and_replay_agree(
    scene: Scene,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    group_rows(scene, size=2)
    assert scene.gate(scene.clean) == 0
    verdict = json.loads((scene.root / "verdict.json").read_bytes())
    assert verdict["aggregate"]["evidence"]["method"] == "units"
    assert verdict["aggregate"]["evidence"]["groups"] == ROWS // 2
    assert "(in 20 groups of examples, of which each counts once)" in verdict["aggregate"]["reason"]
    (path,) = evidence_files(scene)
    predicate = json.loads(path.read_bytes())["predicate"]
    assert predicate["verdict"] == verdict
    assert "verb" not in predicate["documents"]["groups"]
    capfd.readouterr()

    assert verify(scene, capfd) == []
    given = ["--eval-set", "rows.jsonl"]
    stored = (scene.root / "verdict.json").read_bytes()
    assert run(["compare", *given, "--output", "verdict.json"]) == 0
    assert (scene.root / "verdict.json").read_bytes() == stored
    assert run(["replay", "verdict.json", *given]) == 0
    assert run(["compare"]) == 3
    assert "the rows come in 20 groups, which rule guard must know" in capfd.readouterr().out

    sha = verdict["candidate"]["canonical_sha"]
    again = ["promote", "--canonical-sha", sha, "--semver", "v0.2.0", "--tracking-uri", scene.url]
    assert run(again) == 3
    assert "give the eval set with --eval-set" in capfd.readouterr().err
    assert len(evidence_files(scene)) == 1
    assert run([*again, *given]) == 0
    assert len(evidence_files(scene)) == 2
    assert verify(scene, capfd) == []


@pytest.mark.slow
@pytest.mark.heavy
def test_one_group_is_never_enough_to_promote(
    scene: Scene,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One group is all there is: whatever was lost or held, nothing is proved."""
    group_rows(scene, size=ROWS)
    assert scene.gate(scene.clean) == 3
    assert "1 group is too few: without a difference it takes 11" in capfd.readouterr().out
    assert evidence_files(scene) == []
