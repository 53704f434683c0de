"""What a predictor answers is believed only where every id comes back once with a string."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minieval.contract.rows import Features

from minieval.contract.exits import CannotJudge
from minieval.runner.child import Child, Limits
from minieval.runner.predictions import MAX_PREDICTION, Timing, match, predict

ROWS = [Features(f"r{i}", json.dumps({"id": f"r{i}", "prompt": f"p{i}"})) for i in range(5)]


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), unique_by=lambda pair: pair[0]), st.randoms())
def test_answers_in_any_order_come_back_in_the_order_of_the_batch(pairs: list[tuple[str, str]], random: Any) -> None:
    shuffled = [list(pair) for pair in pairs]
    random.shuffle(shuffled)
    assert match([identity for identity, _ in pairs], shuffled) == [text for _, text in pairs]


REFUSED: dict[str, tuple[Any, str]] = {
    "missing": ([["a", "x"]], "lacks 1 of 2 ids, the first being 'b'"),
    "none": ([], "lacks 2 of 2"),
    "doubled": ([["a", "x"], ["b", "x"], ["a", "x"]], "the id 'a' twice"),
    "doubled, other text": ([["a", "x"], ["a", "y"]], "the id 'a' twice"),
    "foreign": ([["a", "x"], ["b", "x"], ["c", "x"]], "'c', which was not in the batch"),
    "number": ([["a", 1], ["b", "x"]], "for 'a' is a int, not a string"),
    "null": ([["a", None], ["b", "x"]], "for 'a' is null, not a string"),
    "boolean": ([["a", True], ["b", "x"]], "is a bool"),
    "list": ([["a", ["x"]], ["b", "x"]], "is a list"),
    "id a number": ([[1, "x"], ["b", "x"]], "an id that is a int"),
    "id a list": ([[[], "x"]], "an id that is a list"),
    "too long": ([["a", "x" * (MAX_PREDICTION + 1)], ["b", ""]], "at most 65536"),
    "triple": ([["a", "x", "y"]], "not a pair"),
    "text": ("ab", "not a list"),
    "mapping": ({"a": "x", "b": "y"}, "not a list"),
    "null answer": (None, "is null"),
    "escape in id": ([["\x1b[2J", "x"]], r"'\\x1b\[2J', which"),
}


@pytest.mark.parametrize(("answer", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_answers_that_do_not_match_are_refused(answer: Any, words: str) -> None:
    with pytest.raises(CannotJudge, match=words) as caught:
        match(["a", "b"], answer)
    assert str(caught.value).isprintable()


def run(body: str, tmp_path: Path, *, batch_size: int = 2) -> tuple[Timing, list[str], list[tuple[int, int]]]:
    """`predict` against a small process that speaks, or breaks, the protocol."""
    script = f"import os, sys, json, time\ndef say(x): print(x, flush=True)\n{body}"
    seen: list[tuple[int, int]] = []
    texts: list[str] = []
    command = [sys.executable, "-I", "-S", "-c", script]
    with Child(command, environment={}, cwd=tmp_path, limits=Limits(timeout_s=20)) as child:
        done = predict(child, ROWS, texts.extend, batch_size=batch_size, progress=lambda *step: seen.append(step))
    return done, texts, seen


HONEST = """
say(json.dumps({"ready": True}))
for line in sys.stdin:
    say(json.dumps({"predictions": [[row["id"], row["prompt"].upper()] for row in json.loads(line)]}))
"""


def test_an_honest_predictor_is_read_in_batches(tmp_path: Path) -> None:
    done, texts, seen = run(HONEST, tmp_path)
    assert texts == ["P0", "P1", "P2", "P3", "P4"]
    assert len(done.seconds_per_row) == 2
    assert done.p95_ms is not None and 0 < done.p95_ms < 1000
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_the_warm_up_batch_does_not_count_as_latency(tmp_path: Path) -> None:
    done, _, _ = run(HONEST, tmp_path, batch_size=5)
    assert done.p95_ms is None


def test_p95_is_the_nearest_rank() -> None:
    assert Timing(tuple(i / 1000 for i in range(1, 101))).p95_ms == pytest.approx(95.0)
    assert Timing((0.001, 0.003)).p95_ms == pytest.approx(3.0)


class Verbose:
    """Stands for a `Child`; one character beyond the BMP makes its long answers four bytes a character."""

    def ask(self, request: bytes, *, doing: str) -> bytes:
        if not request:
            return b'{"ready": true}'
        rows = json.loads(request)
        return json.dumps({"predictions": [[row["id"], "\U0001f600" + "x" * 50_000] for row in rows]}).encode()


def peak_of(batches: int) -> int:
    """Return the most bytes that were allocated while so many batches of ten rows were predicted and scored."""
    rows = [Features(f"r{i}", json.dumps({"id": f"r{i}"})) for i in range(10 * batches)]
    right: list[bool] = []
    tracemalloc.start()
    try:
        predict(
            cast(Child, Verbose()),
            rows,
            lambda texts: right.extend(text == "x" for text in texts),
            batch_size=10,
            progress=lambda *_: None,
        )
        assert len(right) == len(rows)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_batches() -> None:
    assert peak_of(16) < 1.2 * peak_of(2)


READY = 'say(json.dumps({"ready": True}))\nline = sys.stdin.readline()\n'
BROKEN = {
    "load error": ("say(json.dumps({'error': 'ValueError: no \\x1b[2J weights'}))", r"loaded: ValueError: no \[2J"),
    "load memory": ("say(json.dumps({'error': 'MemoryError: '}))", "out of memory: raise --memory-mb"),
    "error of no text": ("say(json.dumps({'error': [1, {}]}))", "could not be loaded"),
    "predicts before it is ready": ("say(json.dumps({'predictions': []}))", "not a message of the predictor"),
    "not json": (READY + "say('hello')", "not JSON"),
    "nan": (READY + "say('{\"predictions\": [[\"r0\", NaN]]}')", "NaN"),
    "not utf-8": (READY + "os.write(1, b'\\xff\\n')", "not UTF-8"),
    "half a character": (READY + "say('{\"predictions\": [[\"r0\", \"\\\\ud800\"]]}')", "half a character"),
    "twice the key": (READY + "say('{\"predictions\": [], \"predictions\": []}')", "twice"),
    "deep": (READY + "say('[' * 100000)", "nested more than 100 levels deep"),
    "both": (READY + "say(json.dumps({'predictions': [], 'error': 'x'}))", "not a message of the predictor"),
    "a list": (READY + "say('[]')", "not a message of the predictor"),
    "empty line": (READY + "say('')", "empty"),
    "short": (READY + "say(json.dumps({'predictions': [['r0', 'x']]}))", "lacks 1 of 2"),
    "row of another batch": (READY + "say(json.dumps({'predictions': [['r0','x'],['r4','x']]}))", "not in the batch"),
    "model error": (READY + "say(json.dumps({'error': 'KeyError: x'}))", "the model failed: KeyError: x"),
    "dies": (READY + "os.abort()", "killed by SIGABRT while predicting rows 1 to 2"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_an_invalid_answer_gives_one_sentence(body: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=words) as caught:
        run(body, tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
