"""Read the results of other tools: each reader turns one foreign file into buckets and metrics of an evaluation.

- A direction that a file states is kept for people; the baseline decides which direction is better.
- A measurement that its own tool marks as failed or incomplete is refused, never imported in part.
- Nothing is dropped silently: a value that is not a figure is named in `Found.left_out`.
- Names contain every dimension of the source; two figures with one name are refused.
"""

from __future__ import annotations

from lynxgate.importers.build import PROVIDERS, Origin, Provider, add_to_document, build_evaluation, read_foreign
from lynxgate.importers.found import Found

__all__ = ["PROVIDERS", "Found", "Origin", "Provider", "add_to_document", "build_evaluation", "read_foreign"]
