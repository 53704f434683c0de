"""The real MLflow server of the tests: one for all processes of a test session, on loopback.

- Whoever uses the server holds a shared lock on ``users.lock``. A supervisor process stops the server, with its
  whole process group, as soon as nobody holds it: also when a test process was killed.
- The first user starts it, under ``start.lock``; the others find its address in ``server.json``.
- Runs are made through MLflow's own client; the model of the first is logged by `mlflow.pyfunc.log_model`.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from minieval.contract.bundle import read_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient

START_SECONDS = 180
PATIENCE_SECONDS = 120
MODEL_CODE = """\
import json
from pathlib import Path


class Shouting:
    def __init__(self, suffix):
        self.suffix = suffix

    def predict(self, model_input, params=None):
        return [str(text).upper() + self.suffix for text in model_input["prompt"]]


def _load_pyfunc(path):
    return Shouting(json.loads(Path(path).read_text())["suffix"])
"""

T = TypeVar("T")


@dataclass(frozen=True)
class MlflowServer:
    """A running ``mlflow server``; ``root`` holds its database, artefacts, log and what tests share."""

    url: str
    root: Path


def free_port() -> int:
    """A loopback port that nothing listened on a moment ago.

    Below the range from which the system gives ports to outgoing connections, so that none of those takes it first.
    """
    for _ in range(100):
        port = random.randrange(12_000, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port in a hundred tries")


@contextlib.contextmanager
def shared_mlflow_server(root: Path, admin_password: str = "") -> Iterator[MlflowServer]:
    """The session's server, started if this is its first user, stopped after its last.

    With ``admin_password`` it is one with basic auth, whose only account is ``admin``.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        url = once(root, "server", lambda: _start(root, admin_password))
        yield MlflowServer(url, root)


def once(root: Path, name: str, make: Callable[[], T]) -> T:
    """The value ``make`` gave to the first process of the session that asked; it must survive JSON."""
    state = root / f"{name}.json"
    with (root / f"{name}.start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not state.exists():
            state.write_text(json.dumps(make()))
        value: T = json.loads(state.read_text())
        return value


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what must come about on any machine, however busy; fail when it does not."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up, f"not within {PATIENCE_SECONDS} s"
        time.sleep(0.02)


def log_model(tracking_uri: str, folder: Path, suffix: str = "!") -> str:
    """Log a tiny model without pickle through `mlflow.pyfunc.log_model`; the id of its finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shouting.py").write_text(MODEL_CODE)
    (folder / "model.json").write_text(json.dumps({"suffix": suffix}))
    with _quiet(tracking_uri):
        import mlflow

        mlflow.set_experiment("tests")
        with mlflow.start_run() as run:
            mlflow.pyfunc.log_model(
                name="model",
                loader_module="shouting",
                data_path=str(folder / "model.json"),
                code_paths=[str(folder / "shouting.py")],
                pip_requirements=["mlflow"],
            )
        return str(run.info.run_id)


def log_bundle(
    tracking_uri: str, bundle: Path | None, *, status: str | None = "FINISHED", name: str = "model", models: int = 1
) -> str:
    """A new run that holds ``bundle`` as its logged model (none when `None`); quicker than `log_model`.

    ``status`` is the run's ending, `None` leaves it running; ``models`` logs the same bundle that often.
    """
    with _quiet(tracking_uri):
        import mlflow
        from mlflow.entities import LoggedModelOutput

        client = mlflow.MlflowClient(tracking_uri=tracking_uri)
        experiment_id = _experiment(client)
        run_id = str(client.create_run(experiment_id).info.run_id)
        for _ in range(models if bundle else 0):
            model = client.create_logged_model(experiment_id, name=name, source_run_id=run_id)
            client.log_model_artifacts(model.model_id, str(bundle))
            client.finalize_logged_model(model.model_id, "READY")
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        if status:
            client.set_terminated(run_id, status)
        return run_id


def _experiment(client: MlflowClient) -> str:
    """The experiment ``tests``, made once; another worker may make it between the look and the creation."""
    from mlflow.exceptions import RestException

    for _ in range(2):
        if (found := client.get_experiment_by_name("tests")) is not None:
            return str(found.experiment_id)
        with contextlib.suppress(RestException):
            return str(client.create_experiment("tests"))
    raise AssertionError("MLflow neither has an experiment `tests` nor makes one")


def client_of(tracking_uri: str) -> MlflowClient:
    """MLflow's own client: what tests arrange and look with, beside our adapter."""
    with _quiet(tracking_uri):
        import mlflow

        return mlflow.MlflowClient(tracking_uri=tracking_uri)


def shared_run(server: MlflowServer) -> tuple[str, str, Path]:
    """Run id, canonical SHA and bundle of one real model on the server, made once per session."""

    def make() -> tuple[str, str, str]:
        run_id = log_model(server.url, server.root / "source")
        bundle = download_bundle(server.url, run_id, server.root / "bundle")
        return run_id, read_manifest(bundle).canonical_sha, str(bundle)

    run_id, sha, bundle = once(server.root, "run", make)
    return run_id, sha, Path(bundle)


def download_bundle(tracking_uri: str, run_id: str, destination: Path) -> Path:
    """What MLflow's own client downloads for the model of a run: an oracle for our adapter."""
    with _quiet(tracking_uri):
        import mlflow

        destination.mkdir(parents=True)
        found = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="model", dst_path=str(destination))
        return Path(found)


def _start(root: Path, admin_password: str) -> str:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (root / "server.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.servers", str(root), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | ({"MLFLOW_AUTH_ADMIN_PASSWORD": admin_password} if admin_password else {}),
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and supervisor.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            supervisor.returncode = 0  # it outlives this process on purpose; no warning about that
            return url
        time.sleep(0.2)
    raise RuntimeError(f"mlflow server did not start:\n{(root / 'server.log').read_text()[-3000:]}")


def _supervise(root: Path, port: int) -> None:
    """Run the server until nobody holds the users' lock any more."""
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root / 'server.db'}"]
    command += ["--artifacts-destination", str(root / "artifacts"), "--serve-artifacts"]
    if "MLFLOW_AUTH_ADMIN_PASSWORD" in environment:
        settings = root / "auth.ini"
        settings.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{root / 'auth.db'}\n"
            "admin_username = admin\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        environment |= {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the tests"}
        command += ["--app-name", "basic-auth"]
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    with (root / "users.lock").open("a") as users:
        while server.poll() is None and not _lock_now(users):
            time.sleep(0.25)
        (root / "server.json").unlink(missing_ok=True)
        _end(server)


def _lock_now(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    for sign, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
    # The group's other members may outlive its leader by a moment.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


@contextlib.contextmanager
def _quiet(tracking_uri: str) -> Iterator[None]:
    """MLflow's fluent API on ``tracking_uri``; it warns and prints, and pytest turns warnings into errors."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import mlflow

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(tracking_uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]), int(sys.argv[2]))
