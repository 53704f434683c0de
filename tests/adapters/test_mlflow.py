"""The MLflow adapter on a real server, on SQLite, and behind a proxy that fails as told."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.errors import CannotJudge, IntegrityFailure, OutcomeUnknown, StoreFailure
from lynxgate.ports import RunTag
from minieval.contract.bundle import read_manifest
from tests.fault_proxy import Fault, FaultProxy
from tests.servers import MlflowServer, client_of, free_port, log_bundle, log_model, once

ABSENT = "0" * 32
BUSY_SECONDS = 30  # half of what a proxy hangs, and more than a busy machine adds to a time-out
LIST = "/mlflow-artifacts/artifacts?path"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The adapter bounds MLflow through the environment of its process; each test starts without."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def sqlite_uri(shared_root: Path) -> str:
    """A tracking database without a server; its schema is made once, by the first run logged in it."""
    root = shared_root / "sqlite"

    def make() -> str:
        root.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{root / 'mlflow.db'}"
        client_of(uri).create_experiment("tests", artifact_location=(root / "artifacts").as_uri())
        return uri

    shared_root.mkdir(parents=True, exist_ok=True)
    return once(shared_root, "sqlite", make)


@pytest.fixture(params=["mlflow_server", "sqlite"])
def place(request: pytest.FixtureRequest) -> str:
    """The tracking URI of each kind of place that the contract holds for."""
    if request.param == "mlflow_server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        return server.url
    return str(request.getfixturevalue("sqlite_uri"))


@pytest.fixture
def bundle(logged_model: tuple[str, str, Path]) -> Path:
    return logged_model[2]


class TestContract:
    @pytest.mark.slow
    def test_tags(self, place: str) -> None:
        tracking = MlflowTracking(place)
        run = log_bundle(place, None)
        assert tracking.read_tag(run, "lynxgate.semver.v0.1.0") is None
        tracking.set_tag(run, "lynxgate.semver.v0.1.0", "a" * 64)
        tracking.set_tag(run, "lynxgate.semver.v0.1.0", "b" * 64)
        assert tracking.read_tag(run, "lynxgate.semver.v0.1.0") == "b" * 64

    @pytest.mark.slow
    def test_tags_are_found_on_every_run_of_every_experiment(self, place: str) -> None:
        """More experiments, and more runs in one, than an answer has; one run is deleted."""
        client, prefix = client_of(place), f"lynxgate.semver.{uuid.uuid4().hex}."
        expected = set()
        for experiment, count in enumerate((3, 1, 0)):
            made = client.create_experiment(f"{prefix}{experiment}")
            for number in range(count):
                run = client.create_run(made).info.run_id
                client.set_tag(run, f"{prefix}{number}", "a" * 64)
                client.set_tag(run, "other", "b")
                expected.add(RunTag(run, f"{prefix}{number}", "a" * 64))
        client.delete_run(min(tag.run_id for tag in expected))
        found = list(MlflowTracking(place, page=2).find_tags(prefix))
        assert (set(found), len(found)) == (expected, len(expected))

    def test_an_unknown_run_is_a_refusal_not_a_doubt(self, place: str) -> None:
        tracking = MlflowTracking(place)
        calls: list[Callable[[], object]] = [
            lambda: tracking.read_tag(ABSENT, "k"),
            lambda: tracking.set_tag(ABSENT, "k", "v"),
        ]
        for call in calls:
            with pytest.raises(StoreFailure, match="refused") as caught:
                call()
            assert not isinstance(caught.value, OutcomeUnknown)

    def test_download(self, place: str, bundle: Path, tmp_path: Path) -> None:
        seen: list[tuple[int, int | None]] = []
        run = log_bundle(place, bundle)
        MlflowTracking(place).download(run, tmp_path / "to" / "candidate", lambda *done: seen.append(done))
        assert read_manifest(tmp_path / "to" / "candidate") == read_manifest(bundle)
        assert [path.name for path in (tmp_path / "to").iterdir()] == ["candidate"]
        assert seen[-1][0] == seen[-1][1] == sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file())

    def test_find_model_lists_without_bytes(self, place: str, bundle: Path) -> None:
        model = MlflowTracking(place).find_model(log_bundle(place, bundle))
        assert model.source.startswith("models:/m-")
        assert dict(model.files)["MLmodel"] == (bundle / "MLmodel").stat().st_size

    def test_older_layout(self, place: str, bundle: Path, tmp_path: Path) -> None:
        run = log_bundle(place, None)
        client_of(place).log_artifacts(run, str(bundle), "model")
        tracking = MlflowTracking(place)
        tracking.download(run, tmp_path / "candidate")
        assert tracking.find_model(run).source == f"runs:/{run}/model"
        assert read_manifest(tmp_path / "candidate") == read_manifest(bundle)

    def test_a_single_model_of_another_name_is_the_candidate(self, place: str, bundle: Path, tmp_path: Path) -> None:
        MlflowTracking(place).download(log_bundle(place, bundle, name="tutor"), tmp_path / "candidate")
        assert (tmp_path / "candidate" / "MLmodel").is_file()

    def test_runs_that_hold_no_candidate(self, place: str, bundle: Path, tmp_path: Path) -> None:
        deleted = log_bundle(place, bundle)
        client_of(place).delete_run(deleted)
        cases = {
            ABSENT: "has no run",
            deleted: "was deleted",
            log_bundle(place, bundle, status=None): "is RUNNING",
            log_bundle(place, bundle, status="FAILED"): "is FAILED",
            log_bundle(place, None): "has no model",
            log_bundle(place, bundle, models=2): "has 2 models",
        }
        tracking = MlflowTracking(place)
        for run, words in cases.items():
            with pytest.raises(CannotJudge, match=words):
                tracking.download(run, tmp_path / "candidate")
        assert list(tmp_path.iterdir()) == []


def test_a_model_logged_twice_has_one_sha(
    mlflow_server: MlflowServer, logged_run: tuple[str, str], tmp_path: Path
) -> None:
    again = log_model(mlflow_server.url, tmp_path / "source")
    MlflowTracking(mlflow_server.url).download(again, tmp_path / "candidate")
    assert read_manifest(tmp_path / "candidate").canonical_sha == logged_run[1]


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "applied", "words"),
        [
            (Fault.ERROR_BEFORE, False, "5xx"),
            (Fault.ERROR_AFTER, True, "5xx"),
            (Fault.DROP_BEFORE, False, "failed to set a tag"),
            (Fault.DROP_AFTER, True, "failed to set a tag"),
            (Fault.HANG_BEFORE, False, "no answer within 1 s"),
            (Fault.HANG_AFTER, True, "no answer within 1 s"),
        ],
    )
    def test_doubt(
        self, fault_proxy: FaultProxy, mlflow_server: MlflowServer, fault: Fault, applied: bool, words: str
    ) -> None:
        run = log_bundle(mlflow_server.url, None)
        tracking = MlflowTracking(fault_proxy.url, timeout=1)
        fault_proxy.fail(fault, path="/runs/set-tag")
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=words):
            tracking.set_tag(run, "k", "v")
        assert time.monotonic() - started < BUSY_SECONDS
        assert len(fault_proxy.requests("/runs/set-tag")) == (0 if fault is Fault.HANG_BEFORE else 1)
        assert client_of(mlflow_server.url).get_run(run).data.tags.get("k") == ("v" if applied else None)

    @pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.FORBIDDEN])
    def test_refusal(self, fault_proxy: FaultProxy, fault: Fault) -> None:
        fault_proxy.fail(fault)
        with pytest.raises(StoreFailure, match="refused to set a tag") as caught:
            MlflowTracking(fault_proxy.url).set_tag(ABSENT, "k", "v")
        assert not isinstance(caught.value, OutcomeUnknown)

    def test_a_server_without_logged_models_has_the_older_layout(
        self, fault_proxy: FaultProxy, bundle: Path, tmp_path: Path
    ) -> None:
        run = log_bundle(fault_proxy.upstream, None)
        client_of(fault_proxy.upstream).log_artifacts(run, str(bundle), "model")
        fault_proxy.fail(Fault.ABSENT, path="logged-models/search")
        tracking = MlflowTracking(fault_proxy.url)
        tracking.download(run, tmp_path / "candidate")
        assert tracking.find_model(run).source == f"runs:/{run}/model"
        assert read_manifest(tmp_path / "candidate") == read_manifest(bundle)
        fault_proxy.clear()
        fault_proxy.fail(Fault.ABSENT)
        with pytest.raises(StoreFailure, match="there is no MLflow API at this address"):
            tracking.find_model(run)

    def test_nothing_listens(self) -> None:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="nothing listens"):
            MlflowTracking(f"http://127.0.0.1:{free_port()}").read_tag(ABSENT, "k")
        assert time.monotonic() - started < BUSY_SECONDS

    def test_a_reply_that_is_no_mlflow(self, fault_proxy: FaultProxy) -> None:
        fault_proxy.fail(Fault.REWRITE, rewrite=lambda _: b"<html>a login page</html>")
        with pytest.raises(OutcomeUnknown, match="failed to read"):
            MlflowTracking(fault_proxy.url).read_tag(log_bundle(fault_proxy.upstream, None), "k")

    def test_a_truncated_file_is_found(
        self, fault_proxy: FaultProxy, logged_run: tuple[str, str], tmp_path: Path
    ) -> None:
        fault_proxy.fail(Fault.REWRITE, path="/data/model.json", rewrite=lambda body: body[:3])
        with pytest.raises(IntegrityFailure, match=r"data/model.json arrived with 3 bytes where the server lists"):
            MlflowTracking(fault_proxy.url).download(logged_run[0], tmp_path / "candidate")
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_vanishes_while_downloading(
        self, fault_proxy: FaultProxy, logged_run: tuple[str, str], tmp_path: Path
    ) -> None:
        # The adapter lists first; the listing that MLflow's own download makes afterwards is emptied.
        tracking = MlflowTracking(fault_proxy.url)
        tracking.find_model(logged_run[0])
        listings = len(fault_proxy.requests("mlflow-artifacts/artifacts?path", "GET"))
        fault_proxy.fail(Fault.REWRITE, path="artifacts?path", skip=listings, rewrite=lambda _: b'{"files": []}')
        with pytest.raises(IntegrityFailure, match="files did not arrive"):
            tracking.download(logged_run[0], tmp_path / "candidate")

    @pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil", ".."])
    def test_hostile_names(
        self, fault_proxy: FaultProxy, logged_run: tuple[str, str], tmp_path: Path, name: str
    ) -> None:
        listing = f'{{"files": [{{"path": "{name}", "is_dir": false, "file_size": 1}}]}}'.encode()
        fault_proxy.fail(Fault.REWRITE, path="artifacts?path", rewrite=lambda _: listing)
        with pytest.raises((IntegrityFailure, StoreFailure), match="refused"):
            MlflowTracking(fault_proxy.url).download(logged_run[0], tmp_path / "candidate")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("size", [-1, 2**53, 10**30])
    def test_hostile_sizes(self, fault_proxy: FaultProxy, logged_run: tuple[str, str], size: int) -> None:
        listing = f'{{"files": [{{"path": "MLmodel", "is_dir": false, "file_size": {size}}}]}}'.encode()
        fault_proxy.fail(Fault.REWRITE, path="artifacts?path", rewrite=lambda _: listing)
        with pytest.raises((IntegrityFailure, StoreFailure), match=r"refused|failed to"):
            MlflowTracking(fault_proxy.url).find_model(logged_run[0])

    def test_a_download_that_breaks_leaves_nothing(
        self, fault_proxy: FaultProxy, logged_run: tuple[str, str], tmp_path: Path
    ) -> None:
        fault_proxy.fail(Fault.DROP_AFTER, path="/data/model.json")
        with pytest.raises(OutcomeUnknown, match="failed to download"):
            MlflowTracking(fault_proxy.url).download(logged_run[0], tmp_path / "candidate")
        assert list(tmp_path.iterdir()) == []


class TestSecrets:
    @pytest.mark.parametrize(
        "fault", [None, Fault.ERROR_BEFORE, Fault.DROP_BEFORE, Fault.HANG_BEFORE, Fault.UNAUTHORIZED, Fault.REWRITE]
    )
    @pytest.mark.parametrize("account", ["user:s3cret", "s3cret", "user:s3cret%40x", "user:p%2Fs3cret"])
    def test_never_in_a_message(self, fault_proxy: FaultProxy, fault: Fault | None, account: str) -> None:
        os.environ["MLFLOW_TRACKING_TOKEN"] = "tok-s3cret-en"
        if fault is None:
            uri = f"http://{account}@127.0.0.1:{free_port()}/?token=s3cret"
        else:
            uri = fault_proxy.url.replace("http://", f"http://{account}@")
            fault_proxy.fail(fault, rewrite=lambda _: b"no JSON: s3cret http://user:s3cret@host tok-s3cret-en")
        tracking = MlflowTracking(uri, timeout=1)
        assert "s3cret" not in tracking.location
        for call in (lambda: tracking.read_tag(ABSENT, "k"), lambda: tracking.find_model(ABSENT)):
            with pytest.raises(StoreFailure) as caught:
                call()
            assert "s3cret" not in str(caught.value).replace("no JSON: s3cret", "")

    def test_a_database_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StoreFailure, match="no such MLflow database"):
            MlflowTracking(f"sqlite:///{tmp_path}/none.db")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.slow
    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "x.db").write_bytes(b"not a database" * 100)
        with pytest.raises(StoreFailure, match="failed to open it"):
            MlflowTracking(f"sqlite:///{tmp_path}/x.db")


def test_a_users_tighter_bounds_stay() -> None:
    os.environ.update({"MLFLOW_HTTP_REQUEST_TIMEOUT": "3", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"})
    MlflowTracking(f"http://127.0.0.1:{free_port()}")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "500"
    MlflowTracking(f"http://127.0.0.1:{free_port()}")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"


def test_nothing_is_printed(
    mlflow_server: MlflowServer, logged_run: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    MlflowTracking(mlflow_server.url).download(logged_run[0], tmp_path / "candidate")
    assert capfd.readouterr() == ("", "")
