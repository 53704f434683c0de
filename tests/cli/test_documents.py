"""`validate` and `schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lynxgate.cli.app import run
from minieval.contract.exits import Exit
from tests.samples import baseline, evaluation, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candidate_eval.json").write_bytes(write(evaluation()))
    return tmp_path


def test_validate_names_place_and_reason(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.json").write_bytes(write(baseline({"x": {"n": 2, "correct": 3}, "y": {"accuracy": 2}})))
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


def test_schemas_are_listed_printed_and_written(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == Exit.OK
    names = capfd.readouterr().out.split()
    assert run(["schema", names[0]]) == Exit.OK
    printed = capfd.readouterr().out
    assert run(["schema", "--write", "out"]) == Exit.OK
    written = {path.name: path.read_text() for path in (folder / "out").iterdir()}
    assert len(written) == len(names)
    assert printed in written.values()
    assert run(["schema", "lynxgate.baseline/9"]) == Exit.USAGE


@pytest.mark.parametrize("status", ["active", "report-only"])
@pytest.mark.parametrize("command", ["validate", "policy show --baseline", "plan --baseline"])
def test_a_misspelt_glob_is_an_error(
    command: str, status: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "b.json"
    call = [*command.split(), str(path)]
    path.write_bytes(write(baseline(policy={"buckets": {"tenes.*": {"tier": "critical"}}}, status=status)))
    assert run(call) == Exit.CANNOT_JUDGE
    assert f"{path}: policy.buckets: 'tenes.*' matches no bucket" in "".join(capfd.readouterr())
    agreed = {"m": {"value": 1, "direction": "lower", "machine": False}}
    limits = {"metrics": {"m": {"max_pct": 5}, "n": {"max_pct": 5}}}
    path.write_bytes(write(baseline(policy=limits, metrics=agreed, status=status)))
    assert run(call) == Exit.CANNOT_JUDGE
    assert f"{path}: policy.metrics: 'n' matches no metric" in "".join(capfd.readouterr())
    path.write_bytes(write(baseline(policy={"buckets": {"*": {"tier": "critical"}}}, status=status)))
    assert run(call) == Exit.OK
