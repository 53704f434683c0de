"""Load a bundle as a server would and print its answers to the rows of an eval set: ``serve.py BUNDLE EVAL_SET``.

Run by the Python of `just torch`. The last line is JSON: a class or a label for each row.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


def read_answers(bundle: Path, eval_set: Path) -> list[Any]:
    """Return what MLflow's own loader makes of the bundle answers; of scores, the class of the highest."""
    model = mlflow.pyfunc.load_model(str(bundle))
    if eval_set.suffix == ".csv":
        rows = pd.read_csv(eval_set).drop(columns=["part", "expected"]).to_numpy(dtype="float32")
        return list(model.predict(rows).argmax(axis=1).tolist())
    rows = pd.read_json(eval_set, lines=True)
    return list(model.predict(rows[["text"]])["label"].tolist())


if __name__ == "__main__":
    print(json.dumps(read_answers(Path(sys.argv[1]), Path(sys.argv[2]))))
