"""Whole processes, timed: what a user waits for, with interpreter start and imports."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    """What one run of a command took; ``peak_mb`` is the largest process among it and its children, in MiB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(command: Sequence[str], *, cwd: Path, expected: int = 0, **variables: str) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: with what it printed, when it ended otherwise than expected.
    """
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | variables
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        printed = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expected:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{printed.decode()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(*(median(getattr(cost, name) for cost in costs) for name in ("wall_s", "cpu_s", "peak_mb")))


def report(costs: Mapping[str, Sequence[Cost]]) -> None:
    """One line a command: medians."""
    for name, each in costs.items():
        cost = middle(each)
        print(f"{name:<40} {cost.wall_s:7.3f} s wall  {cost.cpu_s:7.3f} s CPU  {cost.peak_mb:6.0f} MiB  n={len(each)}")
