"""One process at a time: simulated processes that are switched at each call to the outside, and a clock of their own.

- The order of everything is drawn from one `random.Random`: a seed replays its run.
- A process is a greenlet that runs the real code. It parks in `Scheduler.wait`, which each of its calls to the
  registry or the tracking server passes, and in `time.sleep`.
- Time and chance of the code under test are the simulation's (`Scheduler.exchanged`): no real time passes, and a replay
  writes the same bytes.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet

START = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The end of a process: no code under test catches it."""


@dataclass(eq=False)
class Process:
    """A simulated process; it is due when ``until_step`` and ``until_time`` have passed. ``skew`` is in seconds."""

    name: str
    skew: float
    thread: greenlet | None = None
    until_step: int = 0
    until_time: float = 0.0


class Scheduler:
    """Who goes next, and what time it is (``elapsed``, in seconds)."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.elapsed = 0.0
        self.step = 0
        self.processes: list[Process] = []
        self._hub = getcurrent()

    def now(self, skew: float = 0.0) -> datetime:
        """The time by a clock that is ``skew`` seconds ahead."""
        return START + timedelta(seconds=self.elapsed + skew)

    def start(self, process: Process, body: Callable[[], None]) -> None:
        """Add a process, which runs ``body`` from its first turn on."""
        process.thread = greenlet(body, parent=self._hub)
        self.processes.append(process)

    def wait(self) -> None:
        """Park the current process until its next turn; outside of any process, go on at once."""
        if getcurrent() is not self._hub:
            self._hub.switch()

    def sleep(self, seconds: float) -> None:
        """What `time.sleep` is."""
        if getcurrent() is self._hub:
            self.elapsed += seconds
            return
        for process in self.processes:
            if process.thread is getcurrent():
                process.until_time = self.elapsed + seconds
        self._hub.switch()

    def turn(self) -> None:
        """Let one process that is due go on until it parks again."""
        self.step += 1
        self.elapsed += self.random.random() * 0.2
        due = [each for each in self.processes if each.until_step <= self.step and each.until_time <= self.elapsed]
        if not due:
            # All sleep or are paused: the one that is due first goes on.
            first = min(self.processes, key=lambda each: (each.until_step, each.until_time))
            self.elapsed = max(self.elapsed, first.until_time)
            due = [first]
        process = due[int(self.random.random() * len(due))]
        assert process.thread is not None
        process.thread.switch()

    def end(self) -> None:
        """End every process where it is."""
        processes, self.processes = self.processes, []
        for process in processes:
            if process.thread:  # it has begun, and has not ended
                process.thread.throw(Crash)

    def exchanged(self) -> dict[Any, Any]:
        """What the code under test gets in place of the standard library's time and chance."""
        self._chance = random.Random(self.random.getrandbits(32))
        clock = SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.elapsed)
        names = SimpleNamespace(uuid4=lambda: uuid.UUID(int=self.random.getrandbits(128), version=4))
        return {
            time: clock,
            time.sleep: clock.sleep,
            time.monotonic: clock.monotonic,
            uuid: names,
            uuid.uuid4: names.uuid4,
            random: self._chance,
            random.uniform: self._chance.uniform,
        }
