"""A model from code, as MLflow stores it: the file itself."""

from typing import Any

import mlflow


class Reverse(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a prompt backwards."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return one text a row."""
        return [text[::-1] for text in model_input["prompt"]]


mlflow.models.set_model(Reverse())
