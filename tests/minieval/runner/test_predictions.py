"""An answer of a predictor counts only where it is one value a row; anything else ends in one sentence."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.exits import CannotJudge
from minieval.data.schema import Kind
from minieval.runner.child import Child, Limits
from minieval.runner.predictions import MAX_PREDICTION, Predictor, Timing
from tests.minieval.runner.tables import column, predict_in_batches, table

PROMPT = [column("prompt", Kind.TEXT)]


class Recorded:
    """Stands for a `Child` that answers with given lines, and keeps the requests."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)
        self.requests: list[bytes] = []

    def ask(self, request: bytes, *, doing: str) -> bytes:
        self.requests.append(request)
        return self.lines.pop(0)


def prompts(n: int) -> pa.Table:
    return table(PROMPT, {"prompt": [f"p{i}" for i in range(n)]})


def ask(answers: Any, *, rows: int = 2, first: int = 1) -> list[Any]:
    """The answers for a batch, of a predictor that sends these."""
    recorded = Recorded(json.dumps({"predictions": answers}).encode())
    return Predictor(cast(Child, recorded)).predict(prompts(rows), first=first)


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(st.lists(values, min_size=1, max_size=8))
def test_every_json_value_arrives_as_it_was_sent(answers: list[Any]) -> None:
    received = ask(answers, rows=len(answers))
    # As text: to Python, 1 == 1.0 == True.
    assert json.dumps(received) == json.dumps(answers)


REFUSED: dict[str, tuple[Any, str]] = {
    "too few": (["x"], r"the model returned 1 answers for 2 rows \(rows 41 to 42\)"),
    "none": ([], "returned 0 answers for 2 rows"),
    "too many": (["x", "y", "z"], "returned 3 answers for 2 rows"),
    "too long": (["", "x" * (MAX_PREDICTION + 1)], "the prediction for row 42 has 65537 characters; at most 65536"),
    "text": ("ab", "for rows 41 to 42 is a str, not a list"),
    "mapping": ({"a": "x", "b": "y"}, "is a dict, not a list"),
    "number": (2, "is a int, not a list"),
    "null": (None, "is null, not a list"),
}


