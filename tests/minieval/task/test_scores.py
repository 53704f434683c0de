"""Scores of every kind: by example, and by properties against a plain reading of their definitions."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.documents import parse_json, pretty_json
from minieval.contract.exits import CannotJudge
from minieval.task.document import Scoring
from minieval.task.scores import PAIRS_OF_MARKS, _key, equal_values, make_scorer


def score(scoring: dict[str, Any], expected: list[Any], answers: list[Any], accepted: Any = None) -> list[float]:
    scorer = make_scorer(Scoring.model_validate(scoring))
    found = scorer.score(expected, accepted, answers, list, lambda index: f"line {index + 1}")
    return [float(each) for each in found]


def one(scoring: dict[str, Any], right: Any, answer: Any) -> float:
    return score(scoring, [right], [answer])[0]


EXACT = [
    (1, 1, True), (1, 1.0, True), (0.1, 0.1, True), (2**53 + 1, float(2**53), False), (2**70, 2**70, True),
    (True, True, True), (True, 1, False), (1, True, False), (0, False, False), ("1", 1, False), ("a", "a", True),
    ("a", "A", False), ("a", "a ", False), ("\u00e9", "e\u0301", False), ([1, 2], [1, 2.0], True),
    ([1, 2], [2, 1], False), ([1], 1, False), ([True], [1], False), ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": 1, "b": 2}, False), ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ("a", None, False),
    (Decimal("0.1"), 0.1, True), (0.5, Decimal("0.5"), True), ("", "", True), ([], [], True), ([None], [None], False),
]  # fmt: skip


@pytest.mark.parametrize(("right", "answer", "is_right"), EXACT)
def test_exact(right: Any, answer: Any, is_right: bool) -> None:
    assert one({}, right, answer) == float(is_right)
    assert score({}, [right, "x", 3], [answer, "x", 3]) == [float(is_right), 1, 1], "beside values of other types"


@pytest.mark.parametrize(
    ("ignore", "right", "answer", "is_right"),
    [
        ([], "\u00e9", "e\u0301", True), ([], "A", "a", False), ([], "a b", "a  b", False),
        (["case"], "STRASSE", "stra\u00dfe", True), (["case"], "a b", "A  B", False),
        (["space"], " a\t b\n", "a b", True), (["space"], "ab", "a b", False),
        (["punctuation"], "it's, so!", "its so", True), (["articles"], "the end of a day", "end of day", True),
        (["case", "articles", "punctuation", "space"], "The  U.S.A.", "usa", True), ([], "", "", True),
    ],
)  # fmt: skip
def test_text(ignore: list[str], right: str, answer: str, is_right: bool) -> None:
    assert one({"kind": "text", "ignore": ignore}, right, answer) == float(is_right)


@pytest.mark.parametrize(
    ("atol", "rtol", "right", "answer", "is_right"),
    [
        ("0.1", "0", 0.3, 0.4, True), ("0.1", "0", 0.3, 0.40001, False), ("0", "0", 1, 1.0, True),
        ("0", "0.1", 100, 110, True), ("0", "0.1", 100, 110.1, False), ("0", "0.1", -100, -90, True),
        ("1", "0.1", 100, 111, True), ("0", "0", 2**70, 2**70 + 1, False), ("0", "0", 0, -0.0, True),
    ],
)  # fmt: skip
def test_numeric(atol: str, rtol: str, right: Any, answer: Any, is_right: bool) -> None:
    scoring = {"kind": "numeric", "atol": Decimal(atol), "rtol": Decimal(rtol)}
    assert one(scoring, right, answer) == float(is_right)


def test_scores_of_lists() -> None:
    assert score({"kind": "top_k", "k": 2}, ["a", "a", 1], [["b", "a"], ["b", "c", "a"], [1.0]]) == [1, 0, 1]
    assert score({"kind": "any_of"}, [["a", "b"], ["a"], []], ["b", "c", "a"]) == [1, 0, 0]
    sets = [["a", "b"], ["a", "b"], [1], [True], []]
    assert score({"kind": "set"}, sets, [["b", "a", "a"], ["a"], [1.0], [1], []]) == [1, 0, 1, 0, 1]


def test_overlap_is_the_f1_of_tokens_or_items() -> None:
    assert one({"kind": "overlap"}, "The quick, brown fox", "the fox") == pytest.approx(2 / 3)
    assert score({"kind": "overlap"}, ["a a b", "", "", "a"], ["a b b", "", "a", ""]) == [pytest.approx(2 / 3), 1, 0, 0]
    items = {"kind": "overlap", "of": "items"}
    assert score(items, [[1, 2, 3], [1, 1], []], [[1.0, 4], [1], []]) == [pytest.approx(2 / 5), 1, 1]


def test_error_falls_from_1_to_0_at_the_cap_and_its_mean_is_shown_in_its_unit() -> None:
    scorer = make_scorer(Scoring.model_validate({"kind": "error", "cap": Decimal(10), "unit": "EUR"}))
    assert scorer.graded and scorer.metrics() == {}
    found = scorer.score([100, 100, 100, 100, 0.3], None, [100, 105, 90.0, None, 0.1], list, str)
    assert found.tolist() == [1.0, 0.5, 0.0, 0.0, 0.98]
    found = scorer.score([1], [[7]], [8], list, str)
    assert found.tolist() == [0.9], "the nearest accepted number counts"
    metric = scorer.metrics()["mean_absolute_error"]
    assert (metric.value, metric.unit, metric.direction) == (
        Decimal("3.24"),
        "EUR",
        "lower",
    )  # (0 + 5 + 10 + .2 + 1) / 5


@pytest.mark.parametrize("kind", ["exact", "text", "numeric", "any_of", "set", "overlap", "error", "top_k"])
def test_no_answer_is_wrong_and_the_best_accepted_answer_counts(kind: str) -> None:
    all_options: dict[str, dict[str, Any]] = {"error": {"cap": Decimal(10)}, "top_k": {"k": 1}}
    options = all_options.get(kind, {})
    wrong, right, answer = {
        "numeric": (1, 2, 2), "error": (100, 2, 2), "any_of": (["x"], ["y"], "y"), "set": (["x"], ["y"], ["y"]),
        "top_k": ("x", "y", ["y"]),
    }.get(kind, ("x", "y", "y"))  # fmt: skip
    scoring = {"kind": kind, **options}
    found = score(scoring, [wrong] * 3, [None, answer, answer], [[right], [right], []])
    assert found == [0, 1, 0]
    assert score(scoring, [wrong], [None]) == [0]


WRONG = {
    "text": ({"kind": "text"}, "a", 1, "text is compared, and this is a number"),
    "numeric": ({"kind": "numeric"}, 1, "1", "the answer is text, and a number is needed"),
    "a boolean as a number": ({"kind": "numeric"}, 1, True, "the answer is a boolean"),
    "a label that is no number": ({"kind": "numeric"}, "1", 1, "the expected answer is text, and a number is"),
    "a label that is infinite": ({"kind": "numeric"}, float("inf"), 1, "the expected answer is Infinity, and"),
    "an infinite error": ({"kind": "error", "cap": Decimal(1)}, 1, float("-inf"), "the answer is -Infinity, and"),
    "a number that no document holds": (
        {"kind": "error", "cap": Decimal(1)}, 1, 1e300, r"the answer is 1e\+300, and numbers below 1e40 are compared"
    ),
    "a label that no document holds": ({"kind": "numeric"}, 10**40, 1, r"the expected answer is 1\.00e\+40, and"),
    "error": ({"kind": "error", "cap": Decimal(1)}, 1, [1], "the answer is a list, and a number is needed"),
    "top_k": ({"kind": "top_k", "k": 1}, "a", "a", "the answer is text, and a list is needed"),
    "any_of": ({"kind": "any_of"}, "a", "a", "the expected answer is text, and a list is needed"),
    "set": ({"kind": "set"}, ["a"], "a", "the answer is text, and a list is needed"),
    "overlap": ({"kind": "overlap"}, "a", ["a"], "text is compared, and this is a list"),
    "overlap of items": ({"kind": "overlap", "of": "items"}, ["a"], "a", "the answer is text, and a list is needed"),
}  # fmt: skip


@pytest.mark.parametrize(("scoring", "right", "answer", "words"), WRONG.values(), ids=WRONG)
def test_what_a_kind_cannot_score_is_refused_with_its_row(
    scoring: dict[str, Any], right: Any, answer: Any, words: str
) -> None:
    with pytest.raises(CannotJudge, match=f"^line 2: {words}"):
        score(scoring, [right, right], [None, answer])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5, 1e300]) | st.sampled_from("ab1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
plain = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)


@given(json_values, json_values)
@pytest.mark.slow
def test_equality_is_symmetric_and_is_that_of_keys(first: Any, second: Any) -> None:
    assert equal_values(first, second) == equal_values(second, first) == (_key(first) == _key(second))


@given(st.lists(st.tuples(plain, plain), max_size=8))
@pytest.mark.slow
def test_at_once_or_row_by_row_exact_is_the_same(rows: list[tuple[Any, Any]]) -> None:
    expected, answers = [right for right, _ in rows], [answer for _, answer in rows]
    plainly = [float(equal_values(right, answer)) for right, answer in rows]
    assert score({}, expected, answers) == plainly
    assert score({}, expected, answers, [[]] * len(rows)) == plainly
    assert score({}, expected, expected) == [1.0] * len(rows)


finite = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)


@given(finite, finite, st.integers(1, 10**6), st.integers(0, 100))
def test_numbers_are_scored_as_fractions_would_be(right: Any, answer: Any, cap: int, rtol: int) -> None:
    exact_right, exact_answer = (Fraction(repr(each)) for each in (right, answer))
    error = abs(exact_right - exact_answer)
    graded = one({"kind": "error", "cap": cap}, right, answer)
    assert graded == pytest.approx(float(1 - min(error / cap, Fraction(1))), abs=1e-12)
    assert graded == one({"kind": "error", "cap": cap}, answer, right)
    near = one({"kind": "numeric", "atol": cap, "rtol": Decimal(rtol) / 100}, right, answer)
    assert near == float(error <= cap + Fraction(rtol, 100) * abs(exact_right))


words = st.lists(st.sampled_from(["a", "b", "c", "B", "a."]), max_size=8)


@given(words, words)
@pytest.mark.slow
def test_overlap_is_symmetric_bounded_and_that_of_its_definition(right: list[str], answer: list[str]) -> None:
    texts = [" ".join(each) for each in (right, answer)]
    found = one({"kind": "overlap"}, texts[0], texts[1])
    counts = [Counter(word.strip(".").lower() for word in each) for each in (right, answer)]
    total = len(right) + len(answer)
    assert found == (2 * (counts[0] & counts[1]).total() / total if total else 1.0)
    assert found == one({"kind": "overlap"}, texts[1], texts[0])
    items = one({"kind": "overlap", "of": "items"}, right, answer)
    assert items == one({"kind": "overlap", "of": "items"}, answer, right) and 0 <= items <= 1
    assert (items == 1) == (set(right) == set(answer)) == bool(one({"kind": "set"}, right, answer))


@pytest.mark.slow
def test_long_lists_are_not_compared_pair_by_pair() -> None:
    """A candidate could otherwise hold up the scoring for days with one answer."""
    many = list(range(300_000))
    assert one({"kind": "overlap", "of": "items"}, many, many[::-1]) == 1
    assert one({"kind": "set"}, many, many[::-1]) == 1


@pytest.mark.parametrize("scoring", [{"kind": "set"}, {"kind": "overlap", "of": "items"}])
@pytest.mark.slow
def test_numbers_of_one_hash_do_not_hold_up_the_scoring(scoring: dict[str, Any]) -> None:
    colliding = [number * (2**61 - 1) for number in range(1, 100_000)]
    assert one(scoring, [0, 1], colliding) == 0
    assert one(scoring, [float("inf")], [2**53]) == 0


@pytest.mark.parametrize("answer", [10**40 - 1, -9.99e39, 123456789012345678901234.5, 1e-300, 0.0, -0.0])
def test_the_mean_error_of_any_answer_is_a_figure_that_a_document_holds(answer: Any) -> None:
    scorer = make_scorer(Scoring.model_validate({"kind": "error", "cap": Decimal("1e-40")}))
    assert scorer.score([-answer] * 2, None, [answer, None], list, str).tolist() == [float(abs(answer) < 1e-41), 0]
    written = json.loads(scorer.metrics()["mean_absolute_error"].model_dump_json(), parse_float=Decimal)["value"]
    read = parse_json(pretty_json({"value": Decimal(written)}), where="document")["value"]
    assert float(read) == pytest.approx(2 * abs(answer), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("marks", ["\u0301\u0327", *PAIRS_OF_MARKS], ids=ascii)
@pytest.mark.parametrize("kind", ["text", "overlap"])
@pytest.mark.slow
def test_a_long_run_of_marks_does_not_hold_up_the_scoring(kind: str, marks: str) -> None:
    """NFC sorts a run of marks in a time that grows with its square: an answer of 64 kB could take ten seconds."""
    answer = "a" + marks * 100_000
    started = time.process_time()
    assert score({"kind": kind}, ["a", answer], [answer, answer]) == [0, 1]
    assert time.process_time() - started < 5


@pytest.mark.slow
def test_a_character_begins_or_continues_a_run_of_marks() -> None:
    """A character that is no mark must not become two or more marks alone, or a run of it would not be parted."""
    for code in range(sys.maxunicode + 1):
        each = chr(code)
        if not unicodedata.combining(each):
            begins_with_mark = unicodedata.combining(unicodedata.normalize("NFD", each)[0]) > 0
            assert begins_with_mark == (each in PAIRS_OF_MARKS), hex(code)


@given(st.text(st.sampled_from("aeE\u0301\u0327\u00e9\u0130\uac00\u1100\u1161\u11a8\u0f73 ."), max_size=29))
def test_text_with_runs_as_languages_have_them_is_compared_in_plain_nfc(text: str) -> None:
    other = unicodedata.normalize("NFD", text)
    assert one({"kind": "text"}, text, other) == 1
    assert one({"kind": "text", "ignore": ["case"]}, text, unicodedata.normalize("NFC", text.casefold())) == 1


def test_nan_in_a_list_equals_nothing() -> None:
    nan = float("nan")
    for scoring in ({"kind": "set"}, {"kind": "exact"}, {"kind": "overlap", "of": "items"}):
        assert one(scoring, [nan], [nan]) == 0
