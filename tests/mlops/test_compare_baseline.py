"""The comparison as CI calls it: `python -m scripts.mlops.compare_baseline`, its output and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.decision.verdict import parse_verdict
from minieval.contract.exits import Exit
from tests.samples import AFTER, baseline, evaluation, write

ROOT = Path(__file__).parent.parent.parent
FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Folder:
    """A directory with the two documents, and both ways to compare them."""

    path: Path
    capfd: pytest.CaptureFixture[str]

    def compare(self, measured: Any, agreed: Any, *options: str) -> Ended:
        code = run(["compare", *self.arguments(measured, agreed), *options])
        return Ended(code, *self.capfd.readouterr())

    def arguments(self, measured: Any, agreed: Any) -> list[str]:
        files = {"--candidate": ("candidate_eval.json", measured), "--baseline": ("eval_baseline.json", agreed)}
        arguments = []
        for option, (name, tree) in files.items():
            (self.path / name).write_bytes(tree if isinstance(tree, bytes) else write(tree))
            arguments += [option, str(self.path / name)]
        return arguments


@pytest.fixture
def folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capfd)


def call_module(*arguments: str) -> Ended:
    command = [sys.executable, "-m", "scripts.mlops.compare_baseline", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_pass_is_one_line(folder: Folder) -> None:
    ended = folder.compare(evaluation(), baseline(), "--tolerance", "0.02")
    assert ended == Ended(Exit.OK, "passed: 3 of 3 buckets held (rule point, 2.0 pp)\n", "")


def test_a_regression_shows_only_the_failing_buckets(folder: Folder) -> None:
    ended = folder.compare(evaluation(FALLEN), baseline(), "--tolerance", "0.02")
    assert ended.code == 2
    assert ended.out.splitlines()[2:] == [
        "| `tense.past_participle` | 679 | 93.08 % | 82.18 % | -10.90 pp | 2.0 pp | regressed |"
    ]
    assert ended.err == ("lynxgate: failed: tense.past_participle regressed: -10.90 pp, and the tolerance is 2.0 pp\n")


@pytest.mark.parametrize(("now", "code"), [(0.90, 0), (0.8999, 2)])
def test_boundary_at_exactly_two_points(folder: Folder, now: float, code: int) -> None:
    assert 0.92 - 0.90 > 0.02  # what floats would make of it
    measured, agreed = evaluation({"x": {"accuracy": now}}), baseline({"x": {"accuracy": 0.92}})
    assert folder.compare(measured, agreed, "--tolerance", "0.02").code == code


@pytest.mark.parametrize(("measured", "word"), [({"x": {"accuracy": 1}}, "missing"), ({"x": 1, "y": 1, "z": 1}, "new")])
def test_schema_drift_refuses_in_both_directions(folder: Folder, measured: dict[str, Any], word: str) -> None:
    perfect = {name: {"accuracy": 1} for name in measured}
    ended = folder.compare(evaluation(perfect), baseline({"x": {"accuracy": 0.5}, "y": {"accuracy": 0.5}}))
    assert (ended.code, word in ended.out, word in ended.err) == (2, True, True)


@pytest.mark.parametrize("figure", [b"NaN", b"Infinity", b"-Infinity", b"true", b'"0.9"', b"-0.1", b"1.1"])
def test_a_figure_that_is_not_an_accuracy_cannot_be_judged(folder: Folder, figure: bytes) -> None:
    good, agreed = write(evaluation({"x": {"accuracy": 0.9}})), write(baseline({"x": {"accuracy": 0.9}}))
    for pair in ((good.replace(b"0.9", figure), agreed), (good, agreed.replace(b"0.9", figure))):
        assert folder.compare(*pair).code == 3


def test_one_bucket_down_fails_although_the_aggregate_rises(folder: Folder) -> None:
    ended = folder.compare(evaluation(FALLEN, aggregate={"accuracy": 0.97}), baseline(aggregate={"accuracy": 0.95}))
    assert (ended.code, "all rows" in ended.out) == (2, False)


def test_report_only_prints_what_would_fail_and_exits_0(folder: Folder) -> None:
    ended = folder.compare(evaluation(FALLEN), baseline(status="report-only"))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("would fail: tense.past_participle regressed")


def test_a_stale_eval_set_fails_fast(folder: Folder) -> None:
    verdict = folder.path / "verdict.json"
    verdict.write_text("an older verdict")
    stale = evaluation(eval_set={"dvc_md5": "0" * 32})
    ended = folder.compare(stale, baseline(), "--output", str(verdict))
    assert (ended.code, ended.out) == (4, "")
    assert f"the evaluation is on DVC md5 {'0' * 32}, the baseline on {'a' * 32}" in ended.err
    assert not verdict.exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--tolerance", "abc"], 64),
        (["--format", "x"], 64),
        (["--tolerance", "0.2"], 6),
        (["--eval-set", "nowhere.jsonl"], 3),
    ],
)
def test_no_verdict_of_an_earlier_call_remains(folder: Folder, options: list[str], code: int) -> None:
    verdict = folder.path / "verdict.json"
    assert folder.compare(evaluation(), baseline(), "--output", str(verdict)).code == 0
    assert verdict.exists()
    assert folder.compare(evaluation(), baseline(), "--output", str(verdict), *options).code == code
    assert not verdict.exists()


def test_a_linked_verdict_of_an_earlier_call_is_removed_as_well(folder: Folder) -> None:
    target, link = folder.path / "target.json", folder.path / "verdict.json"
    target.write_text("an older verdict")
    link.symlink_to(target)
    assert folder.compare(evaluation(), baseline(), "--output", str(link), "--format", "x").code == 64
    assert not target.exists()


def test_a_verdict_that_cannot_be_removed_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every file can be removed, so the system call is made to fail."""
    verdict = folder.path / "verdict.json"
    verdict.write_text("an older verdict")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    ended = folder.compare(evaluation(), baseline(), "--output", str(verdict))
    assert (ended.code, ended.out) == (3, "")
    assert "is of an earlier call and cannot be removed: Permission denied; do not read it" in ended.err


