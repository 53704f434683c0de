"""Standard streams that never stop a command: what cannot be printed is dropped, and the reason is kept.

- The exit code of a command is that of its work. A promotion that took effect is not a failure because the terminal
  was gone or the disk was full when its receipt was printed.
- Text is UTF-8 in every locale. What UTF-8 does not have, such as the bytes of a file name, is printed as an escape.
- A standard descriptor that is closed is opened on `/dev/null`: otherwise the next file that the command opens would
  become its stdout, and what it prints would go into that file.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO

_CLOSED: Final = "it is closed"


class Lossy(io.RawIOBase):
    """The bytes of a stream; after the first failed write, everything is dropped and ``reason`` is the failure."""

    def __init__(self, stream: TextIO | None) -> None:
        """Take the stream's bytes, unbuffered where it has them; `None` stands for a closed stream."""
        self.reason = ""
        self._text = stream
        buffer = getattr(stream, "buffer", None)
        self._raw: Any = getattr(buffer, "raw", buffer)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        # A library may look at the stream while Python ends, after the stream was closed.
        return self._text is not None and not self._text.closed and self._text.isatty()

    def fileno(self) -> int:
        if self._text is None:
            raise io.UnsupportedOperation("fileno")
        return self._text.fileno()

    def write(self, data: Any, /) -> int:
        """Write all of ``data``, or drop what is left of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and not self.reason:
            try:
                rest = rest[self._write_some(rest) :]
            except BrokenPipeError:
                self.reason = "EPIPE"
            except OSError as error:
                self.reason = error.strerror or type(error).__name__
            except ValueError:
                self.reason = _CLOSED
        return size

    def _write_some(self, data: memoryview) -> int:
        if self._text is None:
            raise ValueError
        if self._raw is None:  # a text stream without bytes, as in a notebook
            self._text.write(bytes(data).decode("utf-8", "replace"))
            return len(data)
        written = self._raw.write(data)
        if written is None:  # a full pipe that does not block
            select.select([], [self._raw], [])
            return 0
        return int(written)

    @property
    def unsaid(self) -> str:
        """Why something was dropped; empty when nothing was, or when the reader has closed the pipe by itself."""
        return "" if self.reason == "EPIPE" else self.reason


@contextlib.contextmanager
def lossy_streams() -> Iterator[Lossy]:
    """Replace stdout and stderr by streams that never raise; yield stdout's, which knows what it dropped."""
    before = sys.stdout, sys.stderr
    for stream in before:
        # What was printed earlier comes first. It may fail, and then it fails again at the end of the process.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    _fill_closed_descriptors()
    out = Lossy(before[0])
    sys.stdout, sys.stderr = _text(out), _text(Lossy(before[1]), each_line=True)
    try:
        yield out
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _text(raw: Lossy, *, each_line: bool = False) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        line_buffering=each_line or raw.isatty(),
    )


def _fill_closed_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one, since those before it are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
