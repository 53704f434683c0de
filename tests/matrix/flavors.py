"""Models of every flavor, each trained and saved by its function; a test imports it, since it imports MLflow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.models import infer_signature
from sklearn import datasets

from minieval.data.schema import Column, Kind
from tests.matrix.cases import Case
from tests.minieval.runner.tables import column, table


@functools.cache
def iris() -> tuple[pd.DataFrame, Any]:
    found = datasets.load_iris(as_frame=True)
    return found.data, found.target


def numbers(frame: pd.DataFrame, rows: int = 7, kind: Kind = Kind.NUMBER) -> tuple[list[Column], pa.Table]:
    """Rows spread over a frame of numbers."""
    picked = spread(frame, rows)
    columns = [column(str(name), kind) for name in frame.columns]
    written = {str(name): [repr(x) if kind is Kind.TEXT else x for x in picked[name].tolist()] for name in picked}
    return columns, table(columns, written)


def spread(frame: Any, rows: int = 7) -> Any:
    """Rows spread evenly over a frame or an array."""
    step = len(frame) // rows
    return frame.iloc[::step].head(rows) if hasattr(frame, "iloc") else frame[::step][:rows]


def save_classifier(place: Path, *, kind: Kind = Kind.NUMBER) -> Case:
    from sklearn.ensemble import RandomForestClassifier

    frame, labels = iris()
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(frame, labels)
    mlflow.sklearn.save_model(
        model, place, signature=infer_signature(frame, labels), pip_requirements=[], serialization_format="cloudpickle"
    )
    return Case(*numbers(frame, kind=kind), model.predict(spread(frame)).tolist())


def save_without_signature(place: Path) -> Case:
    from sklearn.ensemble import RandomForestClassifier

    frame, labels = iris()
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(frame, names)
    mlflow.sklearn.save_model(model, place, pip_requirements=[], serialization_format="cloudpickle")
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


def save_booleans(place: Path) -> Case:
    from sklearn.tree import DecisionTreeClassifier

    frame, labels = iris()
    model = DecisionTreeClassifier(random_state=0).fit(frame, labels == 0)
    mlflow.sklearn.save_model(
        model,
        place,
        signature=infer_signature(frame, labels == 0),
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


def save_pipeline(place: Path) -> Case:
    """Text, a category, integers as doubles, and a missing number, each to its own step by name."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    words = ["good film", "bad film", "good plot", "bad plot", "no plot", "a film", "good", "bad"]
    cells: dict[str, list[Any]] = {
        "text": words * 5,
        "genre": ["drama", "horror"] * 20,
        "year": [1990 + i % 30 for i in range(40)],
        "score": [None if i % 7 == 0 else i / 4 for i in range(40)],
    }
    frame = pd.DataFrame(cells).astype({"year": "float64", "score": "float64"})
    labels = ["yes" if "good" in text else "no" for text in frame["text"]]
    steps = [
        ("text", CountVectorizer(), "text"),
        ("genre", OneHotEncoder(), ["genre"]),
        ("numbers", SimpleImputer(), ["year", "score"]),
    ]
    model = Pipeline([("columns", ColumnTransformer(steps)), ("model", LogisticRegression(max_iter=5000))])
    model.fit(frame, labels)
    mlflow.sklearn.save_model(
        model, place, signature=infer_signature(frame, labels), pip_requirements=[], serialization_format="cloudpickle"
    )
    # In another order than the model's, with a column that it does not name.
    columns = [
        column("score", Kind.NUMBER), column("extra", Kind.TEXT), column("genre", Kind.TEXT),
        column("text", Kind.TEXT), column("year", Kind.INTEGER),
    ]  # fmt: skip
    given = {name: values[:8] for name, values in cells.items()} | {"extra": ["x"] * 8}
    return Case(columns, table(columns, given), model.predict(frame.head(8)).tolist())


def save_probabilities(place: Path) -> Case:
    from sklearn.linear_model import LogisticRegression

    frame, labels = iris()
    model = LogisticRegression(max_iter=1000).fit(frame, labels)
    signature = infer_signature(frame, model.predict_proba(frame))
    mlflow.sklearn.save_model(model, place, signature=signature, pyfunc_predict_fn="predict_proba", pip_requirements=[])
    return Case(*numbers(frame), model.predict_proba(spread(frame)).tolist())


def save_arrays(place: Path) -> Case:
    """Trained on arrays: the signature is a tensor without names."""
    from sklearn.linear_model import LogisticRegression

    frame, labels = iris()
    array = frame.to_numpy(dtype="float32")
    model = LogisticRegression(max_iter=1000).fit(array, labels)
    mlflow.sklearn.save_model(model, place, signature=infer_signature(array, labels.to_numpy()), pip_requirements=[])
    return Case(*numbers(frame), model.predict(spread(array)).tolist())


def save_lists(place: Path) -> Case:
    """The same, where each row has its numbers in one list."""
    case = save_arrays(place)
    columns = [column("pixels", Kind.JSON)]
    rows = [list(row.values()) for row in case.features.to_pylist()]
    return Case(columns, table(columns, {"pixels": rows}), case.expected)


def save_regressor(place: Path) -> Case:
    from sklearn.linear_model import Ridge

    frame, target = datasets.load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(frame, target)
    mlflow.sklearn.save_model(model, place, signature=infer_signature(frame, target), pip_requirements=[])
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


def save_xgboost(place: Path) -> Case:
    import xgboost

    frame, labels = iris()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(frame, labels)
    mlflow.xgboost.save_model(model, place, signature=infer_signature(frame, labels), pip_requirements=[])
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


def save_booster(place: Path) -> Case:
    """Probabilities as float32, which is what the native interface gives."""
    import xgboost

    frame, labels = iris()
    data = xgboost.DMatrix(frame, label=labels)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, num_boost_round=5)
    mlflow.xgboost.save_model(model, place, signature=infer_signature(frame), pip_requirements=[])
    return Case(*numbers(frame), model.predict(xgboost.DMatrix(spread(frame))).tolist())


def save_lightgbm(place: Path) -> Case:
    import lightgbm

    frame, labels = iris()
    frame = frame.rename(columns=lambda name: name.replace(" ", "_").replace("(", "").replace(")", ""))
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, labels)
    mlflow.lightgbm.save_model(model, place, signature=infer_signature(frame, labels), pip_requirements=[])
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


def save_statsmodels(place: Path) -> Case:
    import statsmodels.api

    frame, target = datasets.load_diabetes(return_X_y=True, as_frame=True)
    frame = statsmodels.api.add_constant(frame)
    model = statsmodels.api.OLS(target, frame).fit()
    mlflow.statsmodels.save_model(model, place, signature=infer_signature(frame, target), pip_requirements=[])
    return Case(*numbers(frame), model.predict(spread(frame)).tolist())


FLAVORS: dict[str, Callable[[Path], Case]] = {
    "sklearn, integer labels": save_classifier,
    "the same, a CSV without types": lambda place: save_classifier(place, kind=Kind.TEXT),
    "sklearn, no signature": save_without_signature,
    "sklearn, boolean labels": save_booleans,
    "sklearn Pipeline on a frame": save_pipeline,
    "sklearn predict_proba": save_probabilities,
    "sklearn, trained on arrays": save_arrays,
    "the same, a list a row": save_lists,
    "sklearn regressor": save_regressor,
    "xgboost": save_xgboost,
    "xgboost Booster": save_booster,
    "lightgbm": save_lightgbm,
    "statsmodels": save_statsmodels,
}
