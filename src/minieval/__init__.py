"""minieval: scores a candidate bundle on an eval set, without ever showing it a label.

This package runs candidate code (in a separate process) and holds no credentials; ``lynxgate``
holds credentials and never loads a candidate. They meet in one JSON document, `minieval.contract.report`.
"""

__version__ = "0.2.0"
