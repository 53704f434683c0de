"""Ctrl-C: a command that is interrupted ends with 130 and one sentence, at whatever moment the signal comes.

- While the program is still being imported there is nothing to clean up: it ends at once.
- While the command works, `KeyboardInterrupt` unwinds it, so that temporary files go; a second Ctrl-C ends it at once.
- Once the work is done its exit code stands, and Ctrl-C changes nothing.
- In a process that does not begin with `take_interrupts`, such as a test, no handler is touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it

_STARTING, _WORKING, _UNWINDING, _DONE = range(4)
_stage = _STARTING
_taken = False


def take_interrupts() -> None:
    """Handle SIGINT from now on; call this before anything slow is imported. A SIGINT that is ignored stays ignored."""
    global _taken  # noqa: PLW0603 - one process has one handler
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    _taken = True
    signal.signal(signal.SIGINT, _handle)
    sys.unraisablehook = _end_if_interrupted


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` inside this block, once; after it, ignore SIGINT."""
    global _stage  # noqa: PLW0603
    if not _taken:
        yield
        return
    _stage = _WORKING
    try:
        yield
    finally:
        _stage = _DONE
        # Python removes its own handlers when it ends, and a signal would kill it then; what is ignored stays ignored.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _handle(*_: Any) -> None:
    global _stage  # noqa: PLW0603
    if _stage == _DONE:
        return
    if _stage == _WORKING:
        _stage = _UNWINDING
        raise KeyboardInterrupt
    _end()


def _end_if_interrupted(unraisable: sys.UnraisableHookArgs) -> None:
    """End when Python swallows the `KeyboardInterrupt`, as it does inside a destructor: it would be lost."""
    if unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(unraisable)


def _end() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
