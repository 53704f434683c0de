from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from lynxgate.adapters.github import GithubForge
from lynxgate.errors import OutcomeUnknown, StoreFailure
from lynxgate.pull_request.forge import Annotation, ChangedFile, Check, Conclusion, LabelEvent, Level, Permission, Pull
from tests.github_standin import BOT, GithubStandIn, Token
from tests.pull_request.conftest import HEAD, LABEL, PULL, REPOSITORY, TOKEN, at

HANG_SECONDS = 120

MARKER = "<!-- lynxgate:gate -->"


def check(annotations: int = 0) -> Check:
    every = tuple(Annotation("eval_baseline.json", n + 1, Level.FAILURE, f"b{n}", "fell") for n in range(annotations))
    return Check("lynxgate", HEAD, Conclusion.FAILURE, "not promoted", "why", every)


class TestReading:
    def test_the_pull_request(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.add_pull(8, HEAD, "a.py", renamed={"eval_baseline.json": "old.json"})
        assert forge.pull(8) == Pull(8, HEAD, True, 2)
        assert forge.files(8) == [ChangedFile("a.py"), ChangedFile("old.json", "eval_baseline.json")]

    @pytest.mark.slow
    def test_all_pages(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.add_pull(8, HEAD, *(f"f{n}" for n in range(65)))
        for n in range(95):
            github.add_comment(PULL, "bob", f"comment {n}", at(n))
            github.add_label(PULL, f"l{n}", "ann", at(n), added=n % 2 == 0)
        assert [each.body for each in forge.comments(PULL)] == [f"comment {n}" for n in range(95)]
        assert [each.label for each in forge.labels(PULL)] == [f"l{n}" for n in range(95)]
        assert [each.path for each in forge.files(8)] == [f"f{n}" for n in range(65)]

    def test_a_comment(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.add_comment(PULL, "ann", "hello", at(1), edited=at(2))
        (found,) = forge.comments(PULL)
        assert (found.author, found.body, found.created_at, found.updated_at) == ("ann", "hello", at(1), at(2))

    def test_labels(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.add_label(PULL, LABEL, "ann", at(1))
        github.add_label(PULL, LABEL, "bob", at(2), added=False)
        set_, taken = forge.labels(PULL)
        assert set_ == LabelEvent(set_.id, LABEL, "ann", True, at(1))
        assert taken == LabelEvent(taken.id, LABEL, "bob", False, at(2))

    @pytest.mark.parametrize(
        ("login", "permission", "may"),
        [
            ("ann", Permission.WRITE, True),
            ("bob", Permission.ADMIN, True),
            ("max", Permission.WRITE, True),
            ("tim", Permission.READ, False),
            ("eve", Permission.READ, False),
            ("dependabot[bot]", Permission.NONE, False),
        ],
    )
    def test_permissions(self, forge: GithubForge, login: str, permission: Permission, may: bool) -> None:
        assert forge.permission(login) is permission
        assert permission.may_promote is may

    def test_a_page_that_fails_fails_the_list(self, github: GithubStandIn, forge: GithubForge) -> None:
        for n in range(40):
            github.add_comment(PULL, "bob", "x", at(n))
        github.tokens[TOKEN] = Token(BOT, {})
        with pytest.raises(StoreFailure, match="403; this token may not"):
            forge.comments(PULL)

    @pytest.mark.slow
    def test_a_moment_of_failure_is_read_over(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.fail("GET", "/pulls/7$", 502, times=2)
        assert forge.pull(PULL).head_sha == HEAD
        assert len(github.calls("GET", "/pulls/7$")) == 3

    @pytest.mark.slow
    def test_a_lasting_failure_is_ours(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.fail("GET", "/pulls/7$", 503)
        with pytest.raises(StoreFailure, match="cannot read pull request 7: HTTP 503"):
            forge.pull(PULL)

    @pytest.mark.parametrize(("number", "reason"), [(8, "HTTP 404"), (PULL, "HTTP 401; it does not accept the token")])
    def test_an_error_names_its_cause(self, github: GithubStandIn, number: int, reason: str) -> None:
        token = TOKEN if number == 8 else "ghs_WRONG"
        with pytest.raises(StoreFailure, match=reason) as caught:
            GithubForge(REPOSITORY, token, api_url=github.url).pull(number)
        assert token not in str(caught.value)


def hang(released: threading.Event) -> None:
    released.wait(HANG_SECONDS)


class TestNetwork:
    @pytest.mark.slow
    def test_nobody_there(self) -> None:
        with pytest.raises(StoreFailure, match="cannot read pull request"):
            GithubForge(REPOSITORY, TOKEN, api_url="http://127.0.0.1:1").pull(PULL)

    @pytest.mark.slow
    def test_a_server_that_hangs_is_left(self) -> None:
        given_up = threading.Event()
        with _server(lambda _: hang(given_up)) as url, pytest.raises(StoreFailure, match="timed out"):
            start = time.monotonic()
            try:
                GithubForge(REPOSITORY, TOKEN, api_url=url, timeout=1).pull(PULL)
            finally:
                given_up.set()
        assert time.monotonic() - start < HANG_SECONDS / 2

    @pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"[]", b'{"number": "seven"}', b"", b'"x"', b"{}"])
    def test_an_answer_that_is_no_githubs(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
        answer = head + str(len(body)).encode() + b"\r\n\r\n" + body
        with _server(lambda client: client.sendall(answer)) as url, pytest.raises(StoreFailure):
            GithubForge(REPOSITORY, TOKEN, api_url=url, timeout=1).pull(PULL)

    @pytest.mark.parametrize(
        "head", ["302 Found\r\nLocation: {}", '200 OK\r\nLink: <{}>; rel="next"\r\nContent-Type: application/json']
    )
    def test_the_token_goes_to_no_other_server(self, head: str) -> None:
        visitors: list[str] = []
        with _server(lambda _: visitors.append("came")) as other:
            body = (
                b'[{"id": 1, "body": "x", "created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z"}]'
            )
            start = f"HTTP/1.1 {head.format(f'{other}/x')}\r\nConnection: close\r\n"
            text = f"{start}Content-Length: {len(body)}\r\n\r\n"
            with _server(lambda client: client.sendall(text.encode() + body)) as url, pytest.raises(StoreFailure):
                GithubForge(REPOSITORY, TOKEN, api_url=url, timeout=1).comments(PULL)
        assert visitors == []


class TestComment:
    def test_made_once_then_updated_in_place(self, github: GithubStandIn, forge: GithubForge) -> None:
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\none")
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\ntwo")
        assert github.bodies(PULL) == [f"{MARKER}\ntwo"]
        assert len(github.calls("POST")) == len(github.calls("PATCH")) == 1

    def test_unchanged_is_left_alone(self, github: GithubStandIn, forge: GithubForge) -> None:
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\none")
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\none")
        assert github.calls("PATCH") == []

    @pytest.mark.parametrize("before", [0, 29, 30, 31, 65])
    @pytest.mark.slow
    def test_found_on_any_page(self, github: GithubStandIn, forge: GithubForge, before: int) -> None:
        for n in range(before):
            github.add_comment(PULL, "bob", "talk", at(n))
        for text in ("one", "two", "three"):
            forge.upsert_comment(PULL, MARKER, f"{MARKER}\n{text}")
            github.add_comment(PULL, "bob", "more talk", at(100))
        assert github.bodies(PULL) == [f"{MARKER}\nthree"]

    @pytest.mark.parametrize("author", ["ann", "eve", "another[bot]"])
    @pytest.mark.slow
    def test_somebody_who_quotes_the_marker_keeps_their_words(
        self, github: GithubStandIn, forge: GithubForge, author: str
    ) -> None:
        quote = f"{MARKER}\nmine"
        github.add_comment(PULL, author, quote, at(1))
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\nours")
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\nours, later")
        assert github.bodies(PULL, author) == [quote]
        assert github.bodies(PULL) == [f"{MARKER}\nours, later"]

    def test_another_kind_and_a_quote_of_our_own_account_stay(self, github: GithubStandIn, forge: GithubForge) -> None:
        others = ["<!-- lynxgate:rebaseline -->\nx", f"> {MARKER}", "a report of another workflow"]
        for body in others:
            github.add_comment(PULL, BOT, body, at(1))
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\nours")
        assert github.bodies(PULL) == [*others, f"{MARKER}\nours"]

    def test_what_racing_runs_left_is_made_one(self, github: GithubStandIn, forge: GithubForge) -> None:
        first = github.add_comment(PULL, BOT, f"{MARKER}\none", at(1))
        github.add_comment(PULL, BOT, f"{MARKER}\ntwo", at(2))
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\nthree")
        assert [(each["id"], each["body"]) for each in github.comments[PULL]] == [(first, f"{MARKER}\nthree")]

    @pytest.mark.slow
    def test_a_lookup_that_fails_makes_no_second_comment(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.add_comment(PULL, BOT, f"{MARKER}\none", at(1))
        github.fail("GET", "/comments", 500)
        with pytest.raises(StoreFailure):
            forge.upsert_comment(PULL, MARKER, f"{MARKER}\ntwo")
        assert github.bodies(PULL) == [f"{MARKER}\none"]
        assert github.calls("POST") == []

    @pytest.mark.parametrize("status", [500, 502, 0])
    def test_a_post_that_fails_is_tried_once(self, github: GithubStandIn, forge: GithubForge, status: int) -> None:
        github.fail("POST", "/comments", status)
        with pytest.raises(OutcomeUnknown):
            forge.upsert_comment(PULL, MARKER, f"{MARKER}\none")
        assert len(github.calls("POST")) == 1

    def test_a_lost_reply_is_found_by_the_next_run(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.fail("POST", "/comments", 0, times=1, after=True)
        with pytest.raises(OutcomeUnknown):
            forge.upsert_comment(PULL, MARKER, f"{MARKER}\none")
        forge.upsert_comment(PULL, MARKER, f"{MARKER}\ntwo")
        assert github.bodies(PULL) == [f"{MARKER}\ntwo"]

    @pytest.mark.slow
    def test_a_persons_token_writes_as_that_person(self, github: GithubStandIn) -> None:
        github.tokens["ghp_of_ann"] = Token("ann", {"pull-requests": "write"})
        forge = GithubForge(REPOSITORY, "ghp_of_ann", api_url=github.url)
        for text in ("one", "two"):
            forge.upsert_comment(PULL, MARKER, f"{MARKER}\n{text}")
        assert github.bodies(PULL, "ann") == [f"{MARKER}\ntwo"]

    def test_an_account_that_would_not_find_its_comment_is_told(self, github: GithubStandIn) -> None:
        github.tokens["ghs_app"] = Token("our-app[bot]", {"pull-requests": "write"})
        with pytest.raises(StoreFailure, match="LYNXGATE_GITHUB_ACCOUNT"):
            GithubForge(REPOSITORY, "ghs_app", api_url=github.url).upsert_comment(PULL, MARKER, f"{MARKER}\none")
        named = GithubForge(REPOSITORY, "ghs_app", api_url=github.url, account="our-app[bot]")
        named.upsert_comment(PULL, MARKER, f"{MARKER}\ntwo")
        assert github.bodies(PULL, "our-app[bot]") == [f"{MARKER}\ntwo"]


class TestCheck:
    @pytest.mark.parametrize(("count", "calls"), [(0, 1), (1, 1), (50, 1), (51, 2), (120, 3)])
    def test_fifty_annotations_a_call(self, github: GithubStandIn, forge: GithubForge, count: int, calls: int) -> None:
        forge.create_check(check(count))
        ((number, run),) = github.checks.items()
        assert (run["name"], run["head_sha"], run["conclusion"]) == ("lynxgate", HEAD, "failure")
        assert run["output"]["summary"] == "why"
        assert [each["title"] for each in github.annotations[number]] == [f"b{n}" for n in range(count)]
        assert len(github.calls("POST", "check-runs")) + len(github.calls("PATCH", "check-runs")) == calls

    def test_a_job_without_the_permission(self, github: GithubStandIn, forge: GithubForge) -> None:
        github.tokens[TOKEN] = Token(BOT, {"pull-requests": "write", "checks": "read"})
        with pytest.raises(StoreFailure, match="cannot create the check run: HTTP 403; this token may not do that"):
            forge.create_check(check())


class _server:  # noqa: N801 - reads as the verb it is used as
    """A server on loopback that does one thing to every client."""

    def __init__(self, act: Callable[[socket.socket], object]) -> None:
        self._act = act
        self._socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client:
            client.recv(65536)
            self._act(client)
