"""A scorer of the repository's own: what it may return, what ends in one sentence, what it can reach."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minieval.contract.exits import CannotJudge
from minieval.evaluation import evaluate
from minieval.runner.child import Limits
from minieval.runner.sandbox import Isolation
from minieval.runner.scorer import LIMITS, start_scorer
from minieval.task.document import TaskFile, read_task
from tests.minieval.candidates import UPPER, model, upper_rows, write_bundle, write_rows

TASK = """\
schema = "minieval.task/1"
[buckets]
lists = ["buckets"]
[score]
python = "scoring.py"
graded = {graded}
"""
SHARED_WORDS = """\
import re

def score(expected, answer, features):
    right, given = (set(re.findall(r"\\w+", text.lower())) for text in (expected, answer))
    return len(right & given) / len(right | given)
"""


def write_task(folder: Path, source: str, *, graded: bool = True) -> TaskFile:
    (folder / "scoring.py").write_text(textwrap.dedent(source))
    (folder / "task.toml").write_text(TASK.format(graded=str(graded).lower()))
    return read_task(folder / "task.toml")


def score_all(
    task: TaskFile,
    rows: Sequence[tuple[Any, Any]],
    *,
    isolation: Isolation = Isolation.PROCESS,
    seconds: float = 10.0,
    limits: Limits = LIMITS,
) -> list[float]:
    """Score pairs of an expected and a given answer in one batch; row n has the feature n."""
    expected, answers = [right for right, _ in rows], [answer for _, answer in rows]
    with start_scorer(task, isolation, row_seconds=seconds, limits=limits) as scorer:
        found = scorer.score(
            expected, None, answers, lambda: [{"n": n} for n in range(len(rows))], lambda n: f"rows.jsonl, line {n + 1}"
        )
    return [float(each) for each in found]


@pytest.mark.parametrize("isolation", [Isolation.BWRAP, Isolation.PROCESS])
def test_a_scorer_grades_each_row_and_sees_its_features(isolation: Isolation, tmp_path: Path) -> None:
    task = write_task(tmp_path, SHARED_WORDS)
    rows = [("a b", "B a"), ("a b", "b c"), ("a", "z"), ("a", None)]
    assert score_all(task, rows, isolation=isolation) == [1.0, 1 / 3, 0.0, 0.0]
    task = write_task(tmp_path, "def score(expected, answer, features):\n    return answer == features['n']")
    assert score_all(task, [(0, 0), (0, 0), (0, 2), (0, None)], isolation=isolation) == [1.0, 0.0, 1.0, 0.0]


def test_the_best_of_several_accepted_answers_counts(tmp_path: Path) -> None:
    task = write_task(tmp_path, SHARED_WORDS)
    with start_scorer(task, Isolation.PROCESS) as scorer:
        found = scorer.score(
            ["a", "a", "a"], [["b c"], [], ["b"]], ["b", "b", None], lambda: [{}, {}, {}], lambda n: f"row {n}"
        )
        again = scorer.score(["a"], [["a b c"]], ["a b c"], lambda: [{}], lambda n: f"row {n}")
    assert found.tolist() == [0.5, 0.0, 0.0]
    assert again.tolist() == [1.0]


RETURNED = {
    "True": 1.0, "0": 0.0, "1": 1.0, "0.25": 0.25, "Fraction(1, 3)": float(Fraction(1, 3)), "Decimal('0.5')": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(("returned", "score"), RETURNED.items(), ids=RETURNED)
def test_a_number_from_0_to_1_is_a_score(returned: str, score: float, tmp_path: Path) -> None:
    source = f"from decimal import Decimal\nfrom fractions import Fraction\ndef score(*_):\n    return {returned}"
    assert score_all(write_task(tmp_path, source), [("a", "b")]) == [score]


# What the scorer does in the third of four rows, and the reason that is given.
WRONG = {
    "1.5": ("return 1.5", r"returned 1\.5; a score is a number from 0 to 1"),
    "less than 0": ("return -1", "returned -1; a score is"),
    "NaN": ("return float('nan')", "returned nan; a score is"),
    "infinity": ("return float('inf')", "returned inf; a score is"),
    "a decimal that is no number": ("return __import__('decimal').Decimal('sNaN')", r"returned Decimal\('sNaN'\)"),
    "text": ("return '1'", "returned '1'; a score is"),
    "nothing": ("return None", "returned None; a score is"),
    "a huge text": ("return 'x' * 10**6", "returned 'xxx"),
    "an object that cannot be shown": (
        "return type('Odd', (), {'__repr__': lambda self: 1 / 0})()", "returned a value of the type Odd; a score is"
    ),
    "raises": ("return {}['answer']", "raised KeyError: 'answer'"),
    "exits": ("raise SystemExit(0)", "raised SystemExit: 0"),
    "raises a control code": ("raise ValueError('\\x1b[2J##[group]')", r"raised ValueError: \[2J"),
    "reads a file": ("return len(open('/etc/passwd').read())", "opens the file '/etc/passwd'; a scorer is a pure"),
    "hides that it reads one": (
        "\n    try:\n        open('/etc/passwd')\n    except BaseException:\n        pass\n    return 1",
        "opens the file",
    ),
    "reads what lies beside the library": (
        "return len(open(__import__('os').__file__ + '/../../../../etc/passwd').read())", "opens the file"
    ),
    "lists a folder": ("return len(__import__('os').listdir('/'))", r"reaches beyond its arguments \(os\.listdir\)"),
    "writes into the library": ("open(__import__('os').__file__, 'a')", "opens the file"),
    "writes a file": ("open('/tmp/scorer-was-here', 'w')", "opens the file"),
    "opens a socket": ("import socket; socket.socket()", r"reaches beyond its arguments \(socket"),
    "starts a process": ("__import__('os').system('true')", r"\(os\.system\)"),
    "starts a program": ("import subprocess; subprocess.run(['true'])", r"\(subprocess\.Popen\)"),
    "forks": ("__import__('os').fork()", r"\(os\.fork\)"),
    "loads a library": ("__import__('ctypes').CDLL(None)", r"\(ctypes\.dlopen\)"),
    "imports another package": ("import numpy", "raised ModuleNotFoundError: No module named 'numpy'"),
}  # fmt: skip


@pytest.mark.parametrize(("does", "reason"), WRONG.values(), ids=WRONG)
@pytest.mark.slow
def test_what_a_scorer_must_not_do_is_one_sentence_with_the_row(does: str, reason: str, tmp_path: Path) -> None:
    body = does if does.startswith("\n") else f"\n    {does}"
    source = f"def score(expected, answer, features):\n    if features['n'] != 2:\n        return 1{body}"
    before = Path("/tmp/scorer-was-here").exists()
    with pytest.raises(CannotJudge, match=rf"^rows\.jsonl, line 3: the scorer \S+scoring\.py .*{reason}") as caught:
        score_all(write_task(tmp_path, source), [("a", "a")] * 4)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert Path("/tmp/scorer-was-here").exists() == before


def test_rows_without_an_answer_do_not_move_the_row_that_is_named(tmp_path: Path) -> None:
    task = write_task(tmp_path, "def score(expected, answer, features):\n    return 1 if answer == 'a' else 2")
    with pytest.raises(CannotJudge, match="line 4: "):
        score_all(task, [("a", None), ("a", "a"), ("a", None), ("a", "b")])


def test_right_or_wrong_is_not_graded_unless_the_task_allows_it(tmp_path: Path) -> None:
    half = "def score(expected, answer, features):\n    return 0.5"
    with pytest.raises(CannotJudge, match=r"line 1: .* neither right \(1\) nor wrong \(0\); write graded = true"):
        score_all(write_task(tmp_path, half, graded=False), [("a", "a")])
    assert score_all(write_task(tmp_path, half), [("a", "a")]) == [0.5]


@pytest.mark.slow
def test_a_row_that_takes_forever_is_named(tmp_path: Path) -> None:
    source = """\
        def score(expected, answer, features):
            while features["n"] == 1:
                try:
                    pass
                except Exception:
                    pass
            return 1
        """
    with pytest.raises(CannotJudge, match=r"line 2: the scorer .* took more than 0\.3 s for one row$"):
        score_all(write_task(tmp_path, source), [("a", "a")] * 3, seconds=0.3)


@pytest.mark.slow
def test_what_python_cannot_interrupt_ends_too(tmp_path: Path) -> None:
    source = "def score(expected, answer, features):\n    return sum(range(10**12))"  # one call of C
    quick = Limits(timeout_s=60, silence_s=1.0, memory_mb=2048, file_mb=1)
    with pytest.raises(CannotJudge, match=r"the scorer did not answer for 1 s while scoring rows\.jsonl, line 1 and"):
        score_all(write_task(tmp_path, source), [("a", "a")], seconds=0.2, limits=quick)


@pytest.mark.slow
def test_a_slow_scorer_is_limited_by_row_and_not_by_the_size_of_a_batch(tmp_path: Path) -> None:
    """At 20 rows a second, a batch of 8192 rows takes longer than the limit of silence."""
    source = """\
        import time

        def score(expected, answer, features):
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                pass
            return answer
        """
    impatient = Limits(timeout_s=60, silence_s=2.0, memory_mb=2048, file_mb=1)
    answers = [None if row % 7 == 0 else row / 100 for row in range(60)]
    found = score_all(write_task(tmp_path, source), [("a", answer) for answer in answers], limits=impatient)
    assert found == [answer or 0.0 for answer in answers]


def test_of_many_rows_the_one_that_fails_is_named(tmp_path: Path) -> None:
    task = write_task(tmp_path, "def score(expected, answer, features):\n    return 2 if answer == 44 else 1")
    with pytest.raises(CannotJudge, match=r"^rows\.jsonl, line 45: .* returned 2"):
        score_all(task, [("a", None if row % 5 == 0 else row) for row in range(90)])


LOADS = {
    "not Python": ("def score(", r"scoring\.py: cannot be loaded: SyntaxError"),
    "raises": ("raise ValueError('no')", "cannot be loaded: ValueError: no"),
    "exits": ("import sys; sys.exit(0)", "cannot be loaded: SystemExit"),
    "no function": ("def scores(expected, answer, features): return 1", r"defines no function score\(expected"),
    "a package": ("import pydantic\ndef score(*_): return 1", "No module named 'pydantic'"),
    "a neighbour": ("import wire\ndef score(*_): return 1", "No module named 'wire'"),
    "this package": ("import minieval\ndef score(*_): return 1", "No module named 'minieval'"),
}


@pytest.mark.parametrize(("source", "reason"), LOADS.values(), ids=LOADS)
def test_a_scorer_that_cannot_be_loaded_is_named(source: str, reason: str, tmp_path: Path) -> None:
    task = write_task(tmp_path, source)
    with pytest.raises(CannotJudge, match=reason), start_scorer(task, Isolation.PROCESS):
        pass


def test_a_scorer_that_ends_its_process_is_reported(tmp_path: Path) -> None:
    task = write_task(tmp_path, "import os\ndef score(*_): os._exit(7)")
    with pytest.raises(CannotJudge, match="the scorer ended with exit code 7 while scoring rows"):
        score_all(task, [("a", "a")])


def test_the_standard_library_can_be_imported_when_a_row_needs_it(tmp_path: Path) -> None:
    """`strptime` imports a module when it is first called."""
    source = """\
        import datetime

        def score(expected, answer, features):
            import statistics
            import difflib
            assert statistics.mean([1, 2]) == 1.5
            right, given = (datetime.datetime.strptime(text, "%d.%m.%Y") for text in (expected, answer))
            return 1 - min(abs((right - given).days) / 10, 1)
        """
    assert score_all(write_task(tmp_path, source), [("01.02.2025", "3.2.2025")]) == [0.8]


def test_what_a_scorer_prints_is_no_answer(tmp_path: Path) -> None:
    source = "import sys\nprint('hello')\ndef score(*_):\n    print('{\"scores\": [0]}'); return 1"
    assert score_all(write_task(tmp_path, source), [("a", "a")] * 2) == [1.0, 1.0]


@pytest.mark.slow
def test_sets_have_one_order_in_every_run(tmp_path: Path) -> None:
    """Same inputs, same bytes: the hash seed is fixed."""
    source = "def score(expected, answer, features):\n    return next(iter({'a', 'b', 'c', 'd'})) == answer"
    task = write_task(tmp_path, source)
    rows = [("x", letter) for letter in "abcd"]
    first = score_all(task, rows)
    assert sum(first) == 1
    assert all(score_all(task, rows) == first for _ in range(3))


def test_under_bwrap_it_sees_neither_network_nor_other_files_nor_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read while it is loaded, before the audit hook: the sandbox itself holds."""
    monkeypatch.setenv("SECRET", "1")
    source = f"""\
        import os, socket
        found = []
        if os.path.exists({str(tmp_path)!r}) or os.path.exists("/bundle"):
            found.append("files")
        if "SECRET" in os.environ or "HOME" in os.environ:
            found.append("environment")
        if [each for each in os.listdir("/proc") if each.isdigit() and int(each) > 3]:
            found.append("processes")
        if [name for _, name in socket.if_nameindex() if name != "lo"]:
            found.append("network")
        for path in ("/x", "/usr/x", os.path.dirname(os.__file__) + "/x"):
            try:
                open(path, "w")
                found.append("writes " + path)
            except OSError:
                pass

        def score(expected, answer, features):
            raise ValueError(", ".join(found) or "nothing")
        """
    with pytest.raises(CannotJudge, match=r"raised ValueError: nothing$"):
        score_all(write_task(tmp_path, source), [("a", "a")], isolation=Isolation.BWRAP)


