"""The whole story through real mlflow: an honest candidate, and hostile ones that end in exit 3 and write nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from minieval.command import run
from minieval.contract.bundle import read_manifest, settle
from minieval.contract.documents import parse_document
from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.contract.outcome_bits import unpack_outcomes
from minieval.contract.report import Evaluation
from minieval.contract.run_note import RunNote, write_run_note
from minieval.evaluation import Isolation, evaluate
from minieval.runner.predictor import _describe
from tests.minieval.candidates import UPPER, model, upper_rows, write_bundle, write_rows

RUN = "0123456789abcdef" * 2


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "eval.jsonl", upper_rows(10))


def arguments(bundle: Path, rows: Path, output: Path, *more: str) -> list[str]:
    return ["--bundle", str(bundle), "--eval-set", str(rows), "--output", str(output), *more]


@pytest.mark.slow
def test_an_honest_candidate_is_scored(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_bundle(tmp_path / "bundle", "print('hello from the loader')\n" + UPPER)
    output = tmp_path / "out" / "candidate_eval.json"
    assert run(arguments(bundle, rows, output, "--run-id", RUN, "--batch-size", "4")) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "6 of 10 rows right (0.6000), isolation bwrap" in err
    evaluation = parse_document(output.read_bytes(), Evaluation, where="it")
    assert evaluation.candidate.canonical_sha == read_manifest(bundle).canonical_sha
    assert evaluation.candidate.mlflow_run_id == RUN
    assert evaluation.candidate.manifest_format == "lynxgate.manifest/2"
    assert evaluation.eval_set == identify(rows).model_copy(update={"rows": 10})
    assert {name: (m.n, m.correct) for name, m in evaluation.buckets.items()} == {
        "all": (10, 6), "parity.even": (5, 3), "parity.odd": (5, 3)
    }  # fmt: skip
    assert evaluation.aggregate is not None and evaluation.aggregate.outcomes is not None
    assert unpack_outcomes(evaluation.aggregate.outcomes, 10) == int("0110110110", 2)
    assert evaluation.metrics["latency_ms_p95"].value > 0
    assert evaluation.evaluator is not None and evaluation.evaluator.isolation == "bwrap"
    assert evaluation.environment.fingerprint is not None


@pytest.mark.slow
def test_an_evaluation_is_of_this_call_or_absent(rows: Path, tmp_path: Path) -> None:
    """An older one would be compared as if it were of this candidate."""
    output = tmp_path / "candidate_eval.json"
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    for wrong in (
        arguments(tmp_path / "nothing", rows, output),
        arguments(bundle, tmp_path / "nothing.jsonl", output),
        arguments(bundle, rows, output, "--run-id", "no run"),
        arguments(bundle, rows, output, "--timeout", "-1"),
    ):
        output.write_text("of an earlier candidate")
        assert run(wrong) in (3, 64)
        assert not output.exists(), wrong
    output.write_text("of an earlier candidate")
    output.chmod(0o640)
    assert run(arguments(bundle, rows, output, "--isolation", "process")) == 0
    assert output.stat().st_mode & 0o777 == 0o640
    # What is an input is no earlier result.
    before = rows.read_bytes()
    assert run(arguments(bundle, rows, rows)) == 64
    assert rows.read_bytes() == before


@pytest.mark.slow
def test_what_it_prints_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = tmp_path / "a\x1b[2J\u202e##[group]b"
    hostile.mkdir()
    rows = write_rows(hostile / "eval.jsonl", upper_rows(10))
    bundle = write_bundle(hostile / "bundle", UPPER)
    assert run(arguments(bundle, rows, hostile / "out.json", "--isolation", "process")) == 0
    err = capsys.readouterr().err
    assert "wrote" in err and "b/out.json" in err
    assert all(character.isprintable() for line in err.splitlines() for character in line)
    assert "##[" not in err


@pytest.mark.slow
def test_a_frame_in_another_order_is_read_by_its_index_and_twice_is_the_same(rows: Path, tmp_path: Path) -> None:
    frame = model("""
        import pandas, random
        answer = pandas.DataFrame({"x": 1, "prediction": frame["prompt"].str.upper()})
        return answer.sample(frac=1)
    """)
    bundle = write_bundle(tmp_path / "bundle", frame)
    first, second = (evaluate(bundle, rows, isolation=Isolation.PROCESS) for _ in range(2))
    assert first.aggregate is not None and first.aggregate.correct == 6
    assert first.model_copy(update={"metrics": {}}) == second.model_copy(update={"metrics": {}})


@pytest.mark.slow
def test_a_missing_answer_is_wrong_and_counted(rows: Path, tmp_path: Path) -> None:
    some = model("""
        answers = frame["prompt"].str.upper().astype(object)
        answers[1], answers[2] = float("nan"), None
        return answers
    """)
    evaluation = evaluate(write_bundle(tmp_path / "bundle", some), rows, isolation=Isolation.PROCESS)
    assert evaluation.aggregate is not None and evaluation.aggregate.correct == 4
    assert evaluation.missing_answers == 2


@pytest.mark.slow
def test_the_run_of_a_placed_bundle_is_the_one_that_was_noted_beside_it(rows: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    sha, noted = settle(bundle).canonical_sha, "f" * 32
    write_run_note(bundle, RunNote(canonical_sha=sha, mlflow_run_id=noted))
    assert evaluate(bundle, rows, isolation=Isolation.PROCESS).candidate.mlflow_run_id == noted
    write_run_note(bundle, RunNote(canonical_sha="0" * 64, mlflow_run_id=noted))
    assert evaluate(bundle, rows, isolation=Isolation.PROCESS).candidate.mlflow_run_id is None


FIND_CHANNEL = """
import os
channels = [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
def say(data):
    for fd in channels:
        try:
            os.write(fd, data)
        except OSError:
            pass
"""

HOSTILE = {
    "fails to load": ("raise RuntimeError('weights are gone\\nsecond line')", "not be loaded: .*weights are gone"),
    "exits while loading": ("import sys; sys.exit(0)", "could not be loaded: SystemExit: 0"),
    "dies": (model("import os; print('last words', flush=True); os._exit(9)"), "exit code 9 .* last words"),
    "crashes": (model("import ctypes; ctypes.string_at(0)"), "was killed by SIGSEGV"),
    "prints a gigabyte": (
        model("for _ in range(1024): print('x' * 2**20)"),
        "printed more than 16 MiB and was stopped",
    ),
    "too much memory": (model("return bytearray(2**45)"), "no more memory: choose a smaller --batch-size"),
    "returns too few": (model("return ['x']"), r"1 answers for 10 rows \(rows 1 to 10\)"),
    "returns numbers where text is expected": (
        model("return [1.5] * len(frame)"),
        "types differ: the model answers with numbers",
    ),
    "returns an object": (model("return [object()] * len(frame)"), "returned a object, which is not a value of JSON"),
    "fails after a long text": (model("raise ValueError('x' * 10_000 + ' the cause')"), "rows 1 to 10: .* the cause$"),
    "returns one number": (model("return 1.5"), "returned a float, not one answer a row"),
    "forges answers": (
        FIND_CHANNEL + model("say(b'{\"predictions\": [\"wrong\"]}\\n'); return ['x'] * 10"),
        "1 answers for 10 rows",
    ),
    "floods the channel": (FIND_CHANNEL + model("while True: say(b'x' * 2**16)"), "answered with more than 16 MiB"),
}


@pytest.mark.parametrize(("source", "words"), HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.slow
def test_a_hostile_candidate_ends_in_exit_3_with_the_reason(
    source: str, words: str, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    bundle = write_bundle(tmp_path / "bundle", source)
    output = tmp_path / "candidate_eval.json"
    assert run(arguments(bundle, rows, output)) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert not output.exists()
    last = err.splitlines()[-1]
    assert re.search(words, last), last
    assert last.startswith("minieval: ")
    assert last.isprintable()
    assert "Traceback" not in err


RESERVE = "import mmap\nkept = mmap.mmap(-1, 9 * 2**30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)\n"
TOUCH = "import os\nkept = os.urandom(2**20) * 700\n"


@pytest.mark.parametrize("isolation", [Isolation.BWRAP, Isolation.PROCESS])
@pytest.mark.slow
def test_memory_that_is_used_is_bounded_and_addresses_are_not(
    isolation: Isolation, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--memory-mb", "600", "--isolation", isolation.value)
    reserves = write_bundle(tmp_path / "reserves", RESERVE + UPPER)
    assert run(arguments(reserves, rows, tmp_path / "o.json", *options)) == 0
    capsys.readouterr()
    touches = write_bundle(tmp_path / "touches", TOUCH + UPPER)
    assert run(arguments(touches, rows, tmp_path / "o.json", *options)) == 3
    words = "used more than 600 MiB of memory while loading the model and was stopped; raise --memory-mb"
    assert words in capsys.readouterr().err
    assert not (tmp_path / "o.json").exists()


@pytest.mark.slow
def test_a_candidate_that_hangs_is_stopped_with_its_children(rows: Path, tmp_path: Path) -> None:
    marker = f"{tmp_path.name}-sleeper"
    hang = model(
        f"import os, subprocess; subprocess.Popen(['sleep', '61.{abs(hash(marker)) % 10**8}']); os.system('sleep 60')"
    )
    bundle = write_bundle(tmp_path / "bundle", hang)
    done = subprocess.run(
        [sys.executable, "-m", "minieval", *arguments(bundle, rows, tmp_path / "o.json", "--timeout", "8")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "ran for 8 s without finishing and was stopped" in done.stderr
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    assert not any(f"61.{abs(hash(marker)) % 10**8}".encode() in command for command in commands)


def test_known_mistakes_are_refused_before_anything_runs(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    output = tmp_path / "o.json"
    (tmp_path / "broken.jsonl").write_text("{")
    for argv, code in (
        (arguments(tmp_path / "none", rows, output), 3),
        (arguments(bundle, tmp_path / "none.jsonl", output), 3),
        (arguments(bundle, tmp_path / "broken.jsonl", output), 3),
        (arguments(bundle, rows, output, "--run-id", "x"), 64),
        (arguments(bundle, rows, output, "--isolation", "docker"), 64),
        (arguments(bundle, rows, output, "--timeout", "nan"), 64),
        (arguments(bundle, rows, output, "--batch-size", "0"), 64),
        (["--bundle", str(bundle)], 64),
    ):
        assert run(argv) == code, argv
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(UsageFailure):
        evaluate(bundle, rows, batch_size=0)
    (bundle / "link").symlink_to("/etc/passwd")
    assert run(arguments(bundle, rows, output)) == 4
    assert not output.exists()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from minieval.command import run; code = run(['--help'])\n"
        "heavy = {'mlflow', 'pandas', 'numpy', 'scipy', 'dvc', 'boto3', 'yaml'} & set(sys.modules)\n"
        "sys.exit(code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"--{name}" in done.stdout for name in ("bundle", "eval-set", "output", "isolation", "run-id"))


def test_an_exception_that_cannot_be_printed_is_still_reported() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise self

    assert _describe(Mute()) == "an exception that cannot be printed"
    assert _describe(ValueError("x" * 10**6 + " the cause")) == "ValueError: ... " + "x" * 390 + " the cause"


def test_an_eval_set_inside_the_bundle_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    rows = write_rows(bundle / "data" / "eval.jsonl", upper_rows(3))
    link = tmp_path / "eval.jsonl"
    link.symlink_to(rows)
    for path in (rows, rows.parent, link):
        with pytest.raises(CannotJudge, match="inside the bundle"):
            evaluate(bundle, path)


@pytest.mark.parametrize("pair", ["=x", "a=" + "b" * 201, "a=\x1b[31mred", "commit=a\nb", "k" * 201 + "=1"])
def test_a_context_that_no_document_holds_is_wrong_usage(
    pair: str, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, output = write_bundle(tmp_path / "bundle", UPPER), tmp_path / "o.json"
    assert run(arguments(bundle, rows, output, "--context", pair)) == 64
    err = capsys.readouterr().err
    assert err.startswith("minieval: --context: ") and err.count("\n") == 1 and "\x1b" not in err
