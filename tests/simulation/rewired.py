"""The code under test with some of its functions exchanged: copies, so that nothing in the process is patched.

A copy of a function has the same code object and other globals, in which every function of `lynxgate` is a copy too.
This serves two ends: pure functions that dominate the time are exchanged for cached ones (`run.py`), and bugs are
planted (`bugs.py`). The compiled code of everything else is that of `src`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import _lru_cache_wrapper, lru_cache
from types import FunctionType
from typing import Any, cast

from lynxgate.audit import verify
from lynxgate.promotion import promote, recovery, rollback, tombstones
from lynxgate.registry import record, resolve

PACKAGES = ("lynxgate.promotion.", "lynxgate.registry.", "lynxgate.audit.")


@dataclass(frozen=True)
class Code:
    """The entry points that the simulated processes call."""

    promote: Callable[..., Any]
    roll_back: Callable[..., Any]
    tombstone: Callable[..., Any]
    recover_all: Callable[..., Any]
    find_production: Callable[..., Any]
    audit: Callable[..., Any]
    journal: Callable[..., Any]


def rewire(replacements: Mapping[Any, Any]) -> Code:
    """Copy the code under test with each key of ``replacements`` exchanged for its value, wherever it is called."""
    found = {name: vars(module) for name, module in list(sys.modules.items()) if name.startswith(PACKAGES)}
    namespaces = {name: dict(names) for name, names in found.items()}
    copies: dict[int, Any] = {id(original): replacement for original, replacement in replacements.items()}
    for module, names in found.items():
        for value in names.values():
            if getattr(value, "__module__", None) == module and id(value) not in copies:
                copies[id(value)] = _copy(value, namespaces[module])
    for names in namespaces.values():
        names.update({name: copies[id(value)] for name, value in names.items() if copies.get(id(value)) is not None})
    return Code(
        promote=copies[id(promote.promote)],
        roll_back=copies[id(rollback.roll_back)],
        tombstone=copies[id(tombstones.tombstone)],
        recover_all=copies[id(recovery.recover_all)],
        find_production=copies[id(resolve.find_production)],
        audit=copies[id(verify.audit)],
        journal=copies[id(record.Journal)],
    )


def _copy(value: Any, names: dict[str, Any]) -> Any:
    """A copy of a function or of the methods of a `Journal`; `None` for what needs none (data, other classes)."""
    if isinstance(value, FunctionType):
        return _copy_function(value, names)
    if isinstance(value, _lru_cache_wrapper):
        return lru_cache(maxsize=64)(_copy_function(cast(FunctionType, value.__wrapped__), names))
    if value is record.Journal:
        methods = {
            name: _copy_function(method, names)
            for name, method in vars(value).items()
            if isinstance(method, FunctionType) and method.__globals__ is vars(record)
        }
        return type(value.__name__, (value,), methods)
    return None


def _copy_function(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