def test_it_has_no_capabilities_and_its_memory_is_closed_to_a_candidate_of_the_same_user(tmp_path: Path) -> None:
    source = """\
        import ctypes
        status = open("/proc/self/status").read()
        dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # PR_GET_DUMPABLE

        def score(expected, answer, features):
            return answer == [dumpable, "CapEff:\\t0000000000000000\\n" in status]
        """
    for isolation in (Isolation.BWRAP, Isolation.PROCESS):
        task = write_task(tmp_path, source, graded=False)
        assert score_all(task, [("a", [0, True]), ("a", [1, True])], isolation=isolation) == [1.0, 0.0]


LOOKS_FOR_THE_SCORER = model(
    """
    import os
    running = [open(f"/proc/{each}/cmdline").read() for each in os.listdir("/proc") if each.isdigit()]
    assert not [line for line in running if "scorer" in line], running
    assert not os.path.exists("/scorer_script.py")
    return [prompt.upper() for prompt in frame["prompt"]]
    """
)


@pytest.mark.slow
def test_an_evaluation_with_a_scorer_the_candidate_does_not_see(tmp_path: Path) -> None:
    """Two sandboxes side by side; the answers of one reach the other through minieval alone."""
    bundle = write_bundle(tmp_path / "bundle", LOOKS_FOR_THE_SCORER)
    rows = write_rows(tmp_path / "eval.jsonl", [{**row, "b": row.pop("buckets")} for row in upper_rows(9)])
    source = """\
        import os
        candidate = os.path.exists("/bundle")

        def score(expected, answer, features):
            assert not candidate and answer == features["prompt"].upper()
            return 1 if answer == expected else 0.25
        """
    (tmp_path / "scoring.py").write_text(textwrap.dedent(source))
    (tmp_path / "task.toml").write_text(
        TASK.format(graded="true").replace('lists = ["buckets"]', 'lists = ["b"]').replace("[b", 'id = "id"\n[b', 1)
    )
    task = read_task(tmp_path / "task.toml")
    evaluation = evaluate(bundle, rows, task=task, isolation=Isolation.BWRAP, batch_size=4)
    assert evaluation.aggregate is not None and evaluation.task is not None
    assert (evaluation.aggregate.points, str(evaluation.aggregate.mean)) == (67_500, "0.7500")
    assert evaluation.task.sha256 == task.sha256
    (tmp_path / "scoring.py").write_text("def score(e, a, f):\n    return 1 if f['prompt'] != 'word 6' else 1.5")
    task, bundle = read_task(tmp_path / "task.toml"), write_bundle(tmp_path / "other", UPPER)
    with pytest.raises(CannotJudge, match=r"eval\.jsonl, line 7: the scorer \S+scoring\.py returned 1\.5"):
        evaluate(bundle, rows, task=task, isolation=Isolation.PROCESS, batch_size=4)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(json_values.filter(lambda value: value is not None), json_values), max_size=8))
@pytest.mark.slow
def test_every_value_of_json_arrives_as_it_is(
    rows: list[tuple[Any, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    task = write_task(
        tmp_path_factory.mktemp("task"),
        "def score(expected, answer, features):\n    return repr(expected) == repr(answer)",
        graded=False,
    )
    scores = score_all(task, [(right, right) for right, _ in rows] + rows)
    assert scores[: len(rows)] == [1.0] * len(rows)
    assert scores[len(rows) :] == [float(answer is not None and repr(right) == repr(answer)) for right, answer in rows]
