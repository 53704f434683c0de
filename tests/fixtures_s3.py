"""Fixtures of the S3 servers; `tests/conftest.py` imports them for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3_servers import S3Server, shared_moto, shared_seaweedfs


@pytest.fixture(scope="session")
def seaweedfs(shared_root: Path) -> Iterator[S3Server]:
    """A real SeaweedFS on loopback, one for the whole session; takes about four seconds to start, once."""
    with shared_seaweedfs(shared_root / "seaweedfs") as server:
        yield server


@pytest.fixture(scope="session")
def moto(shared_root: Path) -> Iterator[S3Server]:
    """A moto server, one for the whole session: for the protocol, no oracle for races."""
    with shared_moto(shared_root / "moto") as server:
        yield server


@pytest.fixture
def s3_registry(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an unused registry on SeaweedFS, with the environment set so that boto3 finds it."""
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return seaweedfs.new_registry()