@pytest.mark.parametrize("option", ["--candidate", "--baseline", "--eval-set"])
def test_an_output_that_is_an_input_is_neither_removed_nor_written(folder: Folder, option: str) -> None:
    arguments = folder.arguments(evaluation(), baseline())
    rows = folder.path / "eval.jsonl"
    rows.write_text("rows")
    inputs = dict(zip(arguments[::2], arguments[1::2], strict=True)) | {"--eval-set": str(rows)}
    link = folder.path / "hard.json"
    link.hardlink_to(inputs[option])
    before = Path(inputs[option]).read_bytes()
    for output in (inputs[option], str(link)):
        code = run(["compare", *[word for pair in inputs.items() for word in pair], "--output", output])
        assert (code, Path(inputs[option]).read_bytes()) == (64, before)


@pytest.mark.parametrize("valid", [True, False], ids=["valid", "invalid"])
@pytest.mark.parametrize("name", ["eval.jsonl", "eval.jsonl.dvc", "task.toml", "scorer.py"])
def test_an_output_that_the_baseline_names_is_neither_removed_nor_written(
    name: str, valid: bool, folder: Folder
) -> None:
    """Nothing is read from the eval set without `--eval-set`, and it is an input of the gate all the same."""
    for each in ("eval.jsonl", "eval.jsonl.dvc", "scorer.py"):
        (folder.path / each).write_text("rows")
    parts = ('schema = "minieval.task/1"', 'id = "id"', 'expected = "y"', 'features = ["x"]')
    tables = ("[buckets]", 'columns = ["x"]', "[score]", 'python = "scorer.py"')
    (folder.path / "task.toml").write_text("\n".join((*parts, *tables)))
    before = (folder.path / name).read_bytes()
    agreed = baseline(eval_set="eval.jsonl", task={"path": "task.toml", "sha256": "0" * 64})
    named = ["--baseline", str(folder.path / "agreed.json")]
    (folder.path / "agreed.json").write_bytes(write(agreed if valid else agreed | {"policy": 1}))
    output = str(folder.path / name)
    gate = ["gate", "--run-id", "0" * 32, "--semver", "v1.0.0", "--verdict", output, *named]
    for command in (["compare", "--output", output, *named], gate):
        assert run(command) == 64
        assert (folder.path / name).read_bytes() == before


