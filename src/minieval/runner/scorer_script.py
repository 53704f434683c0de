"""The process that runs a repository's own scorer: ``score(expected, answer, features)``, one row at a time.

`minieval.runner.sandbox` starts it as a script without site-packages: it imports nothing of this package, and a scorer
imports the standard library alone.

- The first line on stdin holds the scorer's source; each further one is a batch of rows. Each answer is one JSON line.
- A scorer is a pure function: once it is loaded, whatever reaches beyond its arguments (a file, a socket, a
  process) ends the scoring, also where the scorer catches the error. Python's audit events show it. They see accidents,
  not malice: against that stands the sandbox.
- Limits and capabilities are not set here: `minieval.runner.launcher` set them before.
- It holds labels, so its memory is closed to other processes of the same user.
- A row has a limit of time. What Python cannot interrupt ends by the runner's own limit.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import FrameType
from typing import Any

PR_SET_DUMPABLE = 4
PURE_FUNCTION = "a scorer is a pure function of one row"
MAX_REASON = 300  # characters of an error that are passed on
STANDARD_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))  # noqa: PTH120 - of the audit hook, which is hot
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of code that only computes, and of an import inside a function. Any other one is refused.
PURE = frozenset({
    "import", "compile", "exec", "marshal.loads", "code.__new__", "function.__new__", "builtins.id", "array.__new__",
    "object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "sys.unraisablehook",
    "cpython._PySys_ClearAuditHooks", "cpython.PyInterpreterState_Clear",
})  # fmt: skip

Score = Callable[[Any, Any, Any], Any]
Message = dict[str, Any]


class Stopped(BaseException):
    """The scorer took too long, or did what a pure function does not; no ``except Exception`` holds it up."""


class WrongScore(Exception):
    """What the scorer returned is no score."""


class Watch:
    """Stops a scorer that is slow or impure; ``reason`` is why it was stopped."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.reason = ""

    def start(self) -> None:
        """Watch from here on, to the end of the process."""
        signal.signal(signal.SIGALRM, self._end_row)
        sys.addaudithook(self._audit)

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _end_row(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop(f"took more than {self._seconds:g} s for one row")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in PURE or (event in {"open", "os.listdir"} and _reads_library(*arguments)):
            return
        if event == "open":
            self._stop(f"opens the file {str(arguments[0])[:80]!r}; {PURE_FUNCTION}")
        self._stop(f"reaches beyond its arguments ({event}); {PURE_FUNCTION}")

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        raise Stopped(self.reason)


def main() -> int:
    """Load the scorer, report that it is ready, then answer each batch with one line."""
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers:
        _close_off()

        def answer(message: Message) -> bool:
            answers.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            answers.flush()
            return "error" not in message

        setup = json.loads(requests.readline())
        watch = Watch(setup["seconds"])
        try:
            score = _load(setup["source"], setup["name"])
        except BaseException as error:
            answer({"error": f"cannot be loaded: {_describe(error)}", "row": None})
            return 1
        watch.start()
        answer({"ready": True})
        for line in requests:
            if not answer(_score_rows(score, json.loads(line)["rows"], watch, graded=setup["graded"])):
                return 1
    return 0


def _close_off() -> None:
    """Move the standard streams away from the scorer, and close this process's memory."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("the memory cannot be closed")


def _load(source: str, name: str) -> Score:
    namespace: dict[str, Any] = {"__name__": "scoring", "__file__": name}
    exec(compile(source, name, "exec"), namespace)  # noqa: S102 - the scorer that the task names, by its digest
    score = namespace.get("score")
    if not callable(score):
        raise TypeError("it defines no function score(expected, answer, features)")
    return score  # type: ignore[no-any-return]


def _score_rows(score: Score, rows: list[Any], watch: Watch, *, graded: bool) -> Message:
    """Return the score of each row, or the first row that has none and why."""
    scores = []
    for index, (rights, answer, features) in enumerate(rows):
        try:
            with watch:
                best = max(_check(score(right, answer, features), graded=graded) for right in rights)
        except WrongScore as error:
            return {"error": watch.reason or str(error), "row": index}
        except BaseException as error:
            return {"error": watch.reason or f"raised {_describe(error)}", "row": index, "raised": not watch.reason}
        if watch.reason:  # the scorer caught even a BaseException
            return {"error": watch.reason, "row": index}
        scores.append(best)
    return {"scores": scores}


def _check(value: Any, *, graded: bool) -> float:
    """Return a score as a float from 0 to 1.

    Raises:
        WrongScore: it is something else, or lies between right and wrong where scores are not graded.
    """
    try:
        number = Fraction(value) if isinstance(value, (int, float, Fraction, Decimal)) else None
    except (ValueError, OverflowError):  # NaN, infinity
        number = None
    if number is None or not 0 <= number <= 1:
        raise WrongScore(f"returned {_show(value)}; a score is a number from 0 to 1")
    if not graded and number not in {0, 1}:
        raise WrongScore(
            f"returned {_show(value)}, which is neither right (1) nor wrong (0); write graded = true in [score]"
        )
    return float(number)


def _reads_library(path: object, mode: object = None, flags: object = 0) -> bool:
    """Return whether this only reads the standard library, as an import does."""
    if not isinstance(path, str) or (isinstance(mode, str) and set(mode) & set("wax+")):
        return False
    if isinstance(flags, int) and flags & WRITING:
        return False
    return os.path.normpath(path).startswith((STANDARD_LIBRARY + "/", os.path.dirname(os.__file__) + "/"))  # noqa: PTH120


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:MAX_REASON]}".encode(errors="replace").decode()
    except BaseException:
        return "an exception that cannot be printed"


def _show(value: Any) -> str:
    try:
        return repr(value)[:80].encode(errors="replace").decode()
    except BaseException:
        return f"a value of the type {type(value).__name__}"


if __name__ == "__main__":
    sys.exit(main())
