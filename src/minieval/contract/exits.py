"""Exit codes, the errors that have them, and `run`, the one place that turns an exception into an exit code.

- Every command of both packages ends through `run`.
- An error never exits by itself. Its message is one sentence: what is wrong, where, and what to do.
- Typer's usage errors exit 64; by default they would exit 2, the code of a regression.
- The code is that of the work: output that cannot be printed does not change it (`minieval.contract.streams`).
- A failure of the operating system is a sentence with its path: a network (5), or a file that cannot be used (3).
- Any other exception that is not a `GateError` is a bug. It exits 1, and only then a traceback is printed.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

from minieval.contract.interrupts import INTERRUPTED, interruptible
from minieval.contract.streams import lossy_streams

if TYPE_CHECKING:
    import typer


class Exit(IntEnum):
    """The exit codes of every command; a test compares the README's table with them."""

    OK = 0
    BUG = 1
    REGRESSION = 2
    CANNOT_JUDGE = 3
    INTEGRITY = 4
    UNAVAILABLE = 5
    REFUSED = 6
    USAGE = 64
    INTERRUPTED = INTERRUPTED


MEANINGS: Final = {
    Exit.OK: "passed, promoted, already promoted, or report-only",
    Exit.BUG: "an unexpected exception; the only code with a traceback",
    Exit.REGRESSION: "a bucket or metric fell, is missing or is new; the table is on stdout",
    Exit.CANNOT_JUDGE: "input is bad, empty or not comparable, or evidence is not sufficient for a decision",
    Exit.INTEGRITY: "a hash differs from the expected one",
    Exit.UNAVAILABLE: "a store or service could not be reached, or failed",
    Exit.REFUSED: "not authorised, semver taken, or changed by another process meanwhile",
    Exit.USAGE: "the command was called with wrong arguments",
    Exit.INTERRUPTED: "interrupted by Ctrl-C before the work was done",
}  # the table in the README


class GateError(Exception):
    """An expected error: its message is one sentence for the user, and ``exit`` is its exit code."""

    exit: ClassVar[Exit] = Exit.BUG


class CannotJudge(GateError):
    """Input that is bad, empty or not comparable, or evidence that is not sufficient for a decision."""

    exit = Exit.CANNOT_JUDGE


class IntegrityFailure(GateError):
    """A hash differs from the expected one."""

    exit = Exit.INTEGRITY


class UsageFailure(GateError):
    """The command was called with wrong arguments."""

    exit = Exit.USAGE


def run(app: typer.Typer, argv: Sequence[str] | None = None, *, prog: str) -> int:
    """Run a Typer app on ``argv`` (default: the process's arguments) and return the exit code.

    A command returns its code; `None` is 0. Error messages go to stderr, one line each.
    """
    with lossy_streams() as out:
        code = _run(app, sys.argv[1:] if argv is None else argv, prog=prog)
        sys.stdout.flush()
        if out.unsaid:
            print_line(f"{prog}: the output could not be printed: {out.unsaid}; exit code {code} is that of the work")
    return code


def _run(app: typer.Typer, argv: Sequence[str], *, prog: str) -> int:
    import typer.exceptions

    try:
        with interruptible():
            _check_text(argv)
            code = app(args=argv, prog_name=prog, standalone_mode=False)
    except GateError as error:
        print_line(f"{prog}: {error}")
        return error.exit
    except typer.exceptions.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer does not export it; its message is the help
            print(error.format_message(), file=sys.stderr)
        else:
            print_line(f"{prog}: {error.format_message()} (see {prog} --help)")
        return Exit.USAGE
    except (typer.exceptions.Abort, KeyboardInterrupt):
        print_line(f"{prog}: interrupted")
        return Exit.INTERRUPTED
    except OSError as error:
        print_line(f"{prog}: {describe_os_error(error)}")
        return Exit.UNAVAILABLE if isinstance(error, ConnectionError | TimeoutError) else Exit.CANNOT_JUDGE
    except Exception:
        traceback.print_exc()
        print_line(f"{prog}: this is a bug in Lynxgate; please report it with the lines above")
        return Exit.BUG
    return code if isinstance(code, int) else Exit.OK


def describe_os_error(error: OSError) -> str:
    """Return what failed, and where, of an error that no caller has described."""
    reason = error.strerror or type(error).__name__
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    if reason == os.strerror(errno.ENOENT):
        # The only path without a name is the current directory (`getcwd`).
        return f"the current directory: {reason}; change to one that exists"
    return f"the operating system refused: {reason}"


def _check_text(argv: Sequence[str]) -> None:
    """Refuse arguments that are not UTF-8: a document, which is UTF-8, could not name such a file.

    Raises:
        UsageFailure: naming the argument, with its bytes escaped.
    """
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            shown = word.encode(errors="backslashreplace").decode()
            raise UsageFailure(f"the argument '{shown[:200]}' is not UTF-8 text; rename the file") from error


def print_line(line: str) -> None:
    """Print one line on stderr, so that neither a terminal nor a workflow's log obeys anything in it."""
    shown = "".join(character if character.isprintable() else "?" for character in " ".join(line.split()))
    # GitHub's runner obeys `##[` anywhere in a line of a log.
    print(shown.replace("##[", "#?["), file=sys.stderr)
