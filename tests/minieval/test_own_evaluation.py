"""A command of the repository that evaluates in place of minieval: what it gets, what is believed, how it fails."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from minieval.command import run
from minieval.contract.bundle import read_manifest
from minieval.contract.documents import read_document
from minieval.contract.evalset import identify
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation
from minieval.contract.score_bytes import unpack_counts, unpack_scores
from minieval.data.kept_rows_reader import open_kept_rows
from tests.minieval.candidates import upper_rows, write_bundle, write_rows

RUN = "0123456789abcdef" * 2
TASK = """
schema = "minieval.task/1"
id = "id"
{more}
[buckets]
lists = ["buckets"]
[evaluator]
command = {command}
{evaluator}
"""
# Answers in capitals, as the model `tests.minieval.candidates.UPPER` does.
ROWS = """
import json, os
import pyarrow as pa
from pyarrow import parquet

rows = [json.loads(line) for line in open(os.environ["MINIEVAL_EVAL_SET"])]
answers = [row["prompt"].upper() for row in rows]
table = {
    "id": [row["id"] for row in rows],
    "score": [int(answer == row["expected"]) for row, answer in zip(rows, answers)],
    "answer": [json.dumps(answer) for answer in answers],
}
"""
WRITE = "\nparquet.write_table(pa.table(table), os.environ['MINIEVAL_ROWS'])\n"
EVALUATION = """
import json, os, sys
from pathlib import Path
document = json.loads(Path(sys.argv[1]).read_text())
Path(os.environ["MINIEVAL_EVALUATION"]).write_text(json.dumps(document))
"""


class Place:
    """A task with a command, a bundle and an eval set; `evaluate` runs minieval on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output, self.rows = folder, folder / "out.json", folder / "kept.parquet"
        self.eval_set = write_rows(folder / "eval.jsonl", upper_rows(10))
        self.bundle = write_bundle(folder / "bundle", "raise SystemExit('minieval never loads this model')\n")
        self.task = folder / "data" / "eval.toml"
        self.task.parent.mkdir()

    def write(self, source: str, *, command: str | None = None, more: str = "", evaluator: str = "") -> None:
        (self.task.parent / "judge.py").write_text(source)
        words = json.dumps(["python", "judge.py"]) if command is None else command
        self.task.write_text(TASK.format(command=words, more=more, evaluator=evaluator))

    def evaluate(self, *words: str) -> int:
        base = ["--bundle", str(self.bundle), "--eval-set", str(self.eval_set), "--output", str(self.output)]
        return run([*base, "--task", str(self.task), "--run-id", RUN, *words])

    def read(self) -> Evaluation:
        return read_document(self.output, Evaluation)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.slow
