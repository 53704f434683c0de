"""A registry is made only on an S3 server that honours conditional writes."""

from __future__ import annotations

import pytest

from lynxgate.cli.app import run
from minieval.contract.exits import Exit
from tests.fault_proxy import FaultProxy
from tests.s3_servers import S3Server


def make(address: str) -> int:
    return run(["registry", "init", "--environment", "dev", "--registry", address])


def test_a_server_with_conditional_writes(s3_registry: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert make(s3_registry) == Exit.OK
    assert make(s3_registry) == Exit.OK
    assert "already a registry for dev" in capfd.readouterr().out


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_server_that_ignores_a_condition(
    header: str, moto: S3Server, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto checks no signature, so a proxy may take a header away that the client signed."""
    address = moto.new_registry()
    with FaultProxy(moto.url, keep_host=True, withheld=frozenset({header})) as proxy:
        for name, value in moto.environment(url=proxy.url).items():
            monkeypatch.setenv(name, value)
        assert make(address) == Exit.UNAVAILABLE
    assert "the server ignores If-" in capfd.readouterr().err
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    assert moto.client().list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []) == []
