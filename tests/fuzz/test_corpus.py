"""Replay the kept corpus, without a fuzzer; and that a target finds what it should and a mutator does what it says."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from lynxgate.errors import CannotJudge, GateError
from tests.fuzz.corpus import CORPUS, MOST_BYTES, read_corpus
from tests.fuzz.mutate import mutate_json
from tests.fuzz.targets import TARGETS, Target, check
from tests.fuzz.words import list_words, write_dictionary

MOST_BYTES_IN_ALL = 400_000


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_accepted_or_refused_in_words(name: str) -> None:
    outcomes = Counter(check(TARGETS[name], data) for _, data in read_corpus(name))
    assert outcomes[True], f"no input of {name} is accepted: its corpus shows nothing"


def test_each_target_has_a_small_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    sizes = {name: sum(len(data) for kept, data in read_corpus(name) if kept[:6] != "found-") for name in TARGETS}
    assert max(sizes.values()) <= MOST_BYTES, sizes
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) <= MOST_BYTES_IN_ALL


def test_a_finding_is_what_is_neither_an_answer_nor_our_error() -> None:
    def fail(error: Exception) -> Target:
        def run(_: bytes) -> None:
            raise error

        return Target(run)

    assert check(Target(lambda _: None), b"")
    assert not check(fail(CannotJudge("a reason")), b"")
    # No words, no code of its own, or no error of ours.
    for error in (CannotJudge(" "), GateError("a reason"), KeyError("x"), RecursionError(), AssertionError("x")):
        with pytest.raises((AssertionError, KeyError, RecursionError)):
            check(fail(error), b"")


@pytest.mark.slow
def test_the_mutator_is_repeatable_and_reaches_documents_within_strings() -> None:
    inner = json.dumps({"a": 1, "b": [1, 2]})
    data = json.dumps({"text": inner, "number": 3}).encode()
    changed = [mutate_json(data, seed, ["word"]) for seed in range(400)]
    assert changed == [mutate_json(data, seed, ["word"]) for seed in range(400)]
    assert len(set(changed)) > 100
    texts = [json.loads(each or b"null") for each in changed]
    within = [each["text"] for each in texts if isinstance(each, dict) and isinstance(each.get("text"), str)]
    assert any(text != inner and text.startswith("{") and json.loads(text) for text in within)
    assert any("word" in (each or b"").decode() for each in changed)
    assert mutate_json(b"{", 1, []) is None


def test_words_are_those_of_the_corpus() -> None:
    words = list_words([b'{"schema": "minieval.evaluation/1", "n": 12}', b'{"schema": 3}'])
    assert words == ["schema", "minieval.evaluation/1", "12"]
    assert write_dictionary(words).splitlines()[0] == '"schema"'
