"""Log a model with MLflow 2.22 and print its run: ``log_model.py URI FOLDER``, run by the other environment's Python.

FOLDER has ``shouting.py``, the model's code, and ``model.json``, its data.
"""

import sys
from pathlib import Path

import mlflow

uri, folder = sys.argv[1], Path(sys.argv[2])
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("tests")
with mlflow.start_run() as run:
    mlflow.log_param("training_data_sha256", "d" * 64)
    mlflow.pyfunc.log_model(
        "model",
        loader_module="shouting",
        data_path=str(folder / "model.json"),
        code_paths=[str(folder / "shouting.py")],
        pip_requirements=["mlflow"],
    )
print(mlflow.__version__, run.info.run_id)
