"""Lynxgate: the gate between a trained model and production.

The public Python API is `__all__`; docs/reference/python.md documents it. The whole program is one function,
`lynxgate.gate`; the decision is `lynxgate.compare`; the promotion is `lynxgate.promote`.

- Each name is imported on first use, so that ``import lynxgate`` loads neither pydantic nor a client library.
- No public name is also the name of a module or package directly below `lynxgate`: importing that module would
  replace the public object.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lynxgate.candidate.cache import Cache
    from lynxgate.decision.baseline import Baseline, parse_baseline
    from lynxgate.decision.compare import compare
    from lynxgate.decision.decide import decide
    from lynxgate.decision.groups import Groups, read_groups
    from lynxgate.decision.verdict import Inputs, Verdict, parse_verdict
    from lynxgate.errors import (
        CannotJudge,
        Exit,
        GateError,
        IntegrityFailure,
        Refused,
        StoreFailure,
        UsageFailure,
    )
    from lynxgate.pipeline import GatePaths, GateResult, GateServices, gate
    from lynxgate.promotion.context import PromotionContext
    from lynxgate.promotion.examine import NotPassed, Request
    from lynxgate.promotion.promote import Receipt, promote
    from lynxgate.wiring import open_gate_services, open_promotion, open_tracking
    from minieval.contract.report import Evaluation, parse_evaluation

__version__ = "0.2.0"

_MODULES = {
    "Baseline": "lynxgate.decision.baseline",
    "Cache": "lynxgate.candidate.cache",
    "CannotJudge": "lynxgate.errors",
    "Evaluation": "minieval.contract.report",
    "Exit": "lynxgate.errors",
    "GateError": "lynxgate.errors",
    "GatePaths": "lynxgate.pipeline",
    "GateResult": "lynxgate.pipeline",
    "GateServices": "lynxgate.pipeline",
    "Groups": "lynxgate.decision.groups",
    "Inputs": "lynxgate.decision.verdict",
    "IntegrityFailure": "lynxgate.errors",
    "NotPassed": "lynxgate.promotion.examine",
    "PromotionContext": "lynxgate.promotion.context",
    "Receipt": "lynxgate.promotion.promote",
    "Refused": "lynxgate.errors",
    "Request": "lynxgate.promotion.examine",
    "StoreFailure": "lynxgate.errors",
    "UsageFailure": "lynxgate.errors",
    "Verdict": "lynxgate.decision.verdict",
    "compare": "lynxgate.decision.compare",
    "decide": "lynxgate.decision.decide",
    "gate": "lynxgate.pipeline",
    "open_gate_services": "lynxgate.wiring",
    "open_promotion": "lynxgate.wiring",
    "open_tracking": "lynxgate.wiring",
    "parse_baseline": "lynxgate.decision.baseline",
    "parse_evaluation": "minieval.contract.report",
    "parse_verdict": "lynxgate.decision.verdict",
    "promote": "lynxgate.promotion.promote",
    "read_groups": "lynxgate.decision.groups",
}

__all__ = [
    "Baseline",
    "Cache",
    "CannotJudge",
    "Evaluation",
    "Exit",
    "GateError",
    "GatePaths",
    "GateResult",
    "GateServices",
    "Groups",
    "Inputs",
    "IntegrityFailure",
    "NotPassed",
    "PromotionContext",
    "Receipt",
    "Refused",
    "Request",
    "StoreFailure",
    "UsageFailure",
    "Verdict",
    "compare",
    "decide",
    "gate",
    "open_gate_services",
    "open_promotion",
    "open_tracking",
    "parse_baseline",
    "parse_evaluation",
    "parse_verdict",
    "promote",
    "read_groups",
]


def __getattr__(name: str) -> Any:
    """Import the module of a public name, once."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # the next access no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
