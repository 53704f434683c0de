"""The predictor under Python 3.9 with MLflow 2.9, in an environment of its own (`just python-3-9`)."""
