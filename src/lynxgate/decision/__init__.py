"""Decide whether a candidate may replace the baseline: documents in, a verdict out. Pure."""
