"""The S3 store when something is wrong: whose fault it is, what to do, in bounded time, and nothing written twice."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    IncompleteReadError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from lynxgate.adapters.s3 import READ_ATTEMPTS, S3Store, event_key, parse_address
from lynxgate.adapters.s3_errors import translated
from lynxgate.errors import Conflict, Exit, GateError, OutcomeUnknown, StoreFailure, UsageFailure
from lynxgate.ports import Stored
from lynxgate.registry.compare_and_swap import put
from tests.fault_proxy import Fault, FaultProxy
from tests.s3_servers import BUCKET, READER, WRITER, S3Server
from tests.servers import wait_until

KEY = "journal/v0.1.0.json"
BUSY_SECONDS = 30  # half of boto3's own limit, and more than a busy machine adds to ours
WRITES: list[Callable[[S3Store], object]] = [
    lambda store: store.create(KEY, b"1"),
    lambda store: store.replace(KEY, b"1", '"00000000000000000000000000000000"'),
    lambda store: store.append(1, b"{}"),
]
READS: list[Callable[[S3Store], object]] = [
    lambda store: store.read(KEY),
    lambda store: store.keys(""),
    lambda store: store.last(),
    lambda store: store.event(1),
    lambda store: list(store.lines()),
    lambda store: store.now(),
]


@pytest.fixture
def proxy(seaweedfs: S3Server, s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy in front of SeaweedFS, which boto3 now takes for the server."""
    assert s3_registry  # whose environment is the one that is changed here
    with FaultProxy(seaweedfs.url, keep_host=True) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


def failing(call: Callable[[S3Store], object], store: S3Store) -> StoreFailure:
    with pytest.raises(StoreFailure) as caught:
        call(store)
    assert caught.value.exit is Exit.UNAVAILABLE
    for secret in (WRITER[1], READER[1], "hunter2"):
        assert secret not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("address", "bucket", "prefix"),
    [
        ("s3://models", "models", ""),
        ("s3://models/", "models", ""),
        ("s3://my.models-1/team/registry/", "my.models-1", "team/registry"),
    ],
)
def test_an_address_is_a_bucket_and_a_prefix(address: str, bucket: str, prefix: str) -> None:
    assert parse_address(address) == (bucket, prefix)


@pytest.mark.parametrize(
    "address",
    [
        "models/registry",
        "s3:/models",
        "s3://",
        "s3:///x",
        "s3://m",
        "s3://a//b",
        "s3://abc/../x",
        "s3://abc/x?y",
        "s3://abc/x#y",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageFailure, match="s3://bucket/prefix"):
        S3Store(address)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageFailure) as caught:
        S3Store("s3://key:hunter2@models/registry")
    assert "hunter2" not in str(caught.value)
    assert "AWS_PROFILE" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [READS[0], READS[1], READS[3], READS[4], WRITES[0], WRITES[2]],
    ids=["read", "keys", "event", "lines", "create", "append"],
)
def test_a_missing_bucket_is_said_so(s3_registry: str, call: Callable[[S3Store], object]) -> None:
    failure = failing(call, S3Store(s3_registry.replace(BUCKET, "no-such-bucket")))
    assert not isinstance(failure, OutcomeUnknown)
    assert "no such bucket" in str(failure)
    assert "s3://no-such-bucket/" in str(failure)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("nobody", "hunter2"), "does not know the access key"),
        ((WRITER[0], "hunter2"), "secret key is not the access key's"),
    ],
    ids=["unknown key", "wrong secret"],
)
def test_wrong_credentials_are_said_so(
    seaweedfs: S3Server, s3_registry: str, monkeypatch: pytest.MonkeyPatch, key: tuple[str, str], words: str
) -> None:
    for name, value in seaweedfs.environment(key=key).items():
        monkeypatch.setenv(name, value)
    store = S3Store(s3_registry)
    for call in (READS[0], READS[1], WRITES[0]):
        failure = failing(call, store)
        assert words in str(failure)
        assert not isinstance(failure, OutcomeUnknown)
    assert "AWS_PROFILE" in str(failing(READS[-1], store))


