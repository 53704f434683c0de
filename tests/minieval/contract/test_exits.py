"""One place turns exceptions into exit codes."""

from __future__ import annotations

import errno

import pytest
import typer

from minieval.contract import exits
from minieval.contract.exits import CannotJudge, Exit, GateError, IntegrityFailure, UsageFailure


def make(action: object) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command()
    def command(number: int = 0) -> object:
        if isinstance(action, BaseException):
            raise action
        return action if number == 0 else number

    return app


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (None, 0),
        (Exit.REGRESSION, 2),
        (CannotJudge("x"), 3),
        (IntegrityFailure("x"), 4),
        (UsageFailure("x"), 64),
        (GateError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_ending_has_its_code(action: object, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.run(make(action), [], prog="thing") == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_message_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    exits.run(make(CannotJudge("two\nlines")), [], prog="thing")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "thing: two lines\n")


@pytest.mark.parametrize("argv", [["--nope"], ["--number", "x"], ["extra"]])
def test_usage_errors_are_64_and_never_a_regression(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.run(make(None), argv, prog="thing") == 64
    assert capsys.readouterr().err.startswith("thing: ")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "a/b"), 3, "a/b: Too many levels"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "No space left on device"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), 3, "the current directory"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 5, "Connection reset"),
    ],
)
def test_a_failure_of_the_system_is_a_sentence(
    error: OSError, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.run(make(error), [], prog="thing") == code
    shown = capsys.readouterr().err
    assert sentence in shown
    assert "Traceback" not in shown


def test_an_argument_that_is_no_text_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.run(make(None), ["caf\udce9"], prog="thing") == 64
    assert capsys.readouterr().err == "thing: the argument 'caf\\udce9' is not UTF-8 text; rename the file\n"


def test_a_bug_is_1_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.run(make(ZeroDivisionError("oops")), [], prog="thing") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_codes_are_distinct_and_as_documented() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0,
        "BUG": 1,
        "REGRESSION": 2,
        "CANNOT_JUDGE": 3,
        "INTEGRITY": 4,
        "UNAVAILABLE": 5,
        "REFUSED": 6,
        "USAGE": 64,
        "INTERRUPTED": 130,
    }
