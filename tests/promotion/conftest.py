"""Fixtures of the promotion's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promotion.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A fresh workshop without a registry."""
    return Workshop(tmp_path)
