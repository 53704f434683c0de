"""Run a command of either program in a fork of this process: its own streams, directory and user, and no new import.

Starting Python and importing the commands takes half a second; a fork takes milliseconds. The child gets streams like
those of a new process, and ends like one: buffered output is flushed, and a flush that fails ends it with 120.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

import lynxgate as lynxgate_package
import minieval
import minieval.command
from lynxgate.cli import app as lynxgate
from lynxgate.cli.app import build

CLOSED: Final = -1
CAPTURED: Final = -2
NOBODY: Final = 65534

PROGRAMS: dict[str, tuple[Any, Callable[[list[str]], int]]] = {
    "lynxgate": (typer.main.get_command(build()), lynxgate.run),
    "minieval": (typer.main.get_command(minieval.command.app), minieval.command.run),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``code`` is negative when a signal killed it, and `None` when it hung."""

    code: int | None
    out: str
    err: str


def import_everything() -> None:
    """Import every module of both packages here, once, so that no fork does: MLflow and DVC take seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for package in (lynxgate_package, minieval):
            for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(each.name)


def leaves() -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Yield every command of both programs from Typer's own objects: program, words, command."""

    def below(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        if not hasattr(command, "commands"):
            yield words, command
            return
        if command.invoke_without_command:
            yield words, command
        for name, each in command.commands.items():
            yield from below(each, *words, name)

    for program, (command, _) in PROGRAMS.items():
        for words, leaf in below(command):
            yield program, words, leaf


def run(
    program: str,
    argv: list[str],
    cwd: Path,
    *,
    stdout: int = CAPTURED,
    stderr: int = CAPTURED,
    nobody: bool = False,
    delete_cwd: bool = False,
    environ: dict[str, str] | None = None,
    seconds: float = 60,
) -> Ended:
    """Run ``argv`` and wait for its end, at most ``seconds``."""
    captured = {1: os.memfd_create("out"), 2: os.memfd_create("err")}
    streams = {1: stdout, 2: stderr}
    rehearsal = _copy(cwd) if nobody else None
    child = os.fork()
    if not child:
        code = 99
        try:
            if rehearsal is not None:
                # This Python may lie where `nobody` may not search: what the command imports is imported before.
                os.chdir(rehearsal)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                _replace_streams({1: nowhere, 2: nowhere})
                PROGRAMS[program][1](argv)
            os.chdir(cwd)
            if delete_cwd:
                cwd.rmdir()
            _replace_streams({fd: captured[fd] if to == CAPTURED else to for fd, to in streams.items()})
            if nobody:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.environ.clear()
            os.environ.update({"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environ or {})})
            code = _end(PROGRAMS[program][1](argv))
        except BaseException:  # noqa: BLE001 - nothing of the fork may return to pytest
            os.write(captured[2], traceback.format_exc().encode())
        finally:
            os._exit(code)
    ended = _wait(child, seconds)
    if rehearsal is not None:
        shutil.rmtree(rehearsal.parent)
    texts = []
    for handle in captured.values():
        with os.fdopen(handle, "rb") as file:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return Ended(ended, *texts)


def _copy(folder: Path) -> Path:
    copy = Path(tempfile.mkdtemp()) / "copy"
    shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("pipe", "loop"))
    return copy


def _replace_streams(streams: dict[int, int]) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    for descriptor, to in streams.items():
        if to != CLOSED:
            os.dup2(to, descriptor)
    for descriptor, to in streams.items():
        if to == CLOSED:
            os.close(descriptor)
    # What Python does at its start, in the C locale: a closed descriptor is no stream, and text is ASCII.
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc] # noqa: SIM115
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        made = None
        if streams[descriptor] != CLOSED:
            made = open(descriptor, "w", encoding="ascii", closefd=False)  # noqa: SIM115
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)


def _end(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                return 120
    return code


def _wait(child: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
