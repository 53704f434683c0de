"""Commands run in a pseudo-terminal, and what such a terminal shows in the end.

- Both streams of a command go to the terminal, as at a desk: progress bars come and go, colours stay.
- What is kept is the last state of the screen: as it looks, and as text whose lines are not broken at its right edge.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyte

COLUMNS = 120
WIDE = 400  # no line is longer
ROWS = 300  # nothing scrolls away
PROMPT = "\x1b[1;32m$\x1b[0m "
NEW_LINE = "\r\n"


@dataclass(frozen=True)
class Run:
    """A stretch of text in one style; colours as pyte names them: a name, six hex digits, or ``default``."""

    text: str
    colour: str
    bold: bool


Line = tuple[Run, ...]


@dataclass(frozen=True)
class Session:
    """What stood on the screen when the last command had ended, and how each command ended."""

    lines: tuple[Line, ...]
    text: str
    codes: tuple[int, ...]


def run_session(commands: Sequence[Sequence[str]], *, folder: Path, environment: Mapping[str, str]) -> Session:
    """Run commands one after another in one terminal, each typed after a prompt; a failed one is asked for its code."""
    written, codes = b"", []
    for command in commands:
        code, output = _run(command, folder, environment)
        written += f"{PROMPT}{shlex.join(command)}{NEW_LINE}".encode() + output
        written += f"{PROMPT}echo $?{NEW_LINE}{code}{NEW_LINE}".encode() if code else b""
        codes.append(code)
    text = "\n".join("".join(run.text for run in line) for line in read_screen(written, WIDE))
    return Session(read_screen(written, COLUMNS), text, tuple(codes))


def read_screen(written: bytes, columns: int) -> tuple[Line, ...]:
    """What a terminal of so many columns shows after these bytes."""
    screen = pyte.Screen(columns, ROWS)
    pyte.ByteStream(screen).feed(written)
    lines = [_read_line(screen, row) for row in range(ROWS)]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, bytes]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    shown = {**environment, "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=folder, env=shown, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append(chunk)
        code = process.wait()
    os.close(ours)
    return code, b"".join(chunks)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that nobody writes to it any more
        return b""


def _read_line(screen: pyte.Screen, row: int) -> Line:
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    while cells and not cells[-1].data.strip():
        cells.pop()
    styled = groupby(cells, key=lambda cell: (cell.fg, cell.bold))
    return tuple(Run("".join(cell.data for cell in group), colour, bold) for (colour, bold), group in styled)
