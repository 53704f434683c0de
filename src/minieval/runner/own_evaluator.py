"""Run a command of the repository that evaluates a candidate in place of minieval.

- Its isolation is `ISOLATION`: it sees the labels, the network and the files of this user. It is trusted as the task
  file is, and nothing guards it against the candidate that it runs.
- No shell reads its arguments, and its environment has a few fixed variables and `minieval.task.document.VARIABLES`.
- It runs in a new folder that holds the files that the task's digest covers, the very bytes, and no others.
- Its time and what it prints are bounded, its process group is killed at the end, and its lines are shown escaped.
- It writes one file: an evaluation, or rows. Neither is believed here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minieval.contract.exits import CannotJudge
from minieval.runner.child import MIB, Limits, printable
from minieval.task.document import PLACEHOLDER, TaskFile

ISOLATION: Final = "external"
NAME: Final = "the command of the task"
KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL")
SHOWN_LINES: Final = 1000
_CHUNK: Final = 64 * 1024
_TICK: Final = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """The file that the command wrote: one of the two is there."""

    evaluation: Path | None
    rows: Path | None


def run_command(
    task: TaskFile, bundle: Path, eval_set: Path, *, run_id: str | None, scratch: Path, limits: Limits, say: Say
) -> Written:
    """Run the command of a task; each line that it prints goes to ``say``.

    ``bundle`` is a copy that it may read; ``scratch`` is an empty folder. ``limits`` bound its time and its output.

    Raises:
        CannotJudge: it cannot be started, fails, takes too long, prints too much, or does not write one regular file.
        ValueError: the task names no command.
    """
    evaluator = task.task.evaluator
    if evaluator is None:
        raise ValueError("the task names no command")
    code, home, results = (scratch / name for name in ("code", "home", "results"))
    for folder in (code, home, results):
        folder.mkdir()
    for name, data in task.evaluator.items():
        (code / name).write_bytes(data)
    wrote = Written(results / "evaluation.json", results / "rows.parquet")
    variables = {
        "MINIEVAL_BUNDLE": str(bundle.resolve()),
        "MINIEVAL_EVAL_SET": str(eval_set.resolve()),
        "MINIEVAL_EVALUATION": str(wrote.evaluation),
        "MINIEVAL_ROWS": str(wrote.rows),
        "MINIEVAL_RUN_ID": run_id or "",
        "MINIEVAL_TASK": str(task.path.resolve()),
    }
    kept = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    environment = {**kept, "HOME": str(home), "TMPDIR": str(home), **variables}
    words = [_fill(word, variables) for word in evaluator.command]
    if words[0] == "python":
        words[0] = sys.executable  # that of minieval, whatever PATH leads to
    _run(words, environment, code, limits, say)
    return _choose(wrote)


def _fill(word: str, variables: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: variables[found[1]], word)


def _run(words: list[str], environment: Mapping[str, str], cwd: Path, limits: Limits, say: Say) -> None:
    try:
        process = subprocess.Popen(
            words,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotJudge(f"{NAME} cannot be started: {words[0][:80]!r}: {reason}") from error
    with process:
        try:
            last = _listen(process, limits, say)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    if code != 0:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise CannotJudge(f"{NAME} {how}{f'; its last line: {last}' if last else ''}")


def _listen(process: subprocess.Popen[bytes], limits: Limits, say: Say) -> str:
    """Show what the command prints until it has ended, and return its last line."""
    assert process.stdout is not None, "opened as a pipe"  # noqa: S101 - for the type checker
    os.set_blocking(process.stdout.fileno(), False)
    lines, deadline = _Lines(say), time.monotonic() + limits.timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else _TICK)
            data = os.read(process.stdout.fileno(), _CHUNK) if ready else b""
            lines.add(data)
            if lines.size > limits.noise_bytes:
                raise CannotJudge(f"{NAME} printed more than {limits.noise_bytes // MIB} MiB and was stopped")
            # Ended, and nothing is left to read: a process that it started may keep the pipe open.
            if ended and not data:
                return lines.finish()
            if ready and not data:
                selector.unregister(process.stdout)  # it closed its output, and may still run
            if time.monotonic() >= deadline:
                raise CannotJudge(
                    f"{NAME} ran for {limits.timeout_s:g} s without finishing and was stopped; raise --timeout, or "
                    "timeout_s in [model] of the task"
                )


class _Lines:
    """Cuts output into printable lines, of which at most `SHOWN_LINES` are shown."""

    def __init__(self, say: Say) -> None:
        self._say, self._rest, self._last, self._shown = say, b"", "", 0
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_CHUNK:]
        for line in whole:
            self._show(line)

    def finish(self) -> str:
        self._show(self._rest)
        return self._last

    def _show(self, line: bytes) -> None:
        text = printable(line.decode(errors="replace"))
        if not text:
            return
        self._last = text
        self._shown += 1
        if self._shown <= SHOWN_LINES:
            self._say(f"evaluator: {text}")


def _choose(wrote: Written) -> Written:
    """Return which file there is; a link or a device is none."""
    there = [path is not None and _is_regular(path) for path in (wrote.evaluation, wrote.rows)]
    if there == [True, True]:
        raise CannotJudge(f"{NAME} wrote an evaluation and rows; write one of the two")
    if not any(there):
        raise CannotJudge(f"{NAME} wrote nothing to $MINIEVAL_EVALUATION and nothing to $MINIEVAL_ROWS; write one file")
    return Written(wrote.evaluation if there[0] else None, wrote.rows if there[1] else None)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
