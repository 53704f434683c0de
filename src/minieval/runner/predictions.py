"""Request predictions from a predictor, and check every answer.

- One batch is sent at a time, and only its features.
- There is one answer a row, by position: its JSON value, `None` for null and NaN. No other number of answers passes.
- Each batch is handed over when it has arrived and is not kept: an eval set of long answers needs no more memory than
  one batch.
- Time is measured on this side of the pipe: a candidate could change its own clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.contract.model_environment import Interpreter
from minieval.data.schema import Column
from minieval.runner import wire
from minieval.runner.child import Child, printable

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PREDICTION = 65_536  # characters of a string
MAX_REASON = 460  # characters: those of the predictor's, and its class

Progress = Callable[[int, int], None]


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
    """A candidate that predicts. Call `wait_until_ready`, then `configure`, then `predict` for each batch.

    Raises (from every method):
        CannotJudge: the predictor fails, or an answer is not a message of it.
    """

    def __init__(self, child: Child, interpreter: Interpreter = Interpreter.GATE) -> None:
        self._child, self._interpreter = child, interpreter
        self._columns: tuple[Column, ...] = ()
        self._seconds: list[float] = []
        self.arrow = False  # whether its environment has pyarrow; known once it is ready

    @property
    def timing(self) -> Timing:
        """The time of the batches so far since `configure`."""
        # The first batch warms up caches and imports; its time does not represent the others.
        return Timing(seconds_per_row=tuple(self._seconds[1:]))

    def wait_until_ready(self) -> None:
        """Wait for the model to be loaded."""
        self.arrow = (
            self._ask(b"", "ready", "arrow", doing="loading the model", failed="could not be loaded")["arrow"] is True
        )

    def configure(self, columns: Sequence[Column], params: Mapping[str, Json], files: Sequence[str] = ()) -> None:
        """Send the columns that every batch will have, the model's params, and the names of the columns of files."""
        self._columns, self._seconds = tuple(columns), []
        setup = wire.pack_setup(columns, params, files)
        self._ask(setup, "ready", "arrow", doing="preparing the features", failed="cannot take these features")

    def predict(self, features: pa.Table, *, first: int) -> list[Json]:
        """Return one answer a row of ``features``; ``first`` is the number of its first row, counted from 1."""
        rows = features.num_rows
        span = f"rows {first} to {first + rows - 1}"
        request = wire.pack_rows(features, self._columns, first=first, arrow=self.arrow)
        started = time.perf_counter()
        answer = self._ask(request, "predictions", doing=f"predicting {span}", failed=f"failed on {span}")
        self._seconds.append((time.perf_counter() - started) / rows)
        return _check(answer["predictions"], rows=rows, first=first)

    def _ask(self, request: bytes, *keys: str, doing: str, failed: str) -> dict[str, Json]:
        message = wire.read_answer(self._child.ask(request, doing=doing), *keys)
        if "error" in message:
            reason = printable(str(message["error"])[-MAX_REASON:], limit=MAX_REASON)
            raise CannotJudge(f"the model {failed}: {reason}{_advise(reason, self._interpreter)}")
        return message


def _check(answers: Json, *, rows: int, first: int) -> list[Json]:
    """Return the answers, which are a list of one value of bounded length a row."""
    span = f"rows {first} to {first + rows - 1}"
    if not isinstance(answers, list):
        raise CannotJudge(f"{wire.WHERE} for {span} is {_kind(answers)}, not a list")
    if len(answers) != rows:
        raise CannotJudge(f"the model returned {len(answers)} answers for {rows} rows ({span})")
    for number, answer in enumerate(answers, first):
        if type(answer) is str and len(answer) > MAX_PREDICTION:
            raise CannotJudge(
                f"the prediction for row {number} has {len(answer)} characters; at most {MAX_PREDICTION} are read"
            )
    return answers


def _advise(reason: str, interpreter: Interpreter) -> str:
    if reason.startswith("MemoryError") or "Unable to allocate" in reason or "Cannot allocate" in reason:
        return " (this machine has no more memory: choose a smaller --batch-size, or a larger machine)"
    if not reason.startswith("ModuleNotFoundError"):
        return ""
    match interpreter:
        case Interpreter.MODEL:
            return " (the bundle's requirements.txt does not ask for it: log the model again with it)"
        case Interpreter.PATH:
            return " (install it in that Python, or use --python model)"
        case Interpreter.GATE if reason.startswith("ModuleNotFoundError: No module named 'mlflow"):
            return " (install lynxgate[mlflow])"
        case Interpreter.GATE:
            return " (--python model builds the environment that the bundle's requirements.txt asks for)"


def _kind(value: Json) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
