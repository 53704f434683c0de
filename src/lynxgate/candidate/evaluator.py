"""Running minieval: a process of its own, without the gate's credentials, met only in the document it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lynxgate.errors import CannotJudge, Exit, GateError, IntegrityFailure

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "COLUMNS", "TMPDIR")


def run_evaluator(bundle: Path, eval_set: Path, output: Path, *, run_id: str, isolation: str) -> None:
    """Evaluate a bundle with ``python -m minieval``; what it says goes to our stderr.

    Raises:
        CannotJudge, IntegrityFailure: as minieval ended; it has said why.
    """
    output.unlink(missing_ok=True)
    # -P: a directory `minieval` where the gate happens to run is not the evaluator.
    command = [sys.executable, "-P", "-m", "minieval"]
    command += ["--bundle", str(bundle), "--eval-set", str(eval_set), "--output", str(output)]
    command += ["--run-id", run_id, "--isolation", isolation]
    environment = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES}
    code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
    match code:
        case Exit.OK:
            return
        case Exit.INTEGRITY:
            raise IntegrityFailure("the candidate was not evaluated; minieval said why above")
        case Exit.CANNOT_JUDGE:
            raise CannotJudge("the candidate could not be evaluated; minieval said why above")
        case _:
            raise GateError(f"minieval ended with {code}, which it should not")
