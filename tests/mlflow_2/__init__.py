"""A server of MLflow 2.22, in an environment of its own (`just mlflow-2`)."""
