"""Request predictions from a predictor, and check every answer.

- One batch is sent at a time, and only its features.
- Every id that was sent comes back exactly once, with a string of bounded length; nothing else comes back.
- Each batch is handed over when it has arrived and is not kept: an eval set of long answers needs no more memory than
  one batch.
- Time is measured on this side of the pipe: a candidate could change its own clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import CannotJudge
from minieval.contract.rows import Features
from minieval.runner.child import Child, printable

MAX_PREDICTION = 65_536  # characters
_WHERE = "the predictor's answer"

Progress = Callable[[int, int], None]
Take = Callable[[Sequence[str]], None]


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


def predict(child: Child, rows: Sequence[Features], take: Take, *, batch_size: int, progress: Progress) -> Timing:
    """Wait for the model to load, then predict all rows; ``progress`` gets the number of rows done and of all rows.

    ``take`` gets the predictions of each batch, in the order of the rows.

    Raises:
        CannotJudge: the predictor fails, or an answer is not one string for each id that was sent.
    """
    _answer(child.ask(b"", doing="loading the model"), "ready")
    progress(0, len(rows))
    done = 0
    seconds: list[float] = []
    for batch in _batches(rows, batch_size):
        request = f"[{', '.join(row.payload for row in batch)}]\n".encode()
        started = time.perf_counter()
        line = child.ask(request, doing=f"predicting rows {done + 1} to {done + len(batch)}")
        seconds.append((time.perf_counter() - started) / len(batch))
        take(match([row.id for row in batch], _answer(line, "predictions")))
        done += len(batch)
        progress(done, len(rows))
    # The first batch warms up caches and imports; its time does not represent the others.
    return Timing(seconds_per_row=tuple(seconds[1:]))


def match(ids: Sequence[str], answer: Json) -> list[str]:
    """Return the predictions for ``ids`` (unique), in their order, from a list of ``[id, prediction]``.

    Raises:
        CannotJudge: an id is missing, repeated or unknown, or a prediction is not a string of bounded length.
    """
    if not isinstance(answer, list):
        raise CannotJudge(f"{_WHERE} is {_kind(answer)}, not a list of pairs")
    wanted = set(ids)
    found: dict[str, str] = {}
    for pair in answer:
        if not isinstance(pair, list) or len(pair) != 2:
            raise CannotJudge(f"{_WHERE} holds an entry that is not a pair of id and prediction")
        identity, text = pair
        if not isinstance(identity, str):
            raise CannotJudge(f"{_WHERE} has an id that is {_kind(identity)}, not a string")
        if identity not in wanted:
            raise CannotJudge(f"{_WHERE} names the id {_quote(identity)}, which was not in the batch")
        if identity in found:
            raise CannotJudge(f"{_WHERE} has the id {_quote(identity)} twice")
        if not isinstance(text, str):
            raise CannotJudge(f"the prediction for {_quote(identity)} is {_kind(text)}, not a string")
        if len(text) > MAX_PREDICTION:
            raise CannotJudge(
                f"the prediction for {_quote(identity)} has {len(text)} characters; at most {MAX_PREDICTION} are read"
            )
        found[identity] = text
    if missing := [identity for identity in ids if identity not in found]:
        raise CannotJudge(f"{_WHERE} lacks {len(missing)} of {len(ids)} ids, the first being {_quote(missing[0])}")
    return [found[identity] for identity in ids]


def _batches(rows: Sequence[Features], size: int) -> Iterator[Sequence[Features]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _answer(line: bytes, key: str) -> Json:
    message = parse_json(line, where=_WHERE)
    if not isinstance(message, dict) or set(message) not in ({key}, {"error"}):
        raise CannotJudge(f"{_WHERE} is not a message of the predictor; the candidate wrote to its channel")
    if "error" in message:
        raise CannotJudge(_explain(printable(str(message["error"])), loading=key == "ready"))
    return message[key]


def _explain(reason: str, *, loading: bool) -> str:
    advice = ""
    if reason.startswith("MemoryError") or "Unable to allocate" in reason or "Cannot allocate" in reason:
        advice = " (out of memory: raise --memory-mb if the model needs more)"
    elif reason.startswith("ModuleNotFoundError: No module named 'mlflow"):
        advice = " (install lynxgate[mlflow])"
    return f"the model could not be loaded: {reason}{advice}" if loading else f"the model failed: {reason}{advice}"


def _kind(value: Json) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def _quote(text: str) -> str:
    return repr(text[:80])
