"""Save a model with MLflow 2.9 and write what it is given and answers: ``save_model.py NAME FOLDER``.

Run by the Python of `just python-3-9`; the answers are those of the model when it is called without MLflow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Shout(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers in capitals, with the level."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
        """Return one text a row."""
        texts: list[str] = (model_input["prompt"].str.upper() + "/" + model_input["level"].astype(str)).tolist()
        return texts


def save_class(place: Path) -> tuple[Any, list[Any]]:
    """A class without a signature."""
    rows = pd.DataFrame({"prompt": ["one", "two", "three", "sieben \u00e9"], "level": [1, 2, 3, 4]})
    mlflow.pyfunc.save_model(place, python_model=Shout(), pip_requirements=[])
    return rows, Shout().predict(None, rows)


def save_classifier(place: Path) -> tuple[Any, list[Any]]:
    """A classifier with a signature of doubles."""
    frame, labels = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(frame, labels)
    mlflow.sklearn.save_model(model, place, signature=infer_signature(frame, labels), pip_requirements=[])
    rows = frame.iloc[::20]
    return rows, list(model.predict(rows).tolist())


def save_array(place: Path) -> tuple[Any, list[Any]]:
    """A classifier that was trained on an array, and answers with probabilities."""
    frame, labels = load_iris(return_X_y=True, as_frame=True)
    array = frame.to_numpy(dtype="float32")
    model = LogisticRegression(max_iter=1000).fit(array, labels)
    signature = infer_signature(array, model.predict_proba(array))
    mlflow.sklearn.save_model(model, place, signature=signature, pyfunc_predict_fn="predict_proba", pip_requirements=[])
    return frame.iloc[::20], list(model.predict_proba(array[::20]).tolist())


if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    save = {"a class": save_class, "a signature": save_classifier, "an array": save_array}[name]
    rows, answers = save(folder / "bundle")
    found = {"versions": [mlflow.__version__, sys.version.split()[0]], "rows": rows.to_dict("list"), "answers": answers}
    (folder / "case.json").write_text(json.dumps(found))
