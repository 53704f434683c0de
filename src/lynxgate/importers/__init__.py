"""Readers of what other tools measured: each turns one foreign file into buckets and metrics of an evaluation.

- What a file says of directions is carried along for people; the baseline decides about them.
- A measurement that its own tool calls failed or incomplete is refused, never imported in part.
- Nothing is dropped in silence: what is no figure is named in `Found.left_out`.
- Names carry every dimension of the source; two figures of one name are refused.
"""

from __future__ import annotations

from lynxgate.importers.build import PROVIDERS, Origin, Provider, add_to_document, build_evaluation, read_foreign
from lynxgate.importers.found import Found

__all__ = ["PROVIDERS", "Found", "Origin", "Provider", "add_to_document", "build_evaluation", "read_foreign"]
