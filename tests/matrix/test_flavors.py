"""Models of every flavor, trained here, get what they were trained on, and answer alike in batches of any size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.cases import check

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NAMES = (
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
)  # not from `flavors`, which imports MLflow: collecting the tests would take seconds longer


@pytest.mark.parametrize("name", NAMES)
def test_a_flavor_answers_as_its_model_does(name: str, tmp_path: Path) -> None:
    from tests.matrix.flavors import FLAVORS

    assert tuple(FLAVORS) == NAMES
    check(FLAVORS[name](tmp_path / "bundle"), tmp_path / "bundle")