def test_credentials_that_may_only_read(seaweedfs: S3Server, s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = S3Store(s3_registry).create(KEY, b"1")
    for name, value in seaweedfs.environment(key=READER).items():
        monkeypatch.setenv(name, value)
    store = S3Store(s3_registry)
    assert store.read(KEY) == Stored(b"1", version)
    for call in (WRITES[0], WRITES[2], S3Store.check_conditional_writes):
        failure = failing(call, store)
        assert "access denied" in str(failure)
        assert "s3:PutObject" in str(failure)
        assert not isinstance(failure, OutcomeUnknown)


def test_no_credentials_are_said_so(s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for call in (READS[0], WRITES[0]):
        failure = failing(call, S3Store(s3_registry))
        assert "no credentials" in str(failure)
        assert not isinstance(failure, OutcomeUnknown)


def test_endpoint_and_credentials_may_come_from_a_profile(
    seaweedfs: S3Server, s3_registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[profile ci]\nregion = eu-west-1\nendpoint_url = {seaweedfs.url}\n")
    (tmp_path / "credentials").write_text(
        f"[ci]\naws_access_key_id = {WRITER[0]}\naws_secret_access_key = {WRITER[1]}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "ci")
    store = S3Store(s3_registry)
    assert store.read(KEY) is None
    assert store.create(KEY, b"1")
    monkeypatch.setenv("AWS_PROFILE", "typo")
    with pytest.raises(StoreFailure, match="no such profile"):
        S3Store(s3_registry)


def test_a_password_in_the_endpoint_is_not_repeated(s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:1")
    with contextlib.suppress(StoreFailure):
        failing(WRITES[0], S3Store(s3_registry))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "user:hunter2 at server")
    with pytest.raises(UsageFailure) as caught:
        S3Store(s3_registry)
    assert "AWS_ENDPOINT_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_where_nothing_listens(s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store = S3Store(s3_registry)
        for call in (READS[0], WRITES[0]):
            started = time.monotonic()
            failure = failing(call, store)
            assert time.monotonic() - started < BUSY_SECONDS
            assert not isinstance(failure, OutcomeUnknown)
            assert "no connection" in str(failure)
            assert f"127.0.0.1:{port}" in str(failure)
            assert "AWS_ENDPOINT_URL" in str(failure)


def test_a_server_that_never_answers_is_given_up_in_time(s3_registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store = S3Store(s3_registry, connect_seconds=0.5, read_seconds=0.5)
        for call, attempts, kind in ((READS[0], READ_ATTEMPTS, StoreFailure), (WRITES[0], 1, OutcomeUnknown)):
            started = time.monotonic()
            failure = failing(call, store)
            took = time.monotonic() - started
            assert 0.5 * attempts <= took < BUSY_SECONDS
            assert type(failure) is kind
            assert "no answer in time" in str(failure)


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_not_s3(s3_registry: str, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>It works!")

        do_PUT = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    store = S3Store(s3_registry)
    for call in (READS[0], WRITES[0]):
        assert "S3" in str(failing(call, store))
        assert "AWS_ENDPOINT_URL" in str(failing(call, store))
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        (Fault.DROP_BEFORE, False),
        (Fault.ERROR_BEFORE, False),
        (Fault.HANG_BEFORE, False),
        (Fault.DROP_AFTER, True),
        (Fault.ERROR_AFTER, True),
        (Fault.HANG_AFTER, True),
    ],
)
def test_a_write_whose_reply_is_lost_is_sent_once_and_left_open(
    proxy: FaultProxy, s3_registry: str, fault: Fault, applied: bool
) -> None:
    store = S3Store(s3_registry, read_seconds=2)
    first = store.create("tags.json", b"0")
    proxy.fail(fault, method="PUT")
    with pytest.raises(OutcomeUnknown):
        store.create(KEY, b"1")
    with pytest.raises(OutcomeUnknown):
        store.replace("tags.json", b"1", first)
    with pytest.raises(OutcomeUnknown):
        store.append(1, b"{}")
    proxy.clear()
    assert (store.read(KEY) is not None) is applied
    assert (store.read("tags.json") != Stored(b"0", first)) is applied
    assert (store.event(1) is not None) is applied
    proxy.stop()  # those that hang end now, and are counted
    assert len([entry for entry in proxy.requests(method="PUT") if entry.fault]) == 3


@pytest.mark.parametrize(
    "fault",
    [Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.HANG_BEFORE, Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.HANG_AFTER],
)
def test_put_finds_out_what_became_of_a_write(proxy: FaultProxy, s3_registry: str, fault: Fault) -> None:
    store = S3Store(s3_registry, read_seconds=2)
    proxy.fail(fault, path="journal/", method="PUT", times=1)
    first = put(store, KEY, b"1", None)
    assert store.read(KEY) == Stored(b"1", first)
    proxy.fail(fault, path="journal/", method="PUT", times=1)
    second = put(store, KEY, b"2", first)
    assert store.read(KEY) == Stored(b"2", second)
    applied = [entry for entry in proxy.requests("journal/", "PUT") if entry.upstream == 200]
    assert [entry.body.find(b"1") >= 0 for entry in applied] == [True, False], "each value was written once"


def test_put_leaves_open_what_it_cannot_find_out(proxy: FaultProxy, s3_registry: str) -> None:
    store = S3Store(s3_registry)
    proxy.fail(Fault.DROP_AFTER, method="PUT", times=1)
    proxy.fail(Fault.ERROR_BEFORE, method="GET", times=READ_ATTEMPTS)
    with pytest.raises(OutcomeUnknown, match="could not be written"):
        put(store, KEY, b"1", None)
    assert store.read(KEY) is not None


def test_a_write_that_arrives_late_changes_nothing_that_was_changed_since(proxy: FaultProxy, s3_registry: str) -> None:
    store = S3Store(s3_registry, read_seconds=2)
    first = store.create("tags.json", b"0")
    rule = proxy.fail(Fault.LATE, method="PUT", times=1)
    with pytest.raises(OutcomeUnknown):
        store.replace("tags.json", b"late", first)
    second = store.replace("tags.json", b"next", first)
    rule.released.set()
    wait_until(lambda: any(entry.fault for entry in proxy.requests(method="PUT")))
    assert [entry.upstream for entry in proxy.requests(method="PUT") if entry.fault] == [412]
    assert store.read("tags.json") == Stored(b"next", second)


def test_a_read_is_tried_again(proxy: FaultProxy, s3_registry: str) -> None:
    store = S3Store(s3_registry)
    version = store.create(KEY, b"1")
    for fault in (Fault.DROP_BEFORE, Fault.ERROR_BEFORE):
        proxy.fail(fault, method="GET", times=READ_ATTEMPTS - 1)
        assert store.read(KEY) == Stored(b"1", version)
    proxy.fail(Fault.ERROR_BEFORE, method="GET", times=READ_ATTEMPTS)
    assert "the server failed" in str(failing(READS[0], store))


def test_the_end_of_a_long_index_costs_few_requests(proxy: FaultProxy, seaweedfs: S3Server, s3_registry: str) -> None:
    client = seaweedfs.client()
    prefix = parse_address(s3_registry)[1]
    for number in range(1, 301):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{event_key(number)}", Body=b"%d" % number)
    client.close()
    store = S3Store(s3_registry)
    for hint, most in ((300, 2), (299, 4), (290, 9), (0, 19)):
        before = len(proxy.requests())
        assert store.last(hint) == (300, b"300")
        assert len(proxy.requests()) - before <= most, f"from {hint}"
    assert not proxy.requests("list-type"), "nothing was listed"
    before = len(proxy.requests())
    store.append(301, b"301")
    assert len(proxy.requests()) - before == 2


def test_conditional_writes_are_proved(seaweedfs: S3Server, s3_registry: str) -> None:
    S3Store(s3_registry).check_conditional_writes()
    client = seaweedfs.client()
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=parse_address(s3_registry)[1])["KeyCount"] == 0
    client.close()


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_server_that_ignores_a_condition_is_refused(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    # moto does not check signatures, so a header can be taken away from it.
    address = moto.new_registry()
    with FaultProxy(moto.url, keep_host=True, withheld=frozenset({header.lower()})) as deaf:
        for name, value in moto.environment(url=deaf.url).items():
            monkeypatch.setenv(name, value)
        store = S3Store(address)
        failure = failing(S3Store.check_conditional_writes, store)
        assert f"ignores {header}" in str(failure)
        assert list(store.keys("")) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    S3Store(address).check_conditional_writes()


@pytest.mark.parametrize(
    ("status", "code", "write", "read"),
    [
        (409, "ConditionalRequestConflict", Conflict, StoreFailure),
        (412, "PreconditionFailed", Conflict, StoreFailure),
        (404, "NoSuchBucket", StoreFailure, StoreFailure),
        (409, "BucketAlreadyExists", StoreFailure, StoreFailure),
        (400, "RequestTimeout", OutcomeUnknown, StoreFailure),
        (503, "SlowDown", OutcomeUnknown, StoreFailure),
        (500, "InternalError", OutcomeUnknown, StoreFailure),
        (501, "NotImplemented", StoreFailure, StoreFailure),
        (301, "PermanentRedirect", StoreFailure, StoreFailure),
        (403, "RequestTimeTooSkewed", StoreFailure, StoreFailure),
        (0, "", OutcomeUnknown, StoreFailure),
        (403, "hunter2 is the secret", StoreFailure, StoreFailure),
    ],
)
def test_what_a_reply_means(status: int, code: str, write: type[GateError], read: type[GateError]) -> None:
    metadata = {"HTTPStatusCode": status, "RequestId": "", "HostId": "", "HTTPHeaders": {}, "RetryAttempts": 0}
    answer: Any = {"Error": {"Code": code, "Message": "hunter2"}, "ResponseMetadata": metadata}
    reply = ClientError(answer, "PutObject")
    for writes, kind in ((True, write), (False, read)):
        with pytest.raises(GateError) as caught, translated("s3://b/p: k", "written", writes=writes):
            raise reply
        assert type(caught.value) is kind
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is reply


@pytest.mark.parametrize(
    ("error", "write", "words"),
    [
        (ConnectionClosedError(endpoint_url="http://u:hunter2@h"), OutcomeUnknown, "try again"),
        (SSLError(endpoint_url="http://u:hunter2@h", error=ValueError("hunter2")), OutcomeUnknown, "AWS_CA_BUNDLE"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), OutcomeUnknown, "IncompleteReadError"),
        (ResponseParserError("hunter2"), OutcomeUnknown, "not S3's"),
        (ConnectTimeoutError(endpoint_url="http://u:hunter2@h"), StoreFailure, "no answer in time"),
        (ProxyConnectionError(proxy_url="http://u:hunter2@h"), StoreFailure, "no connection"),
        (CredentialRetrievalError(provider="p", error_msg="hunter2"), StoreFailure, "no credentials"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_it_means_that_no_reply_came(
    error: BotoCoreError | ResponseParserError, write: type[GateError], words: str
) -> None:
    for writes, kind in ((True, write), (False, StoreFailure)):
        with pytest.raises(GateError, match=words) as caught, translated("s3://b/p: k", "written", writes=writes):
            raise error
        assert type(caught.value) is kind
        assert "hunter2" not in str(caught.value)