def test_rows_become_an_evaluation(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("print('judging', end='\\x1b[2J\\n')" + ROWS + WRITE)
    assert place.evaluate("--rows", str(place.rows), "--with-inputs") == 0
    err = capsys.readouterr().err
    assert "without a sandbox" in err and "evaluator: judging" in err and "\x1b" not in err
    assert "6 of 10 rows right (0.6000), isolation external" in err
    found = place.read()
    assert found.evaluator is not None and found.evaluator.isolation == "external"
    assert found.eval_set == identify(place.eval_set).model_copy(update={"rows": 10})
    assert found.candidate.canonical_sha == read_manifest(place.bundle).canonical_sha
    assert found.candidate.mlflow_run_id == RUN
    assert {name: (m.n, m.correct) for name, m in found.buckets.items()} == {
        "all": (10, 6), "parity.even": (5, 3), "parity.odd": (5, 3)
    }  # fmt: skip
    assert found.task is not None and found.metrics["bundle_bytes"].value > 0
    with open_kept_rows(place.rows, found.rows, where="it") as rows:
        (line,) = rows.read_lines(frozenset({2}))[2]
    assert (line.id, line.answer, line.expected, line.score) == ("row-1", '"WORD 1"', '"WORD 1"', 1.0)
    assert line.inputs == '{"prompt": "word 1"}'


@pytest.mark.slow
def test_lines_may_come_in_any_order_and_with_trials(place: Place) -> None:
    more = """
table = {
    "id": [name for name in reversed(table["id"]) for _ in "ab"],
    "trial": [1, 2] * len(rows),
    "score": [score for score in reversed(table["score"]) for score in (score, 1)],
}
"""
    place.write(ROWS + more + WRITE, more="trials = 2")
    assert place.evaluate() == 0
    whole = place.read().aggregate
    assert whole is not None and whole.counts is not None
    assert unpack_counts(whole.counts, 10, 2) == (1, 2, 2, 1, 2, 2, 1, 2, 2, 1)


@pytest.mark.slow
def test_scores_are_graded_where_the_task_allows_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write(ROWS + "table['score'] = [n / 10 for n in range(10)]" + WRITE)
    assert place.evaluate() == 3
    assert "graded = true" in capsys.readouterr().err
    place.write(ROWS + "table['score'] = [n / 10 for n in range(10)]" + WRITE, evaluator="graded = true")
    assert place.evaluate() == 0
    whole = place.read().aggregate
    assert whole is not None and whole.scores is not None
    assert unpack_scores(whole.scores, 10) == tuple(range(0, 10_000, 1000))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("table['id'][3] = 'other'", "no line for the id 'row-3'"),
        ("[cells.append(cells[0]) for cells in table.values()]", "'row-0' has trial 1 twice"),
        ("table = {'id': [*table['id'], 'x'], 'score': [*table['score'], 1]}", "1 ids that the eval set does not have"),
        ("table = {name: cells[1:] for name, cells in table.items()}", "no line for the id 'row-0'"),
        ("table['score'][0] = 2", "the score 2"),
        ("table['score'] = [float('nan')] * 10", "the score nan"),
        ("table['score'][0] = None", "a line without score"),
        ("table['score'] = ['x'] * 10", "the column 'score' is string"),
        ("del table['score']", "no column 'score'"),
        ("table['answer'][2] = 'not JSON'", "line 3, answer: not JSON"),
        ("table['trial'] = [2] * 10", "trial 2 of the id 'row-0'"),
        ("table = {name: cells[:0] for name, cells in table.items()}", "are empty"),
    ],
)
@pytest.mark.slow
def test_rows_that_are_no_answer_to_the_eval_set_are_refused(
    place: Place, change: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(ROWS + change + WRITE)
    assert place.evaluate("--rows", str(place.rows)) == 3
    assert reason in capsys.readouterr().err
    assert not place.output.exists() and not place.rows.exists()
    assert not list(place.folder.glob(".*"))


def document(place: Place, **changes: Any) -> dict[str, Any]:
    """What another evaluator writes about this eval set."""
    right = [True] * 8 + [False] * 2
    side = {"n": 10, "correct": 8, "outcomes": pack_outcomes(right)}
    return {
        "schema": "minieval.evaluation/1",
        "eval_set": {"dvc_md5": identify(place.eval_set).dvc_md5},
        "evaluator": {"name": "judge", "version": "7", "isolation": "bwrap"},
        "aggregate": side,
        "buckets": {"all": side, "parity.even": {"n": 5, "correct": 4}, "parity.odd": {"n": 5, "correct": 4}},
    } | changes


def write_document(place: Place, tree: dict[str, Any]) -> None:
    (place.folder / "wanted.json").write_text(json.dumps(tree))
    place.write(EVALUATION, command=json.dumps(["python", "judge.py", str(place.folder / "wanted.json")]))


def test_an_evaluation_is_taken_over_as_external_whatever_it_claims(place: Place) -> None:
    write_document(place, document(place, metrics={"cost": {"value": 3, "unit": "EUR"}}))
    assert place.evaluate("--context", "commit=0a1b") == 0
    found = place.read()
    assert found.schema_ == "minieval.evaluation/2"
    assert found.evaluator is not None
    assert (found.evaluator.name, found.evaluator.version, found.evaluator.isolation) == ("judge", "7", "external")
    assert found.candidate.canonical_sha == read_manifest(place.bundle).canonical_sha
    assert found.eval_set.sha256 == identify(place.eval_set).sha256 and found.eval_set.rows == 10
    assert set(found.metrics) == {"bundle_bytes", "cost"}
    assert found.task is not None and found.context is not None


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"eval_set": {"dvc_md5": "0" * 32}}, 4, "eval_set.dvc_md5"),
        ({"candidate": {"canonical_sha": "0" * 64}}, 4, "candidate.canonical_sha"),
        ({"candidate": {"mlflow_run_id": "f" * 32}}, 4, "candidate.mlflow_run_id"),
        ({"schema": "minieval.evaluation/2", "task": {"path": "x", "sha256": "0" * 64}}, 4, "task.sha256"),
        ({"buckets": {"all": {"n": 9, "correct": 8}}}, 3, "n 9, and the eval set has 10"),
        ({"aggregate": {"n": 9, "correct": 8}}, 3, "n is 9"),
        ({"buckets": {}}, 3, "is empty"),
        ({"extra": 1}, 3, "unknown key"),
    ],
)
@pytest.mark.slow
def test_an_evaluation_of_something_else_is_refused(
    place: Place, changes: dict[str, Any], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_document(place, document(place, **changes))
    assert place.evaluate() == code
    assert reason in capsys.readouterr().err
    assert not place.output.exists()


def test_figures_have_no_rows_to_keep(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    write_document(place, document(place))
    assert place.evaluate("--rows", str(place.rows)) == 3
    assert "write rows to $MINIEVAL_ROWS" in capsys.readouterr().err


def kill_by_signal() -> str:
    return "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print('why'); raise SystemExit(2)", "ended with exit code 2; its last line: why"),
        (kill_by_signal(), "killed by signal 15"),
        ("pass", "wrote nothing"),
        ("import os; os.symlink('/etc/passwd', os.environ['MINIEVAL_EVALUATION'])", "wrote nothing"),
        ("import os; os.mkfifo(os.environ['MINIEVAL_ROWS'])", "wrote nothing"),
        (
            "import os; [open(os.environ[n], 'w') for n in ('MINIEVAL_ROWS', 'MINIEVAL_EVALUATION')]",
            "wrote an evaluation and rows",
        ),
        ("import os; open(os.environ['MINIEVAL_ROWS'], 'w')", "cannot be read as Parquet"),
        ("import os; open(os.environ['MINIEVAL_EVALUATION'], 'w')", "the file is empty"),
        ("while True: print('x' * 100_000)", "printed more than 16 MiB"),
    ],
)
@pytest.mark.slow
def test_a_command_that_fails_ends_the_evaluation(
    place: Place, source: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(source)
    assert place.evaluate() == 3
    assert reason in capsys.readouterr().err
    assert not place.output.exists()


@pytest.mark.slow
def test_a_command_that_takes_too_long_is_stopped_with_all_that_it_started(place: Place) -> None:
    place.write(
        f"import os, subprocess, time\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(place.folder / 'pid')!r}, 'w').write(str(child.pid))\ntime.sleep(60)\n"
    )
    started = time.monotonic()
    assert place.evaluate("--timeout", "5") == 3
    assert time.monotonic() - started < 40
    pid = int((place.folder / "pid").read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
    except OSError:
        return False


@pytest.mark.slow
def test_a_child_that_keeps_the_pipe_open_does_not_hold_the_evaluation(place: Place) -> None:
    place.write("import subprocess\nsubprocess.Popen(['sleep', '60'])\n" + ROWS + WRITE)
    started = time.monotonic()
    assert place.evaluate() == 0
    assert time.monotonic() - started < 50


@pytest.mark.slow
def test_it_gets_a_folder_of_its_own_and_no_credentials(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "MLFLOW_TRACKING_PASSWORD", "PYTHONPATH"):
        monkeypatch.setenv(name, "geheim")
    (place.task.parent / "not_named.py").write_text("")
    (place.task.parent / "prompt.txt").write_text("be strict")
    seen = place.folder / "seen.json"
    source = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "bundle = sorted(path.name for path in Path(sys.argv[1].removeprefix('--bundle=')).iterdir())\n"
        f"Path({str(seen)!r}).write_text(json.dumps([dict(os.environ), os.listdir(), bundle, sys.argv]))\n"
    )
    words = ["python", "judge.py", "--bundle={MINIEVAL_BUNDLE}", "$HOME; echo {} `x`", "{MINIEVAL_RUN_ID}"]
    place.write(source + ROWS + WRITE, command=json.dumps(words), evaluator='files = ["prompt.txt"]')
    assert place.evaluate() == 0
    environment, files, bundle, argv = json.loads(seen.read_text())
    assert sorted(files) == ["judge.py", "prompt.txt"]
    assert "MLmodel" in bundle
    assert argv[2:] == ["$HOME; echo {} `x`", RUN]
    assert "geheim" not in environment.values()
    mine = {name for name in environment if name.startswith("MINIEVAL_")}
    assert set(environment) - mine <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "TMPDIR"}
    assert environment["HOME"] != os.environ.get("HOME")
    assert environment["MINIEVAL_EVAL_SET"] == str(place.eval_set)


