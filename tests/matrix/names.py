"""The names of the models of the matrix, and which of them `just test` asks.

Not from `flavors` and `kinds`, which import MLflow: collecting the tests would take seconds longer.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest

FLAVORS = (
    "sklearn, integer labels",
    "the same, a CSV without types",
    "sklearn, no signature",
    "sklearn, boolean labels",
    "sklearn Pipeline on a frame",
    "sklearn predict_proba",
    "sklearn, trained on arrays",
    "the same, a list a row",
    "sklearn regressor",
    "xgboost",
    "xgboost Booster",
    "lightgbm",
    "statsmodels",
)
KINDS = (
    "a class",
    "a model from code",
    "a hint of texts",
    "a hint of dicts",
    "a hint of pydantic models",
    "with code",
    "with artifacts",
    "with params",
    "every type of a signature",
    "types of Parquet",
)
UNFIT = (
    "a missing column",
    "a fraction as an integer",
    "an integer that is too large",
    "a missing integer",
    "a word as a number",
    "a word as a truth",
    "another number of columns",
    "two texts for one",
)
PROMOTED = frozenset({"sklearn, integer labels", "a hint of pydantic models", "types of Parquet"})
"""One for each format: CSV, JSONL and Parquet."""
ANSWERED = frozenset(
    {
        "sklearn Pipeline on a frame",  # columns of several types, by name
        "the same, a list a row",  # a tensor
        "xgboost Booster",  # a native library, and answers as float32
        "a hint of texts",  # a list instead of a frame
        "with params",
        "every type of a signature",
    }
)
"""One for each way in which the predictor hands over features or reads answers."""


def heavy_but(names: Iterable[object], kept: Container[object]) -> list[Any]:
    """Return the parameters of a test: all but ``kept`` are marked `heavy`."""
    return [pytest.param(name, marks=() if name in kept else pytest.mark.heavy) for name in names]
