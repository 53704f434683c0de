"""Run minieval as a process of its own, without the gate's credentials; its only result is the document it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lynxgate.errors import CannotJudge, Exit, GateError, IntegrityFailure

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "COLUMNS", "TMPDIR")


def run_evaluator(
    bundle: Path,
    eval_set: Path,
    output: Path,
    *,
    run_id: str,
    isolation: str,
    task: Path | None = None,
    rows: Path | None = None,
    with_inputs: bool = False,
) -> None:
    """Evaluate a bundle with ``python -m minieval``; its messages go to stderr.

    ``task`` is the path of the task file; without one, the conventions of minieval hold. ``rows`` is a file to which
    the answer to each row is written, with its features where ``with_inputs``.
    minieval removes an evaluation of an earlier candidate before anything can fail; the new one gets its mode.

    Raises:
        CannotJudge, IntegrityFailure: minieval ended with that exit code, after printing the reason.
        GateError: minieval ended with any other code.
    """
    # -P: a directory named `minieval` in the current directory must not be imported in its place.
    command = [sys.executable, "-P", "-m", "minieval"]
    command += ["--bundle", str(bundle), "--eval-set", str(eval_set), "--output", str(output)]
    command += ["--run-id", run_id, "--isolation", isolation]
    command += [] if task is None else ["--task", str(task)]
    command += [] if rows is None else ["--rows", str(rows)]
    command += ["--with-inputs"] if with_inputs else []
    environment = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    match code:
        case Exit.OK:
            return
        case Exit.INTEGRITY:
            raise IntegrityFailure("the candidate was not evaluated; the message of minieval is above")
        case Exit.CANNOT_JUDGE:
            raise CannotJudge("the candidate could not be evaluated; the message of minieval is above")
        case _:
            raise GateError(f"minieval ended with the unexpected exit code {code}; its output is above")
