"""A reverse HTTP proxy on loopback that fails as told: what stands between a client and a real server in tests.

- Rules are tried in the order they were added; the first that matches decides, and one that has been used up
  matches no more. No rule: the request passes.
- Every request is in `FaultProxy.journal`, with what was done to it and whether the server behind saw it.
- A fault that happens *after* forwarding has let the real server apply the request, and finish it, first.
- `FaultProxy.stop` ends every hanging request at once.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

_NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


class Fault(Enum):
    """What may be done to a request instead of passing it."""

    ERROR_BEFORE = "500 without forwarding"
    ERROR_AFTER = "forward, then answer 500"
    DROP_BEFORE = "close the connection without forwarding"
    DROP_AFTER = "forward, then close the connection without a reply"
    HANG_BEFORE = "wait, then close without forwarding"
    HANG_AFTER = "forward, wait, then close without a reply"
    LATE = "wait, then forward: applied after the client has given up"
    UNAUTHORIZED = "401 without forwarding"
    FORBIDDEN = "403 without forwarding"
    ABSENT = "404 without forwarding, as a server that lacks the endpoint"
    REWRITE = "forward, and answer with a changed body under the server's own status"


_HANGS = {Fault.HANG_BEFORE, Fault.HANG_AFTER, Fault.LATE}
_NEVER_FORWARDED = {
    Fault.ERROR_BEFORE,
    Fault.DROP_BEFORE,
    Fault.HANG_BEFORE,
    Fault.UNAUTHORIZED,
    Fault.FORBIDDEN,
    Fault.ABSENT,
}
_ANSWERS = {
    Fault.ERROR_BEFORE: (500, b"the proxy fails before forwarding"),
    Fault.ERROR_AFTER: (500, b"the proxy fails after forwarding"),
    Fault.UNAUTHORIZED: (401, b"You are not authenticated."),
    Fault.FORBIDDEN: (403, b"Permission denied"),
    Fault.ABSENT: (404, b"<!doctype html>\n<title>404 Not Found</title>\n"),
}


@dataclass
class Rule:
    """A fault for requests whose method is ``method`` (any when empty) and whose path contains ``path``."""

    fault: Fault
    path: str = ""
    method: str = ""
    skip: int = 0
    times: int | None = None
    seconds: float = 0.0
    rewrite: Callable[[bytes], bytes] = bytes
    seen: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Hang for ``seconds``, until a test sets ``released``, or until the proxy stops."""
        self.released.wait(self.seconds)

    def takes(self, method: str, path: str) -> bool:
        """Whether this request is one of those the rule is for; counts it."""
        if self.path not in path or self.method not in ("", method):
            return False
        self.seen += 1
        return self.skip < self.seen and (self.times is None or self.seen <= self.skip + self.times)


@dataclass(frozen=True)
class Entry:
    """One request as the proxy saw it; ``upstream`` is the real server's status, `None` when it saw nothing."""

    method: str
    path: str
    body: bytes
    fault: Fault | None
    upstream: int | None


@dataclass
class FaultProxy:
    """A running proxy in front of ``upstream`` (``http://host:port``); use as a context manager.

    ``keep_host`` passes the client's `Host` on: an S3 request is signed over it. ``withheld`` are the request
    headers, in lower case, that the server behind never sees.
    """

    upstream: str
    keep_host: bool = False
    withheld: frozenset[str] = frozenset()
    journal: list[Entry] = field(default_factory=list)
    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _added: list[Rule] = field(default_factory=list)  # a request may still hang by a rule that was cleared
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where clients reach the proxy."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(
        self,
        fault: Fault,
        *,
        path: str = "",
        method: str = "",
        skip: int = 0,
        times: int | None = None,
        seconds: float = 60.0,
        rewrite: Callable[[bytes], bytes] = bytes,
    ) -> Rule:
        """Add a rule: let ``skip`` matching requests pass, then fail ``times`` of them (`None`: all)."""
        rule = Rule(fault, path, method, skip, times, seconds, rewrite)
        self.add(rule)
        return rule

    def add(self, rule: Rule) -> None:
        """Add a rule of one's own kind."""
        with self._lock:
            self._rules.append(rule)
            self._added.append(rule)

    def clear(self) -> None:
        """Forget all rules; the journal stays."""
        with self._lock:
            self._rules.clear()

    def requests(self, path: str = "", method: str = "") -> list[Entry]:
        """The journal's entries whose path contains ``path`` and whose method is ``method`` (any when empty)."""
        with self._lock:
            return [e for e in self.journal if path in e.path and method in ("", e.method)]

    def start(self) -> FaultProxy:
        """Listen on a free loopback port."""
        handler = type("BoundHandler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening; from here on connections are refused."""
        for rule in self._added:
            rule.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _choose(self, method: str, path: str) -> Rule | None:
        with self._lock:
            return next((rule for rule in self._rules if rule.takes(method, path)), None)

    def _record(self, entry: Entry) -> None:
        with self._lock:
            self.journal.append(entry)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about, not an error of the proxy."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """The journal is the log."""

    def _handle(self) -> None:
        body = self._read_body()
        rule = self.proxy._choose(self.command, self.path)
        fault = rule.fault if rule else None
        if rule and fault in {Fault.HANG_BEFORE, Fault.LATE}:
            rule.wait()
        answer = None if fault in _NEVER_FORWARDED else self._forward(body)
        status = answer[0] if answer else None
        self.proxy._record(Entry(self.command, self.path, body, fault, status))
        if rule and fault is Fault.HANG_AFTER:
            rule.wait()
        if fault in _HANGS or fault in {Fault.DROP_BEFORE, Fault.DROP_AFTER}:
            self._drop()
        elif fault in _ANSWERS:
            code, text = _ANSWERS[fault]
            self.close_connection = True
            self._answer(code, [("Content-Type", "text/plain"), ("Connection", "close")], text)
        elif answer:
            code, headers, content = answer
            self._answer(code, headers, rule.rewrite(content) if rule else content)
        else:
            self.close_connection = True
            self._answer(502, [("Connection", "close")], b"nothing listens behind the proxy")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base class names them so

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        address = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            withheld = _NOT_FORWARDED | self.proxy.withheld
            headers = {key: value for key, value in self.headers.items() if key.lower() not in withheld}
            if self.proxy.keep_host:
                headers["Host"] = self.headers["Host"]
            connection.request(self.command, self.path, body or None, headers | {"Content-Length": str(len(body))})
            reply = connection.getresponse()
            kept = [(key, value) for key, value in reply.getheaders() if key.lower() not in _NOT_FORWARDED]
            return reply.status, kept, reply.read()
        except OSError:
            return None
        finally:
            connection.close()

    def _answer(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(code)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