@pytest.mark.parametrize(("answers", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_another_number_of_answers_is_refused(answers: Any, words: str) -> None:
    with pytest.raises(CannotJudge, match=words) as caught:
        ask(answers, first=41)
    assert str(caught.value).isprintable()


def test_an_answer_of_the_longest_length_passes() -> None:
    assert ask(["x" * MAX_PREDICTION, ""]) == ["x" * MAX_PREDICTION, ""]


def speak(body: str, tmp_path: Path, *, batch_size: int = 2) -> tuple[Timing, list[Any]]:
    """Ask for five rows of a small process that follows, or breaks, the protocol."""
    script = f"import os, sys, json, time\ndef say(x): print(x, flush=True)\n{body}"
    command = [sys.executable, "-I", "-S", "-c", script]
    with Child(command, environment={}, cwd=tmp_path, limits=Limits(timeout_s=20)) as child:
        predictor = Predictor(child)
        predictor.wait_until_ready()
        answers = predict_in_batches(predictor, PROMPT, prompts(5), batch_size)
    return predictor.timing, answers


READY = 'ready = json.dumps({"ready": True, "arrow": False})\nsay(ready)\n'
READ = """
def read():
    header = json.loads(sys.stdin.buffer.readline())
    return header, json.loads(sys.stdin.buffer.read(header["bytes"]))
"""
SET_UP = READ + READY + "read()\nsay(ready)\nread()\n"
HONEST = (
    READ
    + READY
    + """
read()
say(ready)
while True:
    header, (prompts,) = read()
    assert header["rows"] == len(prompts)
    say(json.dumps({"predictions": [[header["first"], prompt.upper()] for prompt in prompts]}))
"""
)


def test_an_honest_predictor_is_asked_in_batches(tmp_path: Path) -> None:
    timing, answers = speak(HONEST, tmp_path)
    assert answers == [[1, "P0"], [1, "P1"], [3, "P2"], [3, "P3"], [5, "P4"]]
    assert len(timing.seconds_per_row) == 2
    assert timing.p95_ms is not None and 0 < timing.p95_ms < 1000


def test_the_warm_up_batch_does_not_count_as_latency(tmp_path: Path) -> None:
    timing, _ = speak(HONEST, tmp_path, batch_size=5)
    assert timing.p95_ms is None


def test_p95_is_the_nearest_rank() -> None:
    assert Timing(tuple(i / 1000 for i in range(1, 101))).p95_ms == pytest.approx(95.0)
    assert Timing((0.001, 0.003)).p95_ms == pytest.approx(3.0)


class Verbose:
    """Stands for a `Child`; one character beyond the BMP makes its long answers four bytes a character."""

    def ask(self, request: bytes, *, doing: str) -> bytes:
        rows = json.loads(request.partition(b"\n")[0])["rows"]
        return json.dumps({"predictions": ["\U0001f600" + "x" * 50_000] * rows}).encode()


def peak_of(batches: int) -> int:
    """Return the most bytes that were allocated while so many batches of ten rows were predicted."""
    features, predictor = prompts(10), Predictor(cast(Child, Verbose()))
    right = 0
    tracemalloc.start()
    try:
        for batch in range(batches):
            right += sum(len(str(text)) == 50_001 for text in predictor.predict(features, first=10 * batch + 1))
        assert right == 10 * batches
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    assert peak_of(16) < 1.2 * peak_of(2)


BROKEN = {
    "load error": ("say(json.dumps({'error': 'ValueError: no \\x1b[2J weights'}))", r"loaded: ValueError: no \[2J"),
    "load memory": ("say(json.dumps({'error': 'MemoryError: '}))", "out of memory: raise --memory-mb"),
    "no mlflow": (
        "say(json.dumps({'error': \"ModuleNotFoundError: No module named 'mlflow'\"}))",
        r"install lynxgate\[mlflow\]",
    ),
    "error of no text": ("say(json.dumps({'error': [1, {}]}))", "could not be loaded"),
    "an endless error": ("say(json.dumps({'error': 'x' * 10**6 + ' the cause'}))", "x the cause$"),
    "predicts before it is ready": ("say(json.dumps({'predictions': []}))", "not a message of the predictor"),
    "ready without arrow": ("say(json.dumps({'ready': True}))", "not a message of the predictor"),
    "refuses the features": (
        READ + READY + "read()\nsay(json.dumps({'error': 'needs a'}))",
        "the model cannot take these features: needs a",
    ),
    "predicts at once": (READ + READY + "read()\nsay(json.dumps({'predictions': []}))", "not a message"),
    "not json": (SET_UP + "say('hello')", "not JSON"),
    "nan": (SET_UP + "say('{\"predictions\": [NaN, 1]}')", "NaN"),
    "infinity": (SET_UP + "say('{\"predictions\": [1e999, 1]}')", "1e999"),
    "not utf-8": (SET_UP + "os.write(1, b'\\xff\\n')", "not UTF-8"),
    "half a character": (SET_UP + "say('{\"predictions\": [\"\\\\ud800\", 1]}')", "half a character"),
    "twice the key": (SET_UP + "say('{\"predictions\": [], \"predictions\": []}')", "twice"),
    "deep": (SET_UP + "say('[' * 100000)", "nested more than 100 levels deep"),
    "both": (SET_UP + "say(json.dumps({'predictions': [], 'error': 'x'}))", "not a message of the predictor"),
    "a list": (SET_UP + "say('[]')", "not a message of the predictor"),
    "empty line": (SET_UP + "say('')", "empty"),
    "short": (SET_UP + "say(json.dumps({'predictions': ['x']}))", r"1 answers for 2 rows \(rows 1 to 2\)"),
    "model error": (SET_UP + "say(json.dumps({'error': 'KeyError: x'}))", "failed on rows 1 to 2: KeyError: x"),
    "dies": (SET_UP + "os.abort()", "killed by SIGABRT while predicting rows 1 to 2"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_an_invalid_answer_gives_one_sentence(body: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=words) as caught:
        speak(body, tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
