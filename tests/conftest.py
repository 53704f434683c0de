"""Fixtures that several areas share: the real MLflow server, a model on it, and a proxy that fails as told."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.dvc_repository import DvcRepository, copy_dvc_repository, make_dvc_repository
from tests.fault_proxy import FaultProxy
from tests.fixtures_s3 import moto, s3_registry, seaweedfs  # noqa: F401 - pytest finds fixtures by their names here
from tests.servers import MlflowServer, log_bundle, once, shared_mlflow_server, shared_run
from tests.sizes import fail_skipped, mark_parts, refuse_unmarked

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
gc.set_threshold(100_000)  # as `lynxgate.cli.app.main` does


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before `-m` chooses among them."""
    mark_parts(items)


def pytest_collection_finish() -> None:
    """What was imported stays to the end: no collection looks at it again, and some libraries collect at every call."""
    gc.collect()
    gc.freeze()


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    """Returns `None`, so that pytest sets the fixture up."""
    refuse_unmarked(fixturedef.argname, request._pyfuncitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of each phase of a test, as pytest made it or changed."""
    report = yield
    fail_skipped(report)
    return report


@pytest.fixture(autouse=True)
def environment_kept() -> Iterator[None]:
    """What a test does to the environment ends with it: MLflow's adapter leaves its bounds there, for the process."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all xdist workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"


@pytest.fixture(scope="session")
def mlflow_server(shared_root: Path) -> Iterator[MlflowServer]:
    """A real ``mlflow server`` on loopback, one for the whole session; takes 10 to 60 s to start, once."""
    with shared_mlflow_server(shared_root / "mlflow") as server:
        yield server


@pytest.fixture(scope="session")
def logged_model(mlflow_server: MlflowServer) -> tuple[str, str, Path]:
    """Run id, canonical SHA and downloaded bundle (read only!) of one real model on the server."""
    return shared_run(mlflow_server)


@pytest.fixture(scope="session")
def logged_run(logged_model: tuple[str, str, Path]) -> tuple[str, str]:
    """Run id and canonical SHA of one real model on the server; its tags are shared: prefer `fresh_run`."""
    return logged_model[:2]


@pytest.fixture
def fresh_run(mlflow_server: MlflowServer, logged_model: tuple[str, str, Path]) -> tuple[str, str]:
    """Run id and canonical SHA of the same model in a new run of its own, without tags of other tests."""
    _, sha, bundle = logged_model
    return log_bundle(mlflow_server.url, bundle), sha


@pytest.fixture
def fault_proxy(mlflow_server: MlflowServer) -> Iterator[FaultProxy]:
    """A proxy in front of the server, with no faults yet; `FaultProxy.fail` adds them."""
    with FaultProxy(mlflow_server.url) as proxy:
        yield proxy


@pytest.fixture
def dvc_repository(shared_root: Path, tmp_path: Path) -> DvcRepository:
    """A DVC repository of this test's own, with a local remote, made once by the real dvc and copied."""
    shared_root.mkdir(parents=True, exist_ok=True)
    made = once(shared_root, "dvc", lambda: str(make_dvc_repository(shared_root / "dvc-repository").root))
    return copy_dvc_repository(Path(made), tmp_path / "repository")
