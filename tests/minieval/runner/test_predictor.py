"""What the predictor makes of a model's result and of its errors."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from minieval.runner.predictor import _describe, _list_answers


class Answer(pydantic.BaseModel):
    """A model of an answer."""

    label: str
    score: float


@dataclasses.dataclass
class Box:
    """A dataclass of an answer."""

    label: str


class Label(enum.Enum):
    """An answer of a fixed set."""

    YES = "yes"


NAN = float("nan")
RESULTS: dict[str, tuple[Any, list[Any]]] = {
    "list": (["x", "y"], ["x", "y"]),
    "tuple": (("x", "y"), ["x", "y"]),
    "generator": ((text for text in "xy"), ["x", "y"]),
    "array of texts": (np.array(["x", "y"]), ["x", "y"]),
    "array of int64": (np.array([2**53 + 1, -1]), [2**53 + 1, -1]),
    "array of float32": (np.array([0.5, NAN], dtype="float32"), [0.5, None]),
    "array of booleans": (np.array([True, False]), [True, False]),
    "array of lists": (np.array([[1.5, 2], [NAN, 4]]), [[1.5, 2], [None, 4]]),
    "array of moments": (np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"), ["2024-01-01", None]),
    "series of moments": (pd.Series(pd.to_datetime(["2024-01-01", None])), ["2024-01-01T00:00:00", None]),
    "moments of numpy": ([np.datetime64("2024-01-01"), np.datetime64("NaT")], ["2024-01-01", None]),
    "numpy scalars": ([np.float64(1.5), np.int32(3)], [1.5, 3]),
    "large integers": ([2**70, 1], [2**70, 1]),
    "infinities": ([float("inf"), -float("inf")], [None, None]),
    "missing": ([None, NAN], [None, None]),
    "missing of pandas": ([pd.NA, pd.NaT], [None, None]),
    "series": (pd.Series(["x", None]), ["x", None]),
    "series in another order": (pd.Series(["y", "x"], index=[1, 0]), ["x", "y"]),
    "series with another index": (pd.Series(["y", "x"], index=[7, 3]), ["y", "x"]),
    "categories": (pd.Series(["x", "y"], dtype="category"), ["x", "y"]),
    "one column": (pd.DataFrame({0: ["x", "y"]}), ["x", "y"]),
    "prediction": (pd.DataFrame({"a": [1, 2], "prediction": ["x", "y"]}), ["x", "y"]),
    "columns": (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
    "frame in another order": (pd.DataFrame({"a": [1, 2]}, index=[1, 0]), [2, 1]),
    "dict of columns": ({"a": np.array([1, 2]), "b": ["x", "y"]}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    "dict of one column": ({"logits": [[1], [2]]}, [[1], [2]]),
    "dicts": ([{"a": [1]}, {1: {"b": NAN}}], [{"a": [1]}, {"1": {"b": None}}]),
    "pydantic": ([Answer(label="x", score=1), Answer(label="y", score=2)],
                 [{"label": "x", "score": 1.0}, {"label": "y", "score": 2.0}]),
    "dataclasses": ([Box("x"), Box("y")], [{"label": "x"}, {"label": "y"}]),
    "enum, set": ([Label.YES, {"b", "a"}], ["yes", ["a", "b"]]),
    "decimals": ([decimal.Decimal("1.50"), decimal.Decimal("2.00")], [1.5, 2]),
    "dates": ([datetime.date(2024, 1, 1), pd.Timestamp("2024-01-01 12:00")], ["2024-01-01", "2024-01-01T12:00:00"]),
}  # fmt: skip


@pytest.mark.parametrize(("result", "expected"), RESULTS.values(), ids=RESULTS.keys())
def test_every_form_that_a_model_may_return_is_read(result: Any, expected: list[Any]) -> None:
    answers = _list_answers(result, 2)
    assert answers == expected
    assert [type(answer) for answer in answers] == [type(answer) for answer in expected]
    assert json.loads(json.dumps(answers, allow_nan=False)) == expected


@pytest.mark.parametrize("result", ["x", 1.5, None, {"a": 1}, Answer(label="x", score=1), np.array(3)])
def test_one_answer_is_that_of_one_row_and_of_no_more(result: Any) -> None:
    assert len(_list_answers(result, 1)) == 1
    with pytest.raises(TypeError, match="the model returned"):
        _list_answers(result, 2)


def test_what_json_does_not_have_is_refused() -> None:
    for answer in (b"x", object(), 1j):
        with pytest.raises(TypeError, match="which is not a value of JSON"):
            _list_answers([answer], 1)


def test_an_endless_answer_is_read_no_further_than_it_can_be_right() -> None:
    assert len(_list_answers(iter(int, 1), 3)) == 4


def test_of_a_long_error_the_end_is_kept() -> None:
    shown = _describe(ValueError("x" * 10**6 + " the cause"))
    assert len(shown) <= 420
    assert shown.startswith("ValueError: ... ")
    assert shown.endswith(" the cause")
    assert _describe(ValueError("half \ud800")) == "ValueError: half ?"
