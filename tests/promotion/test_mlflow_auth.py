"""A real MLflow server with basic auth: who may not is told so in clear words, without a credential in any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.errors import StoreFailure
from lynxgate.ports import Tracking
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import Ending, Receipt, promote
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.registry.resolve import find_production
from minieval.contract.bundle import read_manifest
from minieval.contract.exits import Exit
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import DEV, Workshop, leave_out_others, write_baseline, write_evaluation
from tests.servers import MlflowServer, log_bundle, once, shared_mlflow_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mlflow-auth")]

PASSWORD = "Correct-Horse-9/@:?#"
WRONG = "Battery-Staple-7/@:?#"
READER = ("reader", "May-Only-Read-5")


@pytest.fixture(scope="session")
def auth_server(shared_root: Path) -> Iterator[MlflowServer]:
    """A real server with basic auth, one for the whole session; takes 20 to 60 s to start, once."""
    with shared_mlflow_server(shared_root / "mlflow-auth", PASSWORD) as server:
        yield server


@dataclass(frozen=True)
class Locked:
    """A run on the server with basic auth, and what is needed to promote it."""

    workshop: Workshop
    server: MlflowServer
    request: Request
    run_id: str

    def promote(self, tracking: Tracking) -> Receipt:
        return promote(self.request, self.workshop.context(tracking=tracking), tracking, DEV)


def sign_in(patch: pytest.MonkeyPatch, user: str, password: str) -> None:
    patch.setenv("MLFLOW_TRACKING_USERNAME", user)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", password)


@pytest.fixture
def locked(workshop: Workshop, auth_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Locked:
    """The admin's run; an account that may read it and no more; nobody is signed in."""
    bundle = workshop.candidate("b").bundle
    sha = read_manifest(bundle).canonical_sha
    sign_in(monkeypatch, "admin", PASSWORD)
    run_id = log_bundle(auth_server.url, bundle)
    once(auth_server.root, "reader", lambda: add_reader(auth_server))
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    create_registry(workshop.store, Environment.DEV)
    request = Request(sha, "v0.3.1", write_evaluation(sha, run_id), write_baseline(), bundle)
    return Locked(workshop, auth_server, request, run_id)


def add_reader(server: MlflowServer) -> bool:
    """By the server's default an account may read everything."""
    account = dict(zip(("username", "password"), READER, strict=True))
    path = f"{server.url}/api/2.0/mlflow/users/create"
    requests.post(path, json=account, auth=("admin", PASSWORD), timeout=30).raise_for_status()
    return True


def address(server: MlflowServer, user: str, password: str) -> str:
    return server.url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@")


def has_no_secret(text: str) -> bool:
    secrets = {secret for plain in (PASSWORD, WRONG, READER[1]) for secret in (plain, quote(plain, safe=""))}
    return not any(secret in text for secret in secrets)


def test_with_the_right_password_everything_works(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "admin", PASSWORD)
    tracking = MlflowTracking(locked.server.url)
    assert locked.promote(tracking).ending is Ending.PROMOTED
    assert tracking.read_tag(locked.run_id, tag_key("v0.3.1")) == locked.request.canonical_sha
    assert locked.promote(tracking).ending is Ending.ALREADY
    assert leave_out_others(audit(locked.workshop.store, tracking).findings, locked.run_id) == []


def test_credentials_in_the_address_work_and_are_nowhere_shown(
    locked: Locked, capfd: pytest.CaptureFixture[str]
) -> None:
    tracking = MlflowTracking(address(locked.server, "admin", PASSWORD))
    assert tracking.location == locked.server.url
    assert locked.promote(tracking).ending is Ending.PROMOTED
    registry = b"".join(snapshot(locked.workshop.folder / "registry").values()).decode()
    captured = capfd.readouterr()
    assert has_no_secret(registry + captured.out + captured.err)


@pytest.mark.parametrize("in_address", [True, False])
@pytest.mark.parametrize("account", [("admin", WRONG), ("nobody", PASSWORD), None])
def test_a_wrong_password_is_refused_in_clear_words(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, account: tuple[str, str] | None, in_address: bool
) -> None:
    url = locked.server.url
    if account is not None and in_address:
        url = address(locked.server, *account)
    elif account is not None:
        sign_in(monkeypatch, *account)
    before = snapshot(locked.workshop.folder)
    with pytest.raises(StoreFailure) as refusal:
        locked.promote(MlflowTracking(url))
    assert "does not accept the credentials (MLFLOW_TRACKING_USERNAME" in str(refusal.value)
    assert has_no_secret(str(refusal.value))
    assert refusal.value.exit is Exit.UNAVAILABLE
    assert snapshot(locked.workshop.folder) == before


@pytest.mark.heavy
def test_who_may_only_read_promotes_nothing(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything up to the tag works; the tag is refused, and everything is undone."""
    sign_in(monkeypatch, *READER)
    with pytest.raises(StoreFailure, match="this account may not do that") as refusal:
        locked.promote(MlflowTracking(locked.server.url))
    assert "v0.3.1 is not promoted; production is empty as before" in str(refusal.value)
    assert "stray tag" not in str(refusal.value)
    assert has_no_secret(str(refusal.value))
    assert find_production(locked.workshop.store) is None
    sign_in(monkeypatch, "admin", PASSWORD)
    assert locked.promote(MlflowTracking(locked.server.url)).ending is Ending.PROMOTED


def test_the_command_shows_no_credential(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    documents = {"evaluation": locked.request.evaluation, "baseline": locked.request.baseline}
    for name, data in documents.items():
        (tmp_path / f"{name}.json").write_bytes(data)
    command = ["promote", "--canonical-sha", locked.request.canonical_sha, "--semver", "v0.3.1"]
    command += ["--registry", str(locked.workshop.folder / "registry"), "--bundle", str(locked.request.bundle)]
    command += [part for name in documents for part in (f"--{name}", str(tmp_path / f"{name}.json"))]
    for password, code in ((WRONG, Exit.UNAVAILABLE), (PASSWORD, Exit.OK)):
        assert run([*command, "--tracking-uri", address(locked.server, "admin", password)]) == code
        captured = capfd.readouterr()
        assert has_no_secret(captured.out + captured.err)


@pytest.mark.heavy
def test_a_registered_model_is_pointed_at_too(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "admin", PASSWORD)
    tracking = MlflowTracking(locked.server.url)
    policy = locked.request.baseline.replace(b'"rule"', b'"registered_model": "models:/guarded", "rule"')
    named = replace(locked, request=replace(locked.request, baseline=policy))
    assert named.promote(tracking).ending is Ending.PROMOTED
    aliased = tracking.read_alias("guarded")
    assert aliased is not None
    assert (aliased.run_id, aliased.holds_candidate) == (locked.run_id, True)