@pytest.mark.parametrize("pipe", ["task.toml", "eval.jsonl"])
def test_a_pipe_that_the_baseline_names_is_not_waited_for(pipe: str, folder: Folder) -> None:
    os.mkfifo(folder.path / pipe)
    agreed = baseline(eval_set="eval.jsonl", task={"path": "task.toml", "sha256": "0" * 64})
    assert folder.compare(evaluation(), agreed, "--output", str(folder.path / "verdict.json")).code == 4


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-0.1", "2", "true", "", "1e-2"])
def test_a_malformed_tolerance_is_a_usage_error(folder: Folder, tolerance: str) -> None:
    assert folder.compare(evaluation(FALLEN), baseline(), "--tolerance", tolerance).code == 64


def test_no_option_and_no_variable_loosens_an_active_policy(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.compare(evaluation(FALLEN), baseline(), "--tolerance", "0.2").code == 6
    assert folder.compare(evaluation(FALLEN), baseline(), "--force").code == 64
    for name in ("LYNX_TOLERANCE", "TOLERANCE", "LYNXGATE_COMPARE_TOLERANCE", "COMPARE_TOLERANCE", "LYNX_ENV"):
        monkeypatch.setenv(name, "1")
    assert folder.compare(evaluation(FALLEN), baseline()).code == 2


def test_the_verdict_and_the_exit_code_agree(folder: Folder) -> None:
    for measured, code in ((evaluation(), 0), (evaluation(FALLEN), 2)):
        path = folder.path / "verdict.json"
        ended = folder.compare(measured, baseline(), "--output", str(path), "--format", "json")
        assert ended.out.encode() == path.read_bytes()
        assert json.loads(ended.out)["schema"] == "lynxgate.verdict/2"
        assert parse_verdict(path.read_bytes()).exit == ended.code == code


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_the_other_formats_show_every_row(folder: Folder, form: str) -> None:
    ended = folder.compare(evaluation(FALLEN), baseline(), "--format", form)
    assert ended.code == 2
    assert all(name in ended.out for name in AFTER)


def test_the_verdict_does_not_overwrite_its_inputs(folder: Folder) -> None:
    arguments = folder.arguments(evaluation(), baseline())
    for path in (arguments[1], arguments[3], f"{folder.path}/../{folder.path.name}/eval_baseline.json"):
        before = Path(path).read_bytes()
        assert run(["compare", *arguments, "--output", path]) == 64
        assert Path(path).read_bytes() == before


def test_a_missing_baseline_is_an_error_that_explains_how_to_create_one(folder: Folder) -> None:
    arguments = folder.arguments(evaluation(), baseline())
    Path(arguments[3]).unlink()
    assert run(["compare", *arguments]) == 3
    assert "lynxgate baseline init --evaluation candidate_eval.json" in folder.capfd.readouterr().err


@pytest.mark.slow
def test_the_module_and_the_command_do_the_same(folder: Folder) -> None:
    cases = [
        (evaluation(), baseline(), "0.02", 0),
        (evaluation(FALLEN), baseline(), "0.02", 2),
        (b"{", baseline(), "0.02", 3),
        (evaluation(eval_set={"dvc_md5": "0" * 32}), baseline(), "0.02", 4),
        (evaluation(), baseline(), "0.03", 6),
        (evaluation(), baseline(), "3", 64),
    ]
    for measured, agreed, tolerance, code in cases:
        here = folder.compare(measured, agreed, "--tolerance", tolerance)
        there = call_module(*folder.arguments(measured, agreed), "--tolerance", tolerance)
        assert (there, there.code) == (here, code)


HEAVY = {"mlflow", "dvc", "boto3", "botocore", "pandas", "numpy", "scipy"}
IMPORTS = (
    "import sys; from lynxgate.cli.app import run; code = run(sys.argv[1:]); print(code, *sys.modules, file=sys.stderr)"
)


@pytest.mark.parametrize("command", ["compare", "--help", "validate"])
@pytest.mark.slow
def test_nothing_heavy_is_imported(folder: Folder, command: str) -> None:
    arguments = folder.arguments(evaluation(), baseline())
    options = {"compare": arguments, "--help": [], "validate": [arguments[1]]}[command]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, command, *options], capture_output=True, text=True, check=True, env=os.environ
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert HEAVY.isdisjoint(modules)


@pytest.mark.slow
def test_a_name_outside_the_locale_is_printed(folder: Folder) -> None:
    measured, agreed = evaluation({"zeit.übel": {"accuracy": 0}}), baseline({"zeit.übel": {"accuracy": 1}})
    command = [sys.executable, "-m", "scripts.mlops.compare_baseline", *folder.arguments(measured, agreed)]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert "zeit.übel".encode() in done.stdout
