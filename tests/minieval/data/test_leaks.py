"""A feature that is the answer is found by its values, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minieval.contract.exits import CannotJudge
from minieval.data.leaks import FIRST
from minieval.data.stream import EvalSetStream
from minieval.evaluation import Isolation, evaluate
from tests.minieval.candidates import UPPER, write_bundle, write_rows
from tests.minieval.data.sets import read_all

Row = dict[str, Any]


def rows(change: Callable[[int, str], Row], n: int = 4) -> list[Row]:
    """Rows with answers `answer 0`, `answer 1`, ...; ``change`` gives further keys from number and answer."""
    return [
        {"id": f"r{i}", "prompt": f"p {i}", "expected": f"answer {i}", "buckets": ["all"], **change(i, f"answer {i}")}
        for i in range(n)
    ]


def found(tmp_path: Path, table: list[Row]) -> EvalSetStream:
    return read_all(write_rows(tmp_path / "eval.jsonl", table)).stream


@pytest.mark.parametrize(
    "name", ["target", "answer", "gold", "reference", "solution", "correct_answer", "expected_output", "x"]
)
@pytest.mark.slow
def test_a_feature_that_is_the_answer_in_every_row_is_refused(name: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "eval.jsonl", rows(lambda _, answer: {name: answer}))
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    with pytest.raises(CannotJudge, match=rf"eval.jsonl: the feature '{name}' is the right answer in every row"):
        evaluate(bundle, path, isolation=Isolation.PROCESS)
    # Reading alone refuses nothing, so that `replay --eval-set` still reads an older eval set.
    assert len(read_all(path).rows) == 4


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda _, answer: {"meta": {"deep": {"gold": answer}}}, "meta.deep.gold"),
        (lambda i, answer: {"choices": [answer, f"other {i}"]}, "choices[0]"),
        (lambda i, answer: {"choices": [{"text": f"other {i}"}, {"text": answer}]}, "choices[1].text"),
        (lambda _, answer: {"padded": f"  {answer}\n"}, "padded"),
        (lambda i, _: {"expected": str(i), "number": i}, "number"),
        (lambda i, _: {"accepted": [f"also {i}"], "synonym": f"also {i}"}, "synonym"),
        (lambda i, _: {"expected": i, "number": float(i)}, "number"),
    ],
)
def test_it_may_be_nested_a_number_or_an_accepted_answer(
    change: Callable[[int, str], Row], path: str, tmp_path: Path
) -> None:
    assert found(tmp_path, rows(change)).leaks == (path,)


@pytest.mark.parametrize(
    "change",
    [
        lambda i, answer: {"hint": answer if i else "none"},
        lambda i, answer: {"choices": [answer, "other"] if i % 2 else ["other", answer]},
        lambda _, answer: {"text": f"{answer} is in the text"},
        lambda _, answer: {"lower": answer.upper()},
        lambda _, _answer: {"expected": "yes", "always": "yes"},
        lambda i, _: {"expected": "true", "flag": True, "n": i},
    ],
)
def test_what_may_be_chance_or_a_task_is_not_found(change: Callable[[int, str], Row], tmp_path: Path) -> None:
    assert (found(tmp_path, rows(change)).leaks, found(tmp_path, rows(change)).suspects) == ((), ())


@pytest.mark.slow
def test_at_99_percent_there_is_a_warning(tmp_path: Path) -> None:
    def table(wrong: int) -> list[Row]:
        return rows(lambda i, answer: {"hint": "none" if i < wrong else answer, "prompt": answer.lower() + "!"}, n=200)

    assert found(tmp_path, table(2)).suspects == (("hint", 198),)
    assert found(tmp_path, table(3)).suspects == ()
    warned: list[str] = []
    path = write_rows(tmp_path / "eval.jsonl", table(1))
    evaluate(write_bundle(tmp_path / "bundle", UPPER), path, isolation=Isolation.PROCESS, warn=warned.append)
    assert any("'hint' is the right answer in 199 of 200 rows" in sentence for sentence in warned)


@pytest.mark.slow
def test_a_set_longer_than_what_every_feature_is_compared_in_is_counted_to_its_end(tmp_path: Path) -> None:
    def table(wrong: range) -> list[Row]:
        return rows(lambda i, answer: {"hint": "none" if i in wrong else answer}, n=3 * FIRST)

    assert found(tmp_path, table(range(0))).leaks == ("hint",)
    assert found(tmp_path, table(range(2 * FIRST, 2 * FIRST + 5))).suspects == (("hint", 3 * FIRST - 5),)
    assert found(tmp_path, table(range(2 * FIRST, 3 * FIRST))).suspects == ()