def test_a_required_sandbox_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write(f"open({str(place.folder / 'ran')!r}, 'w')")
    for isolation in ("bwrap", "process"):
        assert place.evaluate("--isolation", isolation) == 3
        assert '"min_isolation": "external"' in capsys.readouterr().err
    for option, value in (("--python", "model"), ("--batch-size", "8"), ("--memory-mb", "64")):
        assert place.evaluate(option, value) == 3
        assert f"{option} " in (said := capsys.readouterr().err) and "would have no effect" in said
    assert not (place.folder / "ran").exists()


def test_an_eval_set_that_the_task_does_not_fit_is_found_before_the_command_runs(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(f"open({str(place.folder / 'ran')!r}, 'w')", more='accepted = "others"')
    assert place.evaluate() == 3
    assert "no column 'others'" in capsys.readouterr().err
    assert not (place.folder / "ran").exists()


def test_a_program_that_is_not_there_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("", command='["no-such-program", "judge.py"]')
    assert place.evaluate() == 3
    assert "'no-such-program': No such file" in capsys.readouterr().err


def test_check_reads_the_eval_set_and_does_not_run_the_command(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(f"open({str(place.folder / 'ran')!r}, 'w')")
    assert run(["check", str(place.task), "--eval-set", str(place.eval_set)]) == 0
    assert 'evaluator ["python", "judge.py"] (right or wrong, isolation external)' in capsys.readouterr().out
    assert not (place.folder / "ran").exists()
