"""The fixtures themselves: a proxy that did not fail as told would make every promotion test meaningless."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.fault_proxy import Fault, FaultProxy
from tests.servers import MlflowServer, log_bundle, wait_until


class Counting(BaseHTTPRequestHandler):
    applied: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.applied.append(body.decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def upstream() -> Iterator[tuple[FaultProxy, list[str]]]:
    applied: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Counting,), {"applied": applied}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    with FaultProxy(f"http://127.0.0.1:{server.server_address[1]}") as proxy:
        yield proxy, applied
    server.shutdown()
    server.server_close()


def post(url: str, body: bytes = b"x", timeout: float = 60) -> int | str:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=timeout) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (RemoteDisconnected, ConnectionError):
        return "dropped"
    except TimeoutError:
        return "timed out"
    except urllib.error.URLError:
        return "refused"


@pytest.mark.parametrize(
    ("fault", "seen", "applies"),
    [
        (Fault.ERROR_BEFORE, 500, False),
        (Fault.ERROR_AFTER, 500, True),
        (Fault.DROP_BEFORE, "dropped", False),
        (Fault.DROP_AFTER, "dropped", True),
        (Fault.HANG_BEFORE, "timed out", False),
        (Fault.HANG_AFTER, "timed out", True),
        (Fault.UNAUTHORIZED, 401, False),
        (Fault.FORBIDDEN, 403, False),
        (Fault.REWRITE, 200, True),
    ],
)
@pytest.mark.slow
def test_fault(upstream: tuple[FaultProxy, list[str]], fault: Fault, seen: int | str, applies: bool) -> None:
    proxy, applied = upstream
    proxy.fail(fault, path="/set-tag", times=1)
    assert post(f"{proxy.url}/other") == 200
    assert post(f"{proxy.url}/set-tag", b"tag", timeout=0.5 if seen == "timed out" else 60) == seen
    assert applied == ["x", "tag"] if applies else ["x"]
    assert post(f"{proxy.url}/set-tag") == 200


@pytest.mark.slow
def test_late_is_applied_after_the_client_gave_up(upstream: tuple[FaultProxy, list[str]]) -> None:
    proxy, applied = upstream
    rule = proxy.fail(Fault.LATE)
    assert post(proxy.url, timeout=0.2) == "timed out"
    assert applied == []
    rule.released.set()
    wait_until(lambda: applied == ["x"])


def test_skip_times_and_journal(upstream: tuple[FaultProxy, list[str]]) -> None:
    proxy, applied = upstream
    proxy.fail(Fault.ERROR_BEFORE, skip=1, times=2, method="POST")
    assert [post(proxy.url) for _ in range(4)] == [200, 500, 500, 200]
    assert [(e.fault, e.upstream) for e in proxy.journal] == [
        (None, 200),
        (Fault.ERROR_BEFORE, None),
        (Fault.ERROR_BEFORE, None),
        (None, 200),
    ]
    assert len(applied) == 2


@pytest.mark.slow
def test_stopped_proxy_refuses_and_lets_nobody_hang(upstream: tuple[FaultProxy, list[str]]) -> None:
    proxy, _ = upstream
    proxy.fail(Fault.HANG_BEFORE, seconds=600)
    url = proxy.url
    stopper = threading.Timer(0.3, proxy.stop)
    stopper.start()
    assert post(url, timeout=120) == "dropped"
    stopper.join()
    assert post(url) == "refused"


def test_the_server_is_real_and_reached_through_the_proxy(
    mlflow_server: MlflowServer, fault_proxy: FaultProxy, fresh_run: tuple[str, str]
) -> None:
    run_id, sha = fresh_run
    with urllib.request.urlopen(f"{fault_proxy.url}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=10) as reply:
        assert json.load(reply)["run"]["info"]["status"] == "FINISHED"
    assert len(sha) == 64
    assert fault_proxy.requests("/runs/get")[0].upstream == 200
    running = log_bundle(mlflow_server.url, None, status=None)
    assert running != run_id
