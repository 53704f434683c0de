"""The commands around the baseline: exit codes, what is printed, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lynxgate.cli.app import run
from minieval.contract.exits import Exit
from tests.samples import AFTER, baseline, evaluation, write


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candidate_eval.json").write_bytes(write(evaluation()))
    return tmp_path


@pytest.mark.usefixtures("desk")
def test_from_no_baseline_to_an_active_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compare"]) == Exit.CANNOT_JUDGE
    assert run(["baseline", "init", "--semver", "v0.1.0"]) == Exit.OK
    assert run(["baseline", "init"]) == Exit.REFUSED
    assert run(["compare"]) == Exit.OK
    assert "would pass (report-only)" in capfd.readouterr().out
    assert run(["baseline", "arm"]) == Exit.OK
    assert run(["baseline", "arm"]) == Exit.OK
    assert "already active, nothing written" in capfd.readouterr().out
    assert run(["compare"]) == Exit.OK
    assert capfd.readouterr().out.startswith("passed: 3 of 3")


def test_rebaseline_writes_whole_or_not_at_all(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = desk / "eval_baseline.json"
    file.write_bytes(write(baseline()))
    assert run(["baseline", "rebaseline", "--semver", "v0.3.1"]) == Exit.OK
    out = capfd.readouterr().out
    assert "Buckets: 3 moved, 0 added, 0 removed." in out
    assert "| `tense.past_participle` | `632/679 = 93.08 %` | `640/679 = 94.26 %` | +1.18 pp |" in out
    after, stamp = file.read_bytes(), file.stat().st_mtime_ns
    assert run(["baseline", "rebaseline", "--semver", "v0.3.1"]) == Exit.OK
    assert capfd.readouterr().out == "eval_baseline.json: nothing moved, nothing written\n"
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (after, stamp)
    assert sorted(path.name for path in desk.iterdir()) == ["candidate_eval.json", "eval_baseline.json"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rebaseline", "--evaluation", "none.json"], Exit.CANNOT_JUDGE),
        (["rebaseline", "--baseline", "none.json"], Exit.CANNOT_JUDGE),
        (["rebaseline", "--semver", "0.3.1"], Exit.USAGE),
        (["rebaseline", "--remove", "tense.third_person"], Exit.USAGE),
        (["rebaseline", "--evaluation", "less.json"], Exit.REFUSED),
        (["arm", "--baseline", "none.json"], Exit.CANNOT_JUDGE),
        (["init", "--baseline", "new.json", "--evaluation", "none.json"], Exit.CANNOT_JUDGE),
        (["init", "--baseline", "new.json", "--semver", "latest"], Exit.USAGE),
        (["unknown"], Exit.USAGE),
    ],
)
def test_what_is_refused_writes_nothing(
    desk: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: Exit
) -> None:
    (desk / "eval_baseline.json").write_bytes(write(baseline()))
    (desk / "less.json").write_bytes(write(evaluation({"spelling.doubling": AFTER["spelling.doubling"]})))
    before = {path.name: path.read_bytes() for path in desk.iterdir()}
    assert run(["baseline", *arguments]) == code
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert {path.name: path.read_bytes() for path in desk.iterdir()} == before


def test_validate_says_where_and_why(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (desk / "bad.json").write_bytes(write(baseline({"x": {"n": 2, "correct": 3}, "y": {"accuracy": 2}})))
    assert run(["validate", "candidate_eval.json"]) == Exit.OK
    assert capfd.readouterr().out == "candidate_eval.json: valid minieval.evaluation/1\n"
    assert run(["validate", "candidate_eval.json", "bad.json", "none.json"]) == Exit.CANNOT_JUDGE
    assert capfd.readouterr().out.splitlines()[1:] == [
        "bad.json: buckets.x: correct 3 > n 2",
        "bad.json: buckets.y.accuracy: Input should be less than or equal to 1",
        "none.json: the document: no such file",
    ]
    assert run(["validate", "--json", "bad.json"]) == Exit.CANNOT_JUDGE
    (finding,) = json.loads(capfd.readouterr().out)
    assert (finding["schema"], finding["valid"]) == ("lynxgate.baseline/1", False)
    assert finding["problems"][0] == {"path": "buckets.x", "reason": "correct 3 > n 2"}


def test_schemas_are_listed_printed_and_written(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == Exit.OK
    names = capfd.readouterr().out.split()
    assert run(["schema", names[0]]) == Exit.OK
    printed = capfd.readouterr().out
    assert run(["schema", "--write", "out"]) == Exit.OK
    written = {path.name: path.read_text() for path in (desk / "out").iterdir()}
    assert len(written) == len(names)
    assert printed in written.values()
    assert run(["schema", "lynxgate.baseline/9"]) == Exit.USAGE
