"""Fixtures of the promotion's tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import place  # noqa: F401 - the stores of the contract, as a fixture here too
from tests.promotion.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A fresh workshop without a registry."""
    return Workshop(tmp_path)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of promotions wait for no disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)
