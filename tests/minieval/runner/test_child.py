"""A child that dies, hangs, floods or answers out of turn ends in one sentence, within its bounds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.runner.child import MIB, Child, Limits, printable
from tests.servers import wait_until

TIGHT = Limits(timeout_s=20, silence_s=10, answer_bytes=MIB, noise_bytes=MIB)


def start(script: str, tmp_path: Path, limits: Limits = TIGHT) -> Child:
    command = [sys.executable, "-I", "-S", "-c", f"import os, sys, time\n{script}"]
    return Child(command, environment={}, cwd=tmp_path, limits=limits)


def test_requests_and_answers_larger_than_a_pipe_pass(tmp_path: Path) -> None:
    with start(
        "for line in sys.stdin.buffer:\n  os.write(2, b'x' * 300_000); print(len(line), flush=True)", tmp_path
    ) as c:
        for size in (1, 500_000, 3_000_000):
            assert c.ask(b"q" * size + b"\n", doing="asking") == str(size + 1).encode()


ENDS = {
    "exit": ("sys.exit(7)", "ended with exit code 7 while asking"),
    "exit 0": ("print('bye')\nsys.exit(0)", "exit code 0"),
    "last line": (
        "os.write(2, b'first\\nthe \\x1b[31mreason\\n\\n'); os._exit(3)",
        r"its last line: the \[31mreason$",
    ),
    "signal": ("os.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
    "killed as bwrap tells it": ("os._exit(137)", "was killed by SIGKILL"),
    "closed output": ("os.close(1); time.sleep(60)", "closed its output"),
    "flood of an answer": ("while True: os.write(1, b'x' * 65536)", "answered with more than 1 MiB"),
    "flood of output": ("while True: os.write(2, b'x' * 65536)", "printed more than 1 MiB and was stopped"),
    "orphan holds the pipe": ("if os.fork() == 0: time.sleep(60)\nelse: os._exit(5)", "ended with exit code 5"),
}


@pytest.mark.parametrize(("script", "words"), ENDS.values(), ids=ENDS.keys())
@pytest.mark.slow
def test_an_end_without_an_answer_is_reported(script: str, words: str, tmp_path: Path) -> None:
    script = script.replace("print('bye')\n", "")
    with start(script, tmp_path) as child, pytest.raises(CannotJudge, match=words) as caught:
        child.ask(b"question\n", doing="asking")
    assert str(caught.value).isprintable()


@pytest.mark.slow
def test_silence_and_the_whole_run_are_limited_in_time(tmp_path: Path) -> None:
    started = time.monotonic()
    quiet = start("time.sleep(60)", tmp_path, Limits(timeout_s=20, silence_s=0.5))
    with quiet as child, pytest.raises(CannotJudge, match=r"did not answer .* while asking .* smaller --batch-size"):
        child.ask(b"?\n", doing="asking")
    slow = "for line in sys.stdin: time.sleep(0.3); print('x', flush=True)"
    slow_one = start(slow, tmp_path, Limits(timeout_s=1.5, silence_s=10))
    with slow_one as child, pytest.raises(CannotJudge, match=r"ran for 1\.5 s .* raise --timeout"):
        for _ in range(20):
            child.ask(b"?\n", doing="asking")
    assert time.monotonic() - started < 50


@pytest.mark.slow
def test_printing_does_not_count_as_an_answer(tmp_path: Path) -> None:
    chatty = start("while True: os.write(2, b'.'); time.sleep(0.05)", tmp_path, Limits(silence_s=0.6))
    with chatty as child, pytest.raises(CannotJudge, match="did not answer"):
        child.ask(b"?\n", doing="asking")


def test_an_answer_before_its_request_is_refused(tmp_path: Path) -> None:
    with start("sys.stdin.readline(); os.write(1, b'one\\ntwo\\n'); time.sleep(60)", tmp_path) as child:
        assert child.ask(b"?\n", doing="asking") == b"one"
        with pytest.raises(CannotJudge, match="before it got a request"):
            child.ask(b"?\n", doing="asking")


def test_the_whole_group_is_killed(tmp_path: Path) -> None:
    script = "pid = os.fork()\nif pid: print(os.getpid(), pid, flush=True)\ntime.sleep(600)"
    with start(script, tmp_path) as child:
        pids = [int(word) for word in child.ask(b"", doing="asking").split()]
        assert all(is_running(pid) for pid in pids)
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_no_descriptor_of_the_parent_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        with start("print(sorted(os.listdir('/proc/self/fd')), flush=True); time.sleep(9)", tmp_path) as child:
            assert child.ask(b"", doing="asking") == b"['0', '1', '2', '3']"  # 3 is the listing's own


def test_a_flood_costs_neither_memory_nor_disk(tmp_path: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for fd in (1, 2):
        script = f"block = b'x' * 2**20\nfor _ in range(1024): os.write({fd}, block)"
        with start(script, tmp_path, Limits()) as child, pytest.raises(CannotJudge, match="more than 16 MiB"):
            child.ask(b"", doing="asking")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "bounds",
    [{"timeout_s": float("nan")}, {"timeout_s": 0.0}, {"timeout_s": float("inf")}, {"silence_s": -1.0}],
)
def test_limits_that_limit_nothing_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(UsageFailure):
        Limits(**bounds)  # type: ignore[arg-type]
    with pytest.raises(UsageFailure):
        Limits(memory_mb=0)


def test_printable_is_one_bounded_line() -> None:
    assert printable("a\x1b[2J\n\tb\u202e" + "c" * 1000, limit=10) == "a [2J b cc"


@pytest.mark.slow
def test_an_answer_that_waits_in_the_pipe_before_its_request_is_refused(tmp_path: Path) -> None:
    script = "print('1', flush=True); time.sleep(0.2); print('2', flush=True); time.sleep(9)"
    with start(script, tmp_path) as child:
        assert child.ask(b"first\n", doing="asking") == b"1"
        time.sleep(0.5)
        with pytest.raises(CannotJudge, match="answered before it got a request"):
            child.ask(b"second\n", doing="asking")
