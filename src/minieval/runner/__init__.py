"""Run a candidate: the sandbox, the predictor process, its answers and their scores."""
