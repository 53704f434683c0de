"""Parameters of which `just test` takes some, and `just full` all: for tables whose rows cost seconds each."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet


def some_of(names: Iterable[str], step: int) -> list[ParameterSet]:
    """Return the names as parameters; all but each ``step``-th are heavy, so that every kind of row is still met."""
    return [
        pytest.param(name, id=name, marks=[] if number % step == 0 else [pytest.mark.heavy])
        for number, name in enumerate(names)
    ]
