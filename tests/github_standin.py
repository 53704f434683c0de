"""A GitHub on loopback: the REST calls that Lynxgate makes, with state, pages, tokens, faults and a journal.

- Every exchange is held against GitHub's own OpenAPI document; `GithubStandIn.violations` lists what broke it.
- A token may do what its ``permissions`` say, in the words of a workflow's ``permissions:``; the repository is
  private, so that nothing can be read without one.
- Whoever may write may edit anybody's comment, as on GitHub: that only ours are touched is the client's affair.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from lynxgate.pull_request.forge import blob_sha
from tests import github_objects as objects
from tests.github_contract import Answered, Asked, find_violation

BOT = "github-actions[bot]"
_READ, _WRITE = "read", "write"
_TALK = ("issues", "pull-requests")
_PULLS = ("pull-requests",)
_CHECKS = ("checks",)
_CONTENTS = ("contents",)
_NOBODY_NEEDS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """Whose token it is, and what its job's ``permissions`` give it."""

    login: str = BOT
    permissions: Mapping[str, str] = field(default_factory=dict)

    def may(self, scopes: tuple[str, ...], level: str) -> bool:
        """Whether one of ``scopes`` is given at ``level``."""
        given = {self.permissions.get(scope) for scope in scopes}
        return not scopes or _WRITE in given or (level == _READ and _READ in given)


