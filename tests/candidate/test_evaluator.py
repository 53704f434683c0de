"""Running minieval: a process without our credentials, whose exit code becomes ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lynxgate.candidate.evaluator import KEPT_VARIABLES, MODEL_VARIABLES, ModelOptions, run_evaluator
from lynxgate.errors import CannotJudge, GateError

RUN = "e" * 32
EVAL_SET = '{"id": "1", "prompt": "walk", "expected": "walked", "buckets": ["tense.past"]}\n'


@pytest.fixture
def eval_set(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(EVAL_SET)
    return path


@pytest.mark.slow
def test_a_failure_keeps_minievals_exit_code(tmp_path: Path, eval_set: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "candidate_eval.json"
    output.write_text("an older evaluation, of another candidate")
    with pytest.raises(CannotJudge, match="the message of minieval is above"):
        run_evaluator(tmp_path / "no-bundle", eval_set, output, run_id=RUN, isolation="process")
    printed = capfd.readouterr()
    assert "no-bundle" in printed.err
    assert printed.out == ""
    assert not output.exists()


def test_no_variable_that_may_hold_a_secret_reaches_it(
    tmp_path: Path, eval_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN", "LYNXGATE_SIGNING_KEY"):
        monkeypatch.setenv(name, "geheim")
        assert name not in KEPT_VARIABLES
    spy = tmp_path / "python"
    dump = f"with open({str(tmp_path / 'seen.json')!r}, 'w') as file: json.dump(dict(os.environ), file)"
    spy.write_text(f"#!{sys.executable}\nimport json, os\n{dump}\nraise SystemExit(3)\n")
    spy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(spy))
    with pytest.raises(CannotJudge):
        run_evaluator(tmp_path, eval_set, tmp_path / "out.json", run_id=RUN, isolation="auto")
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "geheim" not in seen.values()
    assert set(seen) - {"LC_CTYPE"} <= {*KEPT_VARIABLES, *MODEL_VARIABLES}


def test_the_task_is_passed_on(tmp_path: Path, eval_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "python"
    dump = f"with open({str(tmp_path / 'seen.json')!r}, 'w') as file: json.dump(sys.argv, file)"
    spy.write_text(f"#!{sys.executable}\nimport json, sys\n{dump}\nraise SystemExit(3)\n")
    spy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(spy))
    for task, passed in ((None, []), (Path("data/eval.toml"), ["--task", "data/eval.toml"])):
        with pytest.raises(CannotJudge):
            run_evaluator(tmp_path, eval_set, tmp_path / "out.json", run_id=RUN, isolation="auto", task=task)
        seen = json.loads((tmp_path / "seen.json").read_text())
        assert seen[seen.index("auto") + 1 :] == passed


@pytest.mark.slow
def test_rows_are_passed_on(tmp_path: Path, eval_set: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """minieval itself gets the options: it accepts a new file, and refuses one that is an input."""
    with pytest.raises(CannotJudge):
        run_evaluator(
            tmp_path / "no-bundle",
            eval_set,
            tmp_path / "out.json",
            run_id=RUN,
            isolation="process",
            rows=eval_set.with_name("rows.parquet"),
            with_inputs=True,
        )
    assert "no-bundle" in capfd.readouterr().err
    with pytest.raises(GateError, match="64"):
        run_evaluator(
            tmp_path / "no-bundle", eval_set, tmp_path / "out.json", run_id=RUN, isolation="process", rows=eval_set
        )
    assert "is the input" in capfd.readouterr().err


def test_the_options_of_the_model_are_passed_on(
    tmp_path: Path, eval_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "python"
    dump = f"with open({str(tmp_path / 'seen.json')!r}, 'w') as file: json.dump(sys.argv, file)"
    spy.write_text(f"#!{sys.executable}\nimport json, sys\n{dump}\nraise SystemExit(3)\n")
    spy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(spy))
    given = ModelOptions(python="-x", memory_mb=9, timeout_s=1.5, batch_size=7)
    with pytest.raises(CannotJudge):
        run_evaluator(tmp_path, eval_set, tmp_path / "out.json", run_id=RUN, isolation="auto", model=given)
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen[seen.index("auto") + 1 :] == ["--python=-x", "--memory-mb=9", "--timeout=1.5", "--batch-size=7"]


@pytest.mark.slow
def test_a_directory_called_minieval_is_not_the_evaluator(
    tmp_path: Path, eval_set: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "minieval").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "minieval" / f"{name}.py").write_text("print('here')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotJudge):
        run_evaluator(tmp_path / "no-bundle", eval_set, tmp_path / "out.json", run_id=RUN, isolation="auto")
    assert "no-bundle" in capfd.readouterr().err
