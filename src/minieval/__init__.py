"""minieval: scores a candidate bundle on an eval set without showing the candidate a label.

This package runs candidate code, in a separate process, and holds no credentials. ``lynxgate`` holds credentials and
never loads a candidate. They exchange one JSON document, `minieval.contract.report.Evaluation`.

The public Python API is `__all__`. Each name is imported on first use, so that ``import minieval`` loads no pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minieval.contract.report import Evaluation, dump_evaluation, parse_evaluation
    from minieval.evaluation import evaluate
    from minieval.runner.child import Limits
    from minieval.runner.sandbox import Isolation

__version__ = "0.2.0"

_MODULES = {
    "Evaluation": "minieval.contract.report",
    "Isolation": "minieval.runner.sandbox",
    "Limits": "minieval.runner.child",
    "dump_evaluation": "minieval.contract.report",
    "evaluate": "minieval.evaluation",
    "parse_evaluation": "minieval.contract.report",
}

__all__ = ["Evaluation", "Isolation", "Limits", "dump_evaluation", "evaluate", "parse_evaluation"]


def __getattr__(name: str) -> Any:
    """Import the module of a public name, once."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # the next access no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
