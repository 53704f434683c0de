"""Flat JSON: one object of names and numbers, ``{"latency_ms": 12.5, "accuracy.tense.past": 0.93}``."""

from __future__ import annotations

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Found, is_figure
from minieval.contract.documents import is_note, parse_json
from minieval.contract.report import Metric


def read(data: bytes, where: str) -> Found:
    """Read every name as a metric; notes (`minieval.contract.documents.is_note`) are skipped.

    Raises:
        CannotJudge: it is not an object, or an entry is not a number.
    """
    tree = parse_json(data, where=where)
    if not isinstance(tree, dict):
        raise CannotJudge(f"{where}: flat JSON is one object of names and numbers")
    metrics = {}
    for name, value in tree.items():
        if is_note(name):
            continue
        if not is_figure(value):
            raise CannotJudge(f"{where}: {name!r} is not a number; flat JSON has numbers only")
        metrics[name] = Metric(value=value)
    return Found(metrics)
