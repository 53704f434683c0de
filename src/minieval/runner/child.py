"""A child process that answers line by line, within limits of time and volume.

- Its output is bounded: an answer has at most `Limits.answer_bytes`, only the tail of its stderr is kept, and after
  `Limits.noise_bytes` on stderr it is stopped.
- An answer that arrives before its request is refused.
- What it and its processes use of memory is looked at while it works and after each answer.
- The whole process group is killed at the end, also after an error.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from minieval.contract.exits import CannotJudge, UsageFailure
from minieval.runner.memory import MemoryWatch

MIB = 1024 * 1024
PREDICTOR = "the predictor"
LONGEST_S = 10**6
LARGEST_MB = 2**32
_CHUNK = 64 * 1024
_TAIL = 8 * 1024
_TICK = 0.1  # seconds between two checks that the child is alive, and of its memory


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a predictor.

    Seconds are wall-clock time; ``memory_mb`` is MiB of resident memory of all its processes together, ``file_mb``
    MiB of each file it writes.
    """

    timeout_s: float = 1800.0
    silence_s: float = 300.0
    memory_mb: int = 8192
    file_mb: int = 256
    answer_bytes: int = 16 * MIB
    noise_bytes: int = 16 * MIB

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageFailure: a limit is not positive, or is too large to limit anything.
        """
        if not 0 < self.timeout_s <= LONGEST_S or not 0 < self.silence_s <= LONGEST_S:
            raise UsageFailure(f"a timeout is more than 0 and at most {LONGEST_S} seconds")
        if not 0 < self.memory_mb <= LARGEST_MB or not 0 < self.file_mb <= LARGEST_MB:
            raise UsageFailure(f"a bound on memory or files is more than 0 and at most {LARGEST_MB} MiB")


class Child:
    """A running child; use as a context manager, which kills it. Messages call it by ``name``.

    Raises (from every method):
        CannotJudge: the child ends, is silent for too long, or writes too much.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        limits: Limits,
        name: str = PREDICTOR,
    ) -> None:
        self._limits, self._name = limits, name
        self._inbox = bytearray()
        self._noise = bytearray()
        self._noise_bytes = 0
        self._end = time.monotonic() + limits.timeout_s
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._memory = MemoryWatch(self._process.pid)
        self._next_look = 0.0
        self._selector = selectors.DefaultSelector()
        for stream in (self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(self._stdin.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._selector.close()
        for stream in (self._stdin, self._stdout, self._stderr):
            stream.close()

    def ask(self, request: bytes, *, doing: str) -> bytes:
        """Send ``request`` (may be empty) and return the line of the answer; ``doing`` names the work in messages."""
        if request:
            self._look_for_early_answer(doing)
        if self._inbox:
            raise CannotJudge(f"{self._name} answered before it got a request")
        unsent = memoryview(request)
        started = time.monotonic()
        deadline = min(self._end, started + self._limits.silence_s)
        if unsent:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        while b"\n" not in self._inbox[-_CHUNK:]:  # at most one chunk arrives between two checks
            if time.monotonic() >= deadline:
                self._give_up(doing, waited=time.monotonic() - started)
            if time.monotonic() >= self._next_look:
                self._check_memory(doing)
            ended = self._process.poll() is not None
            ready = self._selector.select(0 if ended else min(_TICK, max(0.0, deadline - time.monotonic())))
            if ended and not ready:
                self._report_end(doing)
            for key, _ in ready:
                if key.fileobj is self._stdin:
                    unsent = self._send(unsent)
                elif key.fileobj is self._stdout:
                    self._receive(doing)
                else:
                    self._listen()
        self._check_memory(doing)
        self._stop_sending()
        line, _, rest = bytes(self._inbox).partition(b"\n")
        self._inbox[:] = rest
        return line

    def _look_for_early_answer(self, doing: str) -> None:
        """Read what already lies in the pipe: an answer that waits there was not made from the request."""
        with contextlib.suppress(BlockingIOError):
            self._receive(doing)

    def _check_memory(self, doing: str) -> None:
        self._next_look = time.monotonic() + _TICK
        if self._memory.exceeds(self._limits.memory_mb * MIB):
            advice = "raise --memory-mb if it needs more" if self._name == PREDICTOR else "it must use less"
            raise CannotJudge(
                f"{self._name} used more than {self._limits.memory_mb} MiB of memory while {doing} and was stopped; "
                f"{advice}"
            )

    @property
    def _stdin(self) -> IO[bytes]:
        return _given(self._process.stdin)

    @property
    def _stdout(self) -> IO[bytes]:
        return _given(self._process.stdout)

    @property
    def _stderr(self) -> IO[bytes]:
        return _given(self._process.stderr)

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            unsent = unsent[os.write(self._stdin.fileno(), unsent[:_CHUNK]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            # It closed its stdin. Its stdout shows whether it died or still answers.
            unsent = unsent[:0]
        if not unsent:
            self._stop_sending()
        return unsent

    def _stop_sending(self) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._stdin)

    def _receive(self, doing: str) -> None:
        data = os.read(self._stdout.fileno(), _CHUNK)
        if not data:
            self._report_end(doing)
        self._inbox += data
        if len(self._inbox) > self._limits.answer_bytes:
            raise CannotJudge(
                f"{self._name} answered with more than {self._limits.answer_bytes // MIB} MiB while {doing}; "
                "if its answers are long, choose a smaller --batch-size"
            )

    def _listen(self) -> None:
        data = os.read(self._stderr.fileno(), _CHUNK)
        if not data:
            self._selector.unregister(self._stderr)
        self._noise_bytes += len(data)
        self._noise[:] = (self._noise + data)[-_TAIL:]
        if self._noise_bytes > self._limits.noise_bytes:
            raise CannotJudge(
                f"{self._name} printed more than {self._limits.noise_bytes // MIB} MiB and was stopped; "
                "remove the output from its code"
            )

    def _give_up(self, doing: str, *, waited: float) -> NoReturn:
        if time.monotonic() >= self._end:
            raise CannotJudge(
                f"{self._name} ran for {self._limits.timeout_s:g} s without finishing and was stopped while {doing}; "
                "raise --timeout if it needs more"
            )
        raise CannotJudge(
            f"{self._name} did not answer for {waited:.0f} s while {doing} and was stopped; "
            "if it is slow, choose a smaller --batch-size"
        )

    def _report_end(self, doing: str) -> NoReturn:
        """Raise an error that describes how the child ended, with the last line that it printed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        with contextlib.suppress(BlockingIOError, KeyError):
            while self._selector.get_key(self._stderr):
                self._listen()
        last = next((line for line in reversed(self._noise.splitlines()) if line.strip()), b"")
        words = f"; its last line: {printable(last.decode(errors='replace'))}" if last else ""
        raise CannotJudge(f"{self._name} {_describe_end(self._process.poll())} while {doing}{words}")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def printable(text: str, *, limit: int = 300) -> str:
    """Return the candidate's text in a form that is safe in a message: one line, bounded, no control characters."""
    kept = "".join(character if character.isprintable() else " " for character in text[: 4 * limit])
    return " ".join(kept.split())[:limit]


def _describe_end(code: int | None) -> str:
    if code is None:
        return "closed its output"
    number = -code if code < 0 else code - 128  # inside bwrap a signal shows as 128 + its number
    if number > 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(number).name}"
    return f"ended with exit code {code}"


def _given(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "opened as a pipe"  # noqa: S101 - for the type checker
    return stream
