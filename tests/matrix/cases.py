"""A saved model, what it is given, and what it has to answer in batches of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minieval.data.schema import Column
from minieval.runner.predictions import Predictor
from tests.minieval.runner.tables import predict_in_batches, predictor


@dataclass(frozen=True)
class Case:
    """A bundle, what it is given, and what its model answers when it is called without MLflow."""

    columns: Sequence[Column]
    features: pa.Table
    expected: list[Any]
    params: Mapping[str, Any] = field(default_factory=dict)


def check(case: Case, bundle: Path, *, arrow: bool = True) -> None:
    """Its answers are the expected ones in batches of 1, of 3 and of all rows."""
    with predictor(bundle, arrow=arrow) as found:
        check_answers(case, found)


def check_answers(case: Case, found: Predictor) -> None:
    """The answers of a predictor are the expected ones in batches of 1, of 3 and of all rows."""
    assert len(set(map(repr, case.expected))) > 1, "a model that always answers the same shows nothing"
    for size in (1, 3, case.features.num_rows):
        answers = predict_in_batches(found, case.columns, case.features, size, case.params)
        assert [list(map(type, flat(a))) for a in answers] == [list(map(type, flat(e))) for e in case.expected]
        for answer, expected in zip(answers, case.expected, strict=True):
            # Sums of floats depend on the batch: the order of additions in BLAS does.
            assert flat(answer) == [pytest.approx(x, rel=1e-6) if type(x) is float else x for x in flat(expected)]


def flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
