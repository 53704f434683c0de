"""Exit codes, the errors that carry them, and the one place that turns an exception into a number.

Owns: the enum `Exit`, the base error `GateError`, and `run`, through which every command of both
packages ends.

- An error never exits by itself; it says in one sentence what is wrong, where, and what to do.
- Typer's usage errors, which would exit 2 (the number owed to a regression), exit 64.
- An exception that is no `GateError` is a bug: it exits 1, and only then is a traceback printed.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import typer


class Exit(IntEnum):
    """What a command's exit code means; the README's table is held to this by a test."""

    OK = 0
    BUG = 1
    REGRESSION = 2
    CANNOT_JUDGE = 3
    INTEGRITY = 4
    UNAVAILABLE = 5
    REFUSED = 6
    USAGE = 64


class GateError(Exception):
    """A foreseen ending: one sentence for the reader, and the exit code it means."""

    exit: ClassVar[Exit] = Exit.BUG


class CannotJudge(GateError):
    """Bad, empty or incomparable input, or evidence that decides nothing."""

    exit = Exit.CANNOT_JUDGE


class IntegrityFailure(GateError):
    """A hash differs from what was agreed."""

    exit = Exit.INTEGRITY


class UsageFailure(GateError):
    """The command was called with arguments that make no sense together."""

    exit = Exit.USAGE


def run(app: typer.Typer, argv: Sequence[str] | None = None, *, prog: str) -> int:
    """Run a Typer app on ``argv`` (default: the process's own) and return the exit code.

    A command returns its code (`None` is 0). Messages of errors go to stderr, one line each.
    """
    import typer.exceptions

    try:
        code = app(args=argv, prog_name=prog, standalone_mode=False)
    except GateError as error:
        _say(f"{prog}: {error}")
        return error.exit
    except typer.exceptions.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer does not export it; its message is the help
            print(error.format_message(), file=sys.stderr)
        else:
            _say(f"{prog}: {error.format_message()} (see {prog} --help)")
        return Exit.USAGE
    except (typer.exceptions.Abort, KeyboardInterrupt):
        _say(f"{prog}: interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output went away; there is nobody left to tell.
        sys.stdout = None
        return Exit.UNAVAILABLE
    except Exception:
        traceback.print_exc()
        _say(f"{prog}: this is a bug in Lynxgate; please report it with the lines above")
        return Exit.BUG
    return code if isinstance(code, int) else Exit.OK


def _say(line: str) -> None:
    shown = (character if character.isprintable() else "?" for character in " ".join(line.split()))
    print("".join(shown), file=sys.stderr)