@dataclass(frozen=True)
class Call:
    """One request as it came, and the status it got; the token by its owner, never itself."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    login: str | None
    status: int


@dataclass
class Fault:
    """Answers to requests that match, before anything happens; ``after`` lets them happen first."""

    method: str
    pattern: str
    status: int
    times: int
    after: bool


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GithubStandIn:
    """One private repository on a GitHub of its own; a context manager that serves on loopback."""

    def __init__(self, repository: str = "lynx/grammar", *, largest_page: int = 100) -> None:
        self.repository = repository
        self.largest_page = largest_page
        self.tokens: dict[str, Token] = {}
        self.roles: dict[str, str] = {}
        self.pulls: dict[int, objects.Json] = {}
        self.changed: dict[int, list[objects.Json]] = {}
        self.comments: dict[int, list[objects.Json]] = {}
        self.events: dict[int, list[objects.Json]] = {}
        self.checks: dict[int, objects.Json] = {}
        self.annotations: dict[int, list[objects.Json]] = {}
        self.branches: dict[str, str] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.journal: list[Call] = []
        self.violations: list[str] = []
        self._faults: list[Fault] = []
        self._ids = iter(range(1, 1_000_000))
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """What GITHUB_API_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_pull(self, number: int, head: str, *files: str, renamed: Mapping[str, str] | None = None) -> None:
        """Open a pull request that changes ``files``, and renames from old to new name."""
        self.changed[number] = [objects.changed_file(name) for name in files]
        self.changed[number] += [objects.changed_file(new, old) for old, new in (renamed or {}).items()]
        count = len(self.changed[number])
        self.pulls[number] = objects.pull(self.url, self.repository, number, head, files=count)
        self.comments.setdefault(number, [])
        self.events.setdefault(number, [])

    def add_branch(self, name: str, sha: str, **files: bytes) -> None:
        """A branch with ``files`` at the top of the repository."""
        self.branches[name] = sha
        self.files |= {(name, path): data for path, data in files.items()}

    def add_comment(self, number: int, author: str, body: str, at: datetime, edited: datetime | None = None) -> int:
        """Somebody comments; the comment's id."""
        with self._lock:
            key = next(self._ids)
            made = objects.comment(self.url, self.repository, number, key, author=author, body=body, at=at)
            made["updated_at"] = objects.stamp(edited or at)
            self.comments[number].append(made)
            return key

    def add_label(self, number: int, label: str, actor: str, at: datetime, *, added: bool = True) -> None:
        """Somebody sets a label, or takes it off."""
        kind = "labeled" if added else "unlabeled"
        made = objects.issue_event(self.url, self.repository, next(self._ids), kind, actor=actor, at=at, label=label)
        self.events[number].append(made)

    def fail(self, method: str, pattern: str, status: int, *, times: int = 1_000_000, after: bool = False) -> None:
        """Answer requests whose path contains a match of ``pattern`` with ``status``; 0 closes the connection."""
        self._faults.append(Fault(method, pattern, status, times, after))

    def bodies(self, number: int, author: str = BOT) -> list[str]:
        """The texts of somebody's comments."""
        return [each["body"] for each in self.comments[number] if each["user"]["login"] == author]

    def calls(self, method: str, pattern: str = "") -> list[Call]:
        """The calls of this method whose path contains a match of ``pattern``."""
        return [call for call in self.journal if call.method == method and re.search(pattern, call.path)]

    def answer(
        self, method: str, target: str, raw: bytes, authorization: str
    ) -> tuple[int, objects.Json | list[Any] | None, dict[str, str]]:
        """Serve one request: status (0: hang up), body, headers."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        token = self.tokens.get(re.sub(r"(?i)^(token|bearer) ", "", authorization))
        headers: dict[str, str] = {}
        body = json.loads(raw) if raw else None
        with self._lock:
            fault = self._find_fault(method, parts.path)
            status, result = 0, None
            try:
                if fault is None or fault.after:
                    status, result = self._serve(method, parts.path, query, body=body, token=token, headers=headers)
                if fault is not None:
                    status, result = fault.status, {"message": "the stand-in was told to fail"}
            except _Refusal as refusal:
                status = refusal.status
                result = {"message": str(refusal), "documentation_url": "https://docs.github.com/rest"}
            self.journal.append(Call(method, parts.path, query, body, token.login if token else None, status))
            if status:
                self._hold_to_contract(method, parts.path, query, raw=raw, status=status, result=result)
        return status, result, headers

    def _hold_to_contract(
        self, method: str, path: str, query: Mapping[str, str], *, raw: bytes, status: int, result: Any
    ) -> None:
        data = b"" if result is None else json.dumps(result).encode()
        found = find_violation(Asked(method, path, query, raw or None), Answered(status, data))
        if found:
            self.violations.append(found)

    def _find_fault(self, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.method == method and re.search(fault.pattern, path):
                fault.times -= 1
                return fault
        return None

    def _serve(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Any,
        token: Token | None,
        headers: dict[str, str],
    ) -> tuple[int, Any]:
        if method == "GET" and body is None:
            body = query  # what a handler of a GET is given
        if token is None:
            raise _Refusal(401, "Bad credentials")
        if path == "/user":
            if token.login.endswith("[bot]"):
                raise _Refusal(403, "Resource not accessible by integration")
            return 200, objects.user(token.login) | _ABOUT_A_USER
        prefix = f"/repos/{self.repository}"
        for verb, pattern, scopes, level, serve in _ROUTES:
            match = re.fullmatch(pattern, path.removeprefix(prefix)) if path.startswith(prefix) else None
            if match and verb == method:
                if not token.may(scopes, level):
                    raise _Refusal(403, "Resource not accessible by integration")
                status, result = serve(self, [unquote(each) for each in match.groups()], body, token)
                if isinstance(result, list):
                    result = self._page(path, query, result, headers)
                return status, result
        raise _Refusal(404, "Not Found")

    def _page(self, path: str, query: Mapping[str, str], whole: list[Any], headers: dict[str, str]) -> list[Any]:
        size = min(int(query.get("per_page", 30)), self.largest_page)
        page = int(query.get("page", 1))
        if page * size < len(whole):
            headers["Link"] = f'<{self.url}{path}?per_page={size}&page={page + 1}>; rel="next"'
        return whole[(page - 1) * size : page * size]

    def _list_comments(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        return 200, list(self._of(self.comments, key[0]))

    def _create_comment(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        talk = self._of(self.comments, key[0])
        _check_length(body["body"])
        self.add_comment(int(key[0]), token.login, body["body"], datetime.now(UTC))
        return 201, talk[-1]

    def _edit_comment(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        found = self._find_comment(key[0])
        _check_length(body["body"])
        found.update(body=body["body"], updated_at=objects.stamp(datetime.now(UTC)))
        return 200, found

    def _delete_comment(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        found = self._find_comment(key[0])
        for talk in self.comments.values():
            if found in talk:
                talk.remove(found)
        return 204, None

    def _find_comment(self, key: str) -> objects.Json:
        for talk in self.comments.values():
            for each in talk:
                if each["id"] == int(key):
                    return each
        raise _Refusal(404, "Not Found")

    def _list_events(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        return 200, list(self._of(self.events, key[0]))

    def _get_pull(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        return 200, self._of(self.pulls, key[0])

    def _list_pulls(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        owner = self.repository.partition("/")[0]
        wanted = {"state": body.get("state", "open"), "head": body.get("head"), "base": body.get("base")}
        found = []
        for each in self.pulls.values():
            has = {"state": each["state"], "head": f"{owner}:{each['head']['ref']}", "base": each["base"]["ref"]}
            if all(value in (None, has[name]) for name, value in wanted.items()):
                found.append(objects.listed_pull(each))
        return 200, found

    def _create_pull(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        head, base = body["head"], body["base"]
        if base not in self.branches or head not in self.branches:
            raise _Refusal(422, "Validation Failed: head or base is invalid")
        number = max(self.pulls, default=0) + 1
        self.add_pull(number, self.branches[head])
        made = self.pulls[number]
        made |= {"title": body["title"], "body": body["body"], "user": objects.user(token.login)}
        made["html_url"] = f"https://github.com/{self.repository}/pull/{number}"
        made["head"]["ref"], made["base"]["ref"] = head, base
        return 201, made

    def _create_ref(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        name = body["ref"].removeprefix("refs/heads/")
        if name in self.branches:
            raise _Refusal(422, "Reference already exists")
        if body["sha"] not in self.branches.values():
            raise _Refusal(422, "Object does not exist")
        origin = next(branch for branch, sha in self.branches.items() if sha == body["sha"])
        copied = {(name, path): data for (branch, path), data in self.files.items() if branch == origin}
        self.files |= copied
        self.branches[name] = body["sha"]
        return 201, objects.git_ref(self.url, self.repository, body["ref"], body["sha"])

    def _get_file(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        data = self.files.get((body["ref"], key[0]))
        if data is None:
            raise _Refusal(404, "Not Found")
        return 200, objects.content_file(self.url, self.repository, key[0], data)

    def _put_file(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        there = self.files.get((body["branch"], key[0]))
        if there is None:
            raise _Refusal(404, "Not Found")
        if body.get("sha") != blob_sha(there):
            raise _Refusal(409, f"{key[0]} does not match {body.get('sha')}")
        data = base64.b64decode(body["content"], validate=True)
        self.files[body["branch"], key[0]] = data
        self.branches[body["branch"]] = blob_sha(b"commit" + data)
        return 200, objects.file_commit(self.url, self.repository, key[0], data, self.branches[body["branch"]])

    def _list_files(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        return 200, list(self._of(self.changed, key[0]))

    def _get_permission(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        if key[0].endswith("[bot]"):
            raise _Refusal(404, f"{key[0]} is not a user")
        return 200, objects.permission(key[0], self.roles.get(key[0], "read"))

    def _create_check(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        made = next(self._ids)
        self.annotations[made] = _take_annotations(body)
        self.checks[made] = objects.check_run(self.url, self.repository, made, body, len(self.annotations[made]))
        return 201, self.checks[made]

    def _edit_check(self, key: list[str], body: Any, token: Token) -> tuple[int, Any]:
        found = int(key[0])
        before = self._of(self.checks, key[0])
        self.annotations[found] += _take_annotations(body)
        merged = {**before, **body, "output": {**before["output"], **body.get("output", {})}}
        self.checks[found] = objects.check_run(self.url, self.repository, found, merged, len(self.annotations[found]))
        return 200, self.checks[found]

    def _of(self, things: Mapping[int, Any], number: str) -> Any:
        if int(number) not in things:
            raise _Refusal(404, "Not Found")
        return things[int(number)]


_Serve = Callable[[GithubStandIn, list[str], Any, Token], tuple[int, Any]]
_ROUTES: tuple[tuple[str, str, tuple[str, ...], str, _Serve], ...] = (
    ("GET", r"/issues/(\d+)/comments", _TALK, _READ, GithubStandIn._list_comments),
    ("POST", r"/issues/(\d+)/comments", _TALK, _WRITE, GithubStandIn._create_comment),
    ("PATCH", r"/issues/comments/(\d+)", _TALK, _WRITE, GithubStandIn._edit_comment),
    ("DELETE", r"/issues/comments/(\d+)", _TALK, _WRITE, GithubStandIn._delete_comment),
    ("GET", r"/issues/(\d+)/events", _TALK, _READ, GithubStandIn._list_events),
    ("GET", r"/pulls/(\d+)", _PULLS, _READ, GithubStandIn._get_pull),
    ("GET", r"/pulls/(\d+)/files", _PULLS, _READ, GithubStandIn._list_files),
    ("GET", r"/collaborators/([^/]+)/permission", _NOBODY_NEEDS, _READ, GithubStandIn._get_permission),
    ("GET", r"/pulls", _PULLS, _READ, GithubStandIn._list_pulls),
    ("POST", r"/pulls", _PULLS, _WRITE, GithubStandIn._create_pull),
    ("POST", r"/git/refs", _CONTENTS, _WRITE, GithubStandIn._create_ref),
    ("GET", r"/contents/(.+)", _CONTENTS, _READ, GithubStandIn._get_file),
    ("PUT", r"/contents/(.+)", _CONTENTS, _WRITE, GithubStandIn._put_file),
    ("POST", r"/check-runs", _CHECKS, _WRITE, GithubStandIn._create_check),
    ("PATCH", r"/check-runs/(\d+)", _CHECKS, _WRITE, GithubStandIn._edit_check),
)
_ABOUT_A_USER = {
    "user_view_type": "public",
    "name": None,
    "company": None,
    "blog": None,
    "location": None,
    "email": None,
    "hireable": None,
    "bio": None,
    "public_repos": 0,
    "public_gists": 0,
    "followers": 0,
    "following": 0,
    "created_at": "2020-01-01T00:00:00Z",
    "updated_at": "2020-01-01T00:00:00Z",
}


def _check_length(text: str) -> None:
    if len(text) > 65_536:
        raise _Refusal(422, "Validation Failed: body is too long (maximum is 65536 characters)")


def _take_annotations(body: Any) -> list[objects.Json]:
    annotations: list[objects.Json] = body.get("output", {}).get("annotations", [])
    if len(annotations) > 50:
        raise _Refusal(422, "Validation Failed: at most 50 annotations")
    return annotations


def _handler_of(github: GithubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, result, headers = github.answer(
                self.command, self.path, raw, self.headers.get("Authorization") or ""
            )
            if not status:
                self.close_connection = True
                return
            data = b"" if result is None else json.dumps(result).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            pass

    return Handler
