"""Lynxgate: the gate between a trained model and production.

The story is `lynxgate.pipeline.gate`; the decision is `lynxgate.decision.compare.compare`; the promotion is
`lynxgate.promotion.promote.promote`.
"""

__version__ = "0.2.0"
