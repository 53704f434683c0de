"""Exit codes, the errors that have them, and `run`, the one place that turns an exception into an exit code.

- Every command of both packages ends through `run`.
- An error never exits by itself. Its message is one sentence: what is wrong, where, and what to do.
- Typer's usage errors exit 64; by default they would exit 2, the code of a regression.
- An exception that is not a `GateError` is a bug. It exits 1, and only then a traceback is printed.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

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


MEANINGS: Final = {
    Exit.OK: "passed, promoted, already promoted, or report-only",
    Exit.BUG: "an unexpected exception; the only code with a traceback",
    Exit.REGRESSION: "a bucket or metric fell, is missing or is new; the table is on stdout",
    Exit.CANNOT_JUDGE: "input is bad, empty or not comparable, or evidence is not sufficient for a decision",
    Exit.INTEGRITY: "a hash differs from the expected one",
    Exit.UNAVAILABLE: "a store or service could not be reached, or failed",
    Exit.REFUSED: "not authorised, semver taken, or changed by another process meanwhile",
    Exit.USAGE: "the command was called with wrong arguments",
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
    import typer.exceptions

    try:
        code = app(args=argv, prog_name=prog, standalone_mode=False)
    except GateError as error:
        _print_error(f"{prog}: {error}")
        return error.exit
    except typer.exceptions.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer does not export it; its message is the help
            print(error.format_message(), file=sys.stderr)
        else:
            _print_error(f"{prog}: {error.format_message()} (see {prog} --help)")
        return Exit.USAGE
    except (typer.exceptions.Abort, KeyboardInterrupt):
        _print_error(f"{prog}: interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output closed the pipe. Without this, Python would try to flush it at exit and fail again.
        sys.stdout = None
        return Exit.UNAVAILABLE
    except Exception:
        traceback.print_exc()
        _print_error(f"{prog}: this is a bug in Lynxgate; please report it with the lines above")
        return Exit.BUG
    return code if isinstance(code, int) else Exit.OK


def _print_error(line: str) -> None:
    shown = "".join(character if character.isprintable() else "?" for character in " ".join(line.split()))
    # GitHub's runner obeys `##[` anywhere in a line of a log.
    print(shown.replace("##[", "#?["), file=sys.stderr)
