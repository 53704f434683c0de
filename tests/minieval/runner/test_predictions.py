"""What a predictor answers is believed only where it is one JSON value a row, within bounds."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any, cast

import pytest

from minieval.contract.exits import CannotJudge
from minieval.data.schema import Kind
from minieval.runner.child import Child, Limits
from minieval.runner.predictions import Predictor, Timing
from tests.minieval.runner.tables import column, predict_in_batches, table

COLUMNS = [column("prompt", Kind.TEXT)]
ROWS = table(COLUMNS, {"prompt": [f"p{i}" for i in range(5)]})


def run(body: str, tmp_path: Path, *, batch_size: int = 2) -> tuple[Timing, list[Any]]:
    """A `Predictor` against a small process that speaks, or breaks, the protocol."""
    script = f"import os, sys, json, time\n{SPEAK}\n{body}"
    command = [sys.executable, "-I", "-S", "-c", script]
    with Child(command, environment={}, cwd=tmp_path, limits=Limits(timeout_s=20)) as child:
        found = Predictor(child)
        found.wait_until_ready()
        assert found.arrow is False
        answers = predict_in_batches(found, COLUMNS, ROWS, batch_size)
    return found.timing, answers


SPEAK = """
def say(x): print(x, flush=True)
def hear():
    header = json.loads(sys.stdin.buffer.readline())
    return header, json.loads(sys.stdin.buffer.read(header["bytes"]))
ready = json.dumps({"ready": True, "arrow": False})
"""

HONEST = """
say(ready); hear(); say(ready)
while True:
    header, columns = hear()
    assert header["form"] == "json" and header["rows"] == len(columns[0]), header
    say(json.dumps({"predictions": [[header["first"], prompt.upper()] for prompt in columns[0]]}))
"""


def test_an_honest_predictor_is_read_in_batches(tmp_path: Path) -> None:
    timing, answers = run(HONEST, tmp_path)
    assert answers == [[1, "P0"], [1, "P1"], [3, "P2"], [3, "P3"], [5, "P4"]]
    assert len(timing.seconds_per_row) == 2
    assert timing.p95_ms is not None and 0 < timing.p95_ms < 1000


def test_the_warm_up_batch_does_not_count_as_latency(tmp_path: Path) -> None:
    timing, _ = run(HONEST, tmp_path, batch_size=5)
    assert timing.p95_ms is None


def test_p95_is_the_nearest_rank() -> None:
    assert Timing(tuple(i / 1000 for i in range(1, 101))).p95_ms == pytest.approx(95.0)
    assert Timing((0.001, 0.003)).p95_ms == pytest.approx(3.0)


class Verbose:
    """Stands for a `Child`; one character beyond the BMP makes its long answers four bytes a character."""

    def ask(self, request: bytes, *, doing: str) -> bytes:
        if not doing.startswith("predicting"):
            return b'{"ready": true, "arrow": true}'
        rows = json.loads(request.partition(b"\n")[0])["rows"]
        return json.dumps({"predictions": ["\U0001f600" + "x" * 50_000] * rows}).encode()


def peak_of(batches: int) -> int:
    """Return the most bytes that were allocated while so many batches of ten rows were predicted."""
    rows = table(COLUMNS, {"prompt": [f"r{i}" for i in range(10 * batches)]})
    found = Predictor(cast(Child, Verbose()))
    found.configure(COLUMNS, {})
    right = 0
    tracemalloc.start()
    try:
        for start in range(0, rows.num_rows, 10):
            right += sum(answer != "x" for answer in found.predict(rows.slice(start, 10), first=start + 1))
        assert right == rows.num_rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    assert peak_of(16) < 1.2 * peak_of(2)


CONFIGURED = "say(ready); hear(); say(ready); hear()\n"
LONG = "'x' * 100 + 'the cause'"
BROKEN = {
    "load error": ("say(json.dumps({'error': 'ValueError: no \\x1b[2J weights'}))", r"be loaded: ValueError: no \[2J"),
    "load memory": ("say(json.dumps({'error': 'MemoryError: '}))", "no more memory: choose a smaller --batch-size"),
    "load module": (
        "say(json.dumps({'error': \"ModuleNotFoundError: No module named 'xgboost'\"}))",
        r"loaded: .*'xgboost' \(--python model builds the environment",
    ),
    "error of no text": ("say(json.dumps({'error': [1, {}]}))", "could not be loaded"),
    "predicts before it is ready": ("say(json.dumps({'predictions': []}))", "not a message of the predictor"),
    "another channel's ready": ("say(json.dumps({'ready': True}))", "not a message of the predictor"),
    "setup error": (
        "say(ready); hear(); say(json.dumps({'error': \"it needs 'x'\"}))", "cannot take these features: it needs 'x'"
    ),
    "not json": (CONFIGURED + "say('hello')", "not JSON"),
    "nan": (CONFIGURED + "say('{\"predictions\": [NaN, 1]}')", "NaN"),
    "infinite": (CONFIGURED + "say('{\"predictions\": [1e999, 1]}')", "the number 1e999 is out of range"),
    "digits": (CONFIGURED + "say('{\"predictions\": [' + '1' * 5000 + ', 1]}')", "a number of 5000 digits"),
    "not utf-8": (CONFIGURED + "os.write(1, b'\\xff\\n')", "not UTF-8"),
    "half a character": (CONFIGURED + "say('{\"predictions\": [\"\\\\ud800\", 1]}')", "half a character"),
    "twice the key": (CONFIGURED + "say('{\"predictions\": [], \"predictions\": []}')", "twice"),
    "deep": (CONFIGURED + "say('[' * 100000)", "nested more than 100 levels deep"),
    "both": (CONFIGURED + "say(json.dumps({'predictions': [], 'error': 'x'}))", "not a message of the predictor"),
    "a list": (CONFIGURED + "say('[]')", "not a message of the predictor"),
    "empty line": (CONFIGURED + "say('')", "empty"),
    "no list": (CONFIGURED + "say(json.dumps({'predictions': 'ab'}))", "answer for rows 1 to 2 is a str, not a list"),
    "null": (CONFIGURED + "say(json.dumps({'predictions': None}))", "rows 1 to 2 is null, not a list"),
    "short": (CONFIGURED + "say(json.dumps({'predictions': ['x']}))", r"1 answers for 2 rows \(rows 1 to 2\)"),
    "too many": (CONFIGURED + "say(json.dumps({'predictions': [1, 2, 3]}))", r"3 answers for 2 rows \(rows 1 to 2\)"),
    "too long": (CONFIGURED + "say(json.dumps({'predictions': ['x', 'x' * 65537]}))", "for row 2 has 65537 characters"),
    "model error": (CONFIGURED + "say(json.dumps({'error': 'KeyError: x'}))", "failed on rows 1 to 2: KeyError: x"),
    "long error": (CONFIGURED + f"say(json.dumps({{'error': {LONG} * 50}}))", "failed on rows 1 to 2: .*the cause$"),
    "dies": (CONFIGURED + "os.abort()", "killed by SIGABRT while predicting rows 1 to 2"),
    "answers twice": (
        CONFIGURED + "say(json.dumps({'predictions': [1, 2]}) + '\\n' + json.dumps({'predictions': [1, 2]})); hear()",
        "before it got a request",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_an_invalid_answer_gives_one_sentence(body: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=words) as caught:
        run(body, tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
