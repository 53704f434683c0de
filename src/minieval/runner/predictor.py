"""The predictor: the process that runs the candidate. It gets features, and never a label.

`minieval.runner.sandbox` starts it as a script; it imports nothing of this package.

- Requests arrive as JSON lines (a list of rows) on the original stdin; answers go as JSON lines to the original stdout.
  Both are moved to other descriptors first: the candidate prints to stderr, and reads from /dev/null.
- Capabilities are dropped and limits are set before the candidate's first byte is loaded: even a root without
  bwrap cannot raise the limits again, or look into the memory of a parent that has closed it.
- Nothing here defends against the candidate, which shares this process: the reader of the answers checks everything.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

MIB = 1024 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
MAX_REASON = 400  # characters of an error that are passed on


def main() -> int:
    """Load the bundle, report that it is ready, then answer each line of rows with one line of predictions."""
    arguments = _arguments()
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers:
        _move_standard_streams()
        _drop_capabilities()
        _limit(memory=arguments.memory_mb * MIB, file=arguments.file_mb * MIB, cpu_seconds=arguments.cpu_seconds)

        def answer(message: dict[str, Any]) -> None:
            answers.write(json.dumps(message).encode() + b"\n")
            answers.flush()

        try:
            model = _load(arguments.bundle)
            answer({"ready": True})
            for line in requests:
                answer({"predictions": _predict(model, json.loads(line))})
        except BaseException as error:
            # Any exception of a candidate, SystemExit included, becomes one sentence.
            answer({"error": _describe(error)})
            return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--file-mb", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    return parser.parse_args()


def _move_standard_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)


def _drop_capabilities() -> None:
    """Drop them permanently: with no_new_privs, a program that root executes does not get them back either."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, none_of_them = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, none_of_them):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _limit(*, memory: int, file: int, cpu_seconds: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: file,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 8192,
    }
    for which, wanted in limits.items():
        _, hard = resource.getrlimit(which)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (bound, bound))


def _load(bundle: str) -> Any:
    # Objects of an import live to the end; searching them for garbage takes a seventh of the import's time.
    gc.disable()
    import mlflow.pyfunc  # noqa: PLC0415 - only once the limits hold
    import pandas  # noqa: F401, PLC0415 - as above

    gc.enable()
    return mlflow.pyfunc.load_model(bundle)


def _predict(model: Any, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    import pandas  # noqa: PLC0415 - only once the limits hold

    return _pairs([row["id"] for row in rows], model.predict(pandas.DataFrame.from_records(rows)))


def _pairs(ids: Sequence[str], result: Any) -> list[tuple[Any, Any]]:
    """Return (id, prediction) pairs from a model's result: one prediction a row in order, or a frame with ids."""
    if hasattr(result, "columns"):
        if not {"id", "prediction"} <= set(result.columns):
            raise TypeError(f"the model returned a frame with columns {list(result.columns)}, not id and prediction")
        return list(zip(result["id"].tolist(), result["prediction"].tolist(), strict=True))
    values = result.tolist() if hasattr(result, "tolist") else result
    if not isinstance(values, list | tuple):
        raise TypeError(f"the model returned a {type(values).__name__}, not one prediction a row")
    if len(values) != len(ids):
        raise ValueError(f"the model returned {len(values)} predictions for {len(ids)} rows")
    return list(zip(ids, values, strict=True))


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:MAX_REASON]
    except BaseException:
        # An exception of the candidate's own class may raise another one when it is printed.
        return "an exception that cannot be printed"


if __name__ == "__main__":
    sys.exit(main())
