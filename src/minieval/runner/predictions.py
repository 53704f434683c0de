"""Request predictions from a predictor, and check every answer.

- One batch is sent at a time, and only its features.
- As many answers come back as rows were sent, each of bounded length.
- Each batch is handed over when it has arrived and is not kept: an eval set of long answers needs no more memory than
  one batch.
- Answers are JSON, read by the standard library: no parser of a native format reads bytes of a candidate here.
- Time is measured on this side of the pipe: a candidate could change its own clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.runner.child import Child, printable

if TYPE_CHECKING:
    import pyarrow as pa

    from minieval.data.schema import Column

MAX_PREDICTION = 65_536  # characters
_WHERE = "the predictor's answer"


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds a row of each batch after the first."""

    seconds_per_row: tuple[float, ...]

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile (nearest rank) of milliseconds a row; `None` when there was only the warm-up batch."""
        if not self.seconds_per_row:
            return None
        ranked = sorted(self.seconds_per_row)
        # Nearest rank: the smallest value that at least 95 % of the values do not exceed; ranks count from 1.
        return 1000.0 * ranked[math.ceil(0.95 * len(ranked)) - 1]


class Predictor:
    """A candidate in its process, from loading to the last answer.

    Raises (from every method):
        CannotJudge: the predictor fails, or an answer has another form.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._arrow = False
        self._seconds: list[float] = []

    @property
    def timing(self) -> Timing:
        """Return the times of all batches but the first, which warms up caches and imports."""
        return Timing(tuple(self._seconds[1:]))

    def wait_until_ready(self) -> None:
        """Wait for the model to load."""
        message = _read(self._child.ask(b"", doing="loading the model"), {"ready", "arrow"}, loading=True)
        self._arrow = message["arrow"] is True

    def configure(
        self, columns: Sequence[Column], files: Sequence[str], params: Mapping[str, Json], column: str | None
    ) -> None:
        """Name the features and their kinds, those that are files, the model's parameters, and its answers' column."""
        from minieval.runner.wire import encode_setup  # noqa: PLC0415 - Arrow is loaded while the model is

        request = encode_setup(columns, files, params, column)
        _read(self._child.ask(request, doing="preparing the model"), {"ready"}, loading=False)

    def predict(self, features: pa.Table, *, first: int) -> list[Json]:
        """Return the answer to each row of one batch; ``first`` is the number of its first row in the set, from 0."""
        from minieval.runner.wire import encode_rows  # noqa: PLC0415 - as above

        rows = f"rows {first + 1} to {first + len(features)}"
        request = encode_rows(features, arrow=self._arrow)
        started = time.perf_counter()
        line = self._child.ask(request, doing=f"predicting {rows}")
        self._seconds.append((time.perf_counter() - started) / len(features))
        return check_answers(_read(line, {"predictions"}, loading=False, rows=rows)["predictions"], len(features), rows)


def check_answers(answers: Json, wanted: int, rows: str) -> list[Json]:
    """Return the answers, if there is one of bounded length for each row; ``rows`` names the batch in a message.

    Raises:
        CannotJudge: there are others.
    """
    if not isinstance(answers, list):
        raise CannotJudge(f"{_WHERE} is {_kind(answers)}, not a list")
    if len(answers) != wanted:
        raise CannotJudge(f"the model returned {len(answers)} answers for {wanted} rows ({rows})")
    longest = max((len(answer) for answer in answers if isinstance(answer, str)), default=0)
    if longest > MAX_PREDICTION:
        raise CannotJudge(f"an answer in {rows} has {longest} characters; at most {MAX_PREDICTION} are read")
    return answers


def _read(line: bytes, keys: set[str], *, loading: bool, rows: str = "") -> dict[str, Json]:
    message = parse_json(line, where=_WHERE, floats=True)
    if not isinstance(message, dict) or set(message) not in (keys, {"error"}):
        raise CannotJudge(f"{_WHERE} is not a message of the predictor; the candidate wrote to its channel")
    if "error" in message:
        raise CannotJudge(_explain(printable(str(message["error"]), limit=500), loading=loading, rows=rows))
    return message


def _explain(reason: str, *, loading: bool, rows: str) -> str:
    advice = ""
    if reason.startswith("MemoryError") or "Unable to allocate" in reason or "Cannot allocate" in reason:
        advice = " (out of memory: raise --memory-mb if the model needs more)"
    elif reason.startswith("ModuleNotFoundError: No module named 'mlflow"):
        advice = " (install lynxgate[mlflow])"
    elif reason.startswith("ModuleNotFoundError"):
        advice = " (the model needs a package that the gate's environment lacks; add it to the lock of the gate)"
    if loading:
        return f"the model could not be loaded: {reason}{advice}"
    return f"the model failed{f' on {rows}' if rows else ''}: {reason}{advice}"


def _kind(value: Json) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
