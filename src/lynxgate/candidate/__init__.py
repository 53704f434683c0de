"""Bring a candidate and its eval set to this machine, check them, and run the evaluator."""
