"""Kill a promotion at a chosen call to the outside, for real.

A forked child counts its calls to the operating system that change the registry or the runs' directory, and sends
itself SIGKILL just before or just after the chosen one. The parent only waits.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Moment = Literal["before", "after"]
CHANGING_CALLS = ("open", "mkdir", "ftruncate", "pwrite", "fsync", "chmod", "replace", "unlink")


def record_calls(action: Callable[[], object], folder: Path) -> list[str]:
    """Run ``action`` in a child; the names of its calls that changed something under ``folder``, in order."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        trap = _Trap(folder, None, "before")
        trap.set()
        action()
        os.write(writing, json.dumps(trap.calls).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    calls: list[str] = json.loads(text)
    return calls


def kill_at(action: Callable[[], object], folder: Path, point: int, moment: Moment) -> bool:
    """Run ``action`` in a child that dies at call ``point``; whether it died there."""
    child = os.fork()
    if child == 0:
        _Trap(folder, point, moment).set()
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


class _Trap:
    def __init__(self, folder: Path, point: int | None, moment: Moment) -> None:
        self.calls: list[str] = []
        self._folder, self._point, self._moment = str(folder), point, moment

    def set(self) -> None:
        for name in CHANGING_CALLS:
            setattr(os, name, self._watch(name, getattr(os, name)))

    def _watch(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(target: Any, *rest: Any, **options: Any) -> Any:
            if not self._counts(name, target, rest):
                return call(target, *rest, **options)
            here = len(self.calls) == self._point
            self.calls.append(f"{name} {self._name(target)}")
            if here and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(target, *rest, **options)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return watched

    def _counts(self, name: str, target: Any, rest: tuple[Any, ...]) -> bool:
        if name == "open" and not (rest and rest[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return False
        return self._path(target).startswith(self._folder)

    def _name(self, target: Any) -> str:
        return self._path(target).removeprefix(self._folder)

    @staticmethod
    def _path(target: Any) -> str:
        return str(Path(f"/proc/self/fd/{target}").readlink()) if isinstance(target, int) else os.fspath(target)
