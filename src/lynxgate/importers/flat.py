"""Flat JSON: one object of names and numbers, ``{"latency_ms": 12.5, "accuracy.tense.past": 0.93}``."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Found, is_figure, problem_of_name
from minieval.contract.documents import is_note, parse_json
from minieval.contract.report import Metric


def read(data: bytes, where: str) -> Found:
    """Read every name as a metric; notes (`minieval.contract.documents.is_note`) are skipped.

    A null, a word such as ``"N/A"`` and an entry whose name a document cannot have are left out and named. A number as
    text, true and false are refused: they are figures that were written wrongly.

    Raises:
        CannotJudge: it is not an object, or an entry is a list, an object, a boolean or a number as text.
    """
    tree = parse_json(data, where=where)
    if not isinstance(tree, dict):
        raise CannotJudge(f"{where}: flat JSON is one object of names and numbers")
    metrics = {}
    left_out = []
    for name, value in tree.items():
        if is_note(name):
            continue
        if problem := problem_of_name(name):
            left_out.append(problem)
        elif value is None or (isinstance(value, str) and not _is_number(value)):
            left_out.append(f"{name} ({'null' if value is None else repr(value[:40])})")
        elif is_figure(value):
            metrics[name] = Metric(value=value)
        else:
            raise CannotJudge(f"{where}: {name[:80]!r} is not a number; flat JSON has numbers only")
    return Found(metrics, left_out=tuple(left_out))


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
