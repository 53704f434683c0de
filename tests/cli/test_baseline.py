"""`baseline init`, `rebaseline`, `activate`: what they print, write and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lynxgate.cli.app import run
from lynxgate.decision.baseline import parse_baseline
from minieval.contract.exits import Exit
from tests.samples import AFTER, baseline, evaluation, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candidate_eval.json").write_bytes(write(evaluation()))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_baseline_is_created_and_activated(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compare"]) == Exit.CANNOT_JUDGE
    assert run(["baseline", "init", "--semver", "v0.1.0"]) == Exit.OK
    assert run(["baseline", "init"]) == Exit.REFUSED
    assert run(["compare"]) == Exit.OK
    assert "would pass (report-only)" in capfd.readouterr().out
    assert run(["baseline", "activate"]) == Exit.OK
    assert run(["baseline", "activate"]) == Exit.OK
    assert "already active, nothing written" in capfd.readouterr().out
    assert run(["compare"]) == Exit.OK
    assert capfd.readouterr().out.startswith("passed: 3 of 3")


def test_rebaseline_writes_the_whole_file_or_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = folder / "eval_baseline.json"
    file.write_bytes(write(baseline()))
    assert run(["baseline", "rebaseline", "--semver", "v0.3.1"]) == Exit.OK
    out = capfd.readouterr().out
    assert "Buckets: 3 moved, 0 added, 0 removed." in out
    assert "| `tense.past_participle` | `632/679 = 93.08 %` | `640/679 = 94.26 %` | +1.18 pp |" in out
    after, stamp = file.read_bytes(), file.stat().st_mtime_ns
    assert run(["baseline", "rebaseline", "--semver", "v0.3.1"]) == Exit.OK
    assert capfd.readouterr().out == "eval_baseline.json: no number changed, nothing written\n"
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (after, stamp)
    assert sorted(path.name for path in folder.iterdir()) == ["candidate_eval.json", "eval_baseline.json"]


def test_a_baseline_in_a_folder_names_files_from_there(folder: Path) -> None:
    """The evaluation was made at the top; the baseline of a service names its eval set and task from its own folder."""
    measured = evaluation()
    measured["schema"] = "minieval.evaluation/2"
    measured["eval_set"]["path"] = "services/wine/data/words.jsonl"
    measured["task"] = {"path": "services/wine/words.toml", "sha256": "d" * 64}
    (folder / "candidate_eval.json").write_bytes(write(measured))
    path = folder / "services/wine/eval_baseline.json"
    path.parent.mkdir(parents=True)
    assert run(["baseline", "init", "--baseline", "services/wine/eval_baseline.json"]) == Exit.OK
    found = parse_baseline(path.read_bytes())
    assert found.task is not None
    assert (found.eval_set, found.task.path) == ("data/words.jsonl", "words.toml")
    before = path.read_bytes()
    assert run(["baseline", "rebaseline", "--baseline", "services/wine/eval_baseline.json"]) == Exit.OK
    assert path.read_bytes() == before
    # A path outside that folder, and a baseline at the top, are left as they are.
    assert run(["baseline", "init"]) == Exit.OK
    assert parse_baseline((folder / "eval_baseline.json").read_bytes()).eval_set == "services/wine/data/words.jsonl"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rebaseline", "--evaluation", "none.json"], Exit.CANNOT_JUDGE),
        (["rebaseline", "--baseline", "none.json"], Exit.CANNOT_JUDGE),
        (["rebaseline", "--semver", "0.3.1"], Exit.USAGE),
        (["rebaseline", "--remove", "tense.third_person"], Exit.USAGE),
        (["rebaseline", "--evaluation", "less.json"], Exit.REFUSED),
        (["activate", "--baseline", "none.json"], Exit.CANNOT_JUDGE),
        (["init", "--baseline", "new.json", "--evaluation", "none.json"], Exit.CANNOT_JUDGE),
        (["init", "--baseline", "new.json", "--semver", "latest"], Exit.USAGE),
        (["unknown"], Exit.USAGE),
    ],
)
def test_a_refusal_writes_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: Exit
) -> None:
    (folder / "eval_baseline.json").write_bytes(write(baseline()))
    (folder / "less.json").write_bytes(write(evaluation({"spelling.doubling": AFTER["spelling.doubling"]})))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(["baseline", *arguments]) == code
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
