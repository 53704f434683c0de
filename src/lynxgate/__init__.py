"""Lynxgate: the gate between a trained model and production.

The story is `lynxgate.pipeline.gate`; the decision is `lynxgate.compare.compare`; the promotion is
`lynxgate.promote.promote`.
"""

__version__ = "0.1.0"
