"""The exit code is that of the work: stdout and stderr that cannot be written change nothing (row D1)."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from minieval.contract.streams import Lossy
from tests import forked
from tests.samples import AFTER, BEFORE, baseline, evaluation

COMPARE = ["compare", "--format", "table", "--output", "verdict.json"]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    (tmp_path / "eval_baseline.json").write_text(json.dumps(baseline(BEFORE)))
    (tmp_path / "candidate_eval.json").write_text(json.dumps(evaluation(AFTER)))
    fallen = {**AFTER, "tense.past_participle": {"n": 679, "correct": 500}}
    (tmp_path / "fallen.json").write_text(json.dumps(evaluation(fallen)))
    return tmp_path


@pytest.mark.parametrize(("candidate", "code"), [("candidate_eval.json", 0), ("fallen.json", 2)])
def test_a_full_stdout_keeps_the_code_of_the_work_and_is_reported(documents: Path, candidate: str, code: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    ended = forked.run("lynxgate", [*COMPARE, "--candidate", candidate], documents, stdout=full)
    os.close(full)
    assert ended.code == code
    assert f"could not be printed: No space left on device; exit code {code} is that of the work" in ended.err
    assert (documents / "verdict.json").exists()


@pytest.mark.parametrize(("candidate", "code"), [("candidate_eval.json", 0), ("fallen.json", 2)])
def test_a_reader_that_ends_keeps_the_code_in_silence(documents: Path, candidate: str, code: int) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = forked.run("lynxgate", ["compare", "--candidate", candidate], documents, stdout=write)
    os.close(write)
    assert ended.code == code
    assert "printed" not in ended.err
    assert "Broken pipe" not in ended.err


def test_a_closed_stdout_never_becomes_a_file_that_is_written(documents: Path) -> None:
    ended = forked.run("lynxgate", COMPARE, documents, stdout=forked.CLOSED)
    assert ended.code == 0
    assert "it is closed" in ended.err
    json.loads((documents / "verdict.json").read_text())


@pytest.mark.parametrize("closed", [True, False])
def test_stderr_that_cannot_be_written_changes_nothing(documents: Path, closed: bool) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stderr = forked.CLOSED if closed else full
    ended = forked.run("lynxgate", ["compare", "--candidate", "missing"], documents, stderr=stderr)
    os.close(full)
    assert (ended.code, ended.out) == (3, "")  # the message does not go to stdout instead


def test_a_new_verdict_has_the_mode_of_the_earlier_one(documents: Path) -> None:
    verdict = documents / "verdict.json"
    verdict.write_text("{}")
    verdict.chmod(0o600)
    assert forked.run("lynxgate", COMPARE, documents).code == 0
    assert (verdict.stat().st_mode & 0o777, len(verdict.read_bytes()) > 2) == (0o600, True)


def test_text_is_utf8_whatever_the_locale(documents: Path) -> None:
    bucket = {"größe": {"n": 679, "correct": 600}}
    (documents / "eval_baseline.json").write_text(json.dumps(baseline(bucket)))
    ended = forked.run("lynxgate", ["baseline", "show"], documents)
    assert ended.code == 0, ended.err
    assert "größe" in ended.out


def test_a_closed_stream_is_not_a_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert Lossy(stream).isatty() is False
