"""The stores that the contract suite runs on: a directory, memory, SeaweedFS, and moto (another S3 implementation)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.stores import Place
from tests.s3_servers import S3Server


@pytest.fixture(params=["directory", "memory", "seaweedfs", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where a registry may be made, unused; `Place.open` gives independent handles to it."""
    return _make_place(str(request.param), request, tmp_path, monkeypatch)


@pytest.fixture(params=["directory", "seaweedfs"])
def racing_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same, on stores that keep two writes at the same moment apart: moto does not."""
    return _make_place(str(request.param), request, tmp_path, monkeypatch)


def _make_place(kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if kind == "directory":
        return Place(str(tmp_path / "registry"))
    if kind == "memory":
        return Place(f"memory:{tmp_path}")
    server: S3Server = request.getfixturevalue(kind)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Place(server.new_registry())
