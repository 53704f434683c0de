"""Run minieval as a process of its own, without the gate's credentials; its only result is the document it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lynxgate.errors import CannotJudge, Exit, GateError, IntegrityFailure

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "COLUMNS", "TMPDIR")
# What minieval reads itself: where environments of models are kept, in CI nowhere, and the index of their packages.
MODEL_VARIABLES = ("CI", "XDG_CACHE_HOME", "LYNXGATE_PYTHON_INDEX")


@dataclass(frozen=True)
class ModelOptions:
    """What a model needs to run; `None` leaves it to the task file.

    ``python`` is ``gate``, ``model`` or a path; ``memory_mb`` MiB of resident memory; ``timeout_s`` seconds for the
    whole prediction; ``batch_size`` rows.
    """

    python: str | None = None
    memory_mb: int | None = None
    timeout_s: float | None = None
    batch_size: int | None = None

    @property
    def arguments(self) -> list[str]:
        """Return the options of minieval."""
        given = {
            "--python": self.python,
            "--memory-mb": self.memory_mb,
            "--timeout": self.timeout_s,
            "--batch-size": self.batch_size,
        }
        return [f"{name}={value}" for name, value in given.items() if value is not None]


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
    model: ModelOptions = ModelOptions(),
) -> None:
    """Evaluate a bundle with ``python -m minieval``; its messages go to stderr.

    ``task`` is the path of the task file; without one, the conventions of minieval hold. ``rows`` is a file to which
    the answer to each row is written, with its features where ``with_inputs``. ``model`` is what the command line says
    about running the model.
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
    command += model.arguments
    environment = {name: value for name, value in os.environ.items() if name in (*KEPT_VARIABLES, *MODEL_VARIABLES)}
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
