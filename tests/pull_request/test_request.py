from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynxgate.identity import parse_run_id, parse_semver
from lynxgate.pull_request.forge import Comment, LabelEvent, Permission
from lynxgate.pull_request.request import (
    HOW_TO_ASK,
    Chosen,
    Declined,
    PromotionRequest,
    choose,
    find_label_event,
    looks_like_request,
    parse_requests,
    requesters,
)

RUN, OTHER = "ab" * 16, "cd" * 16
LABEL = "deploy-candidate"
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROLES = {"ann": Permission.WRITE, "bob": Permission.ADMIN, "max": Permission.MAINTAIN, "eve": Permission.READ}


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def line(run: str = RUN, semver: str = "v0.3.1") -> str:
    return f"mlflow_run_id={run} semver={semver}"


def said(minutes: float, body: str | None = None, author: str = "ann", *, edited: float | None = None) -> Comment:
    when = at(minutes)
    text = line() if body is None else body
    return Comment(int(minutes * 60) + 1000, author, text, when, when if edited is None else at(edited))


def set_at(minutes: float, actor: str = "ann", *, added: bool = True, label: str = LABEL) -> LabelEvent:
    return LabelEvent(int(minutes * 60) + 1000, label, actor, added, at(minutes))


def pick(comments: list[Comment], *events: LabelEvent) -> Chosen | Declined:
    history = events or (set_at(10),)
    return choose(comments, ROLES, history, history[-1])


def reason(found: Chosen | Declined) -> str:
    assert isinstance(found, Declined), found
    return found.reason


SPOILERS = (
    *(line(), "mlflow_run_id=", "semver=", RUN, "v0.3.1", " ", "\n", "\r", "$(id)", "`", ";", "'", '"', "\x00"),
    *("<!--", "-->", "\u2028", "|", "${{ secrets.X }}", "::set-output name=x::", "&&", "\\", "%0A", "٣"),
)


class TestGrammar:
    @pytest.mark.parametrize(
        "body",
        [
            line(),
            f"  {line()}\t",
            f"please\n{line()}\nthanks",
            f"please\r\n{line()}\r\n",
            f"mlflow_run_id={RUN}   semver=v0.3.1",
            f"{line()}\n{line()}",
        ],
    )
    def test_a_whole_line_is_a_request(self, body: str) -> None:
        assert parse_requests(body) == (PromotionRequest(RUN, "v0.3.1"),)

    @pytest.mark.parametrize(
        "body",
        [
            "",
            f"> {line()}",
            f"`{line()}`",
            f"deploy {line()}",
            f"{line()} please",
            f"semver=v0.3.1 mlflow_run_id={RUN}",
            f"mlflow_run_id={RUN}\nsemver=v0.3.1",
            line(RUN.upper()),
            line(RUN[:-1]),
            line(RUN + "a"),
            line(semver="0.3.1"),
            line(semver="v0.3"),
            line(semver="v0.03.1"),
            line(semver="v0.3.1-rc1"),
            line(semver="v0.3.1.1"),
            line(semver="v0.3.٣"),
            line().replace(" ", "\u00a0"),
            line().replace(" ", "\x0b"),
            f"x\u2028{line()}\u2028y",
            f"{line()};id",
            f"{line()}$(id)",
            f"{line()}`id`",
            f"{line()}\x00",
            f"mlflow_run_id={RUN}$(touch /tmp/x) semver=v0.3.1",
            f"mlflow_run_id={RUN} semver=v0.3.1|tee",
            f"<!--\n{line()}\n-->",
            f"<!--\n{line()}",
            f"<!-- x -->{line()}",
            HOW_TO_ASK.format(label=LABEL),
        ],
    )
    def test_anything_else_is_text(self, body: str) -> None:
        assert parse_requests(body) == ()

    @given(st.text())
    @example(f"{line()}\n{line(OTHER)}")
    def test_only_exact_ids_and_versions_ever_leave(self, body: str) -> None:
        _hold(body)

    @given(
        st.lists(
            st.sampled_from(SPOILERS),
            max_size=12,
        ).map("".join)
    )
    def test_injected_text_never_leaves(self, body: str) -> None:
        _hold(body)

    def test_what_misses_the_form_is_noticed(self) -> None:
        assert looks_like_request(f"mlflow_run_id: {RUN}")
        assert looks_like_request("semver = v0.3.1")
        assert not looks_like_request("looks good to me")
        assert not looks_like_request(line())


def _hold(body: str) -> None:
    for asked in parse_requests(body):
        assert parse_run_id(asked.run_id) == asked.run_id
        assert str(parse_semver(asked.semver)) == asked.semver
        assert line(asked.run_id, asked.semver).split()[0] in body


class TestLabel:
    def test_the_newest_setting_by_the_sender_counts(self) -> None:
        events = [set_at(1), set_at(2, added=False), set_at(3), set_at(4, label="bug")]
        assert find_label_event(events, LABEL, "ANN") == events[2]

    @pytest.mark.parametrize(
        ("events", "why"),
        [
            ([], "no record"),
            ([set_at(1, label="bug")], "no record"),
            ([set_at(1), set_at(2, added=False)], "taken off"),
            ([set_at(1), set_at(2, "bob")], "somebody else"),
        ],
    )
    def test_otherwise_nobody_asked(self, events: list[LabelEvent], why: str) -> None:
        assert why in reason(_declined(find_label_event(events, LABEL, "ann")))


def _declined(found: LabelEvent | Declined) -> Declined:
    assert isinstance(found, Declined)
    return found


class TestChoice:
    def test_the_request_before_the_label(self) -> None:
        assert pick([said(1, "hello"), said(2)]) == Chosen(PromotionRequest(RUN, "v0.3.1"), "ann", said(2).id)

    @pytest.mark.parametrize("author", ["ann", "bob", "max", "ANN"])
    def test_whoever_may_write_may_ask(self, author: str) -> None:
        assert isinstance(pick([said(2, author=author)]), Chosen)

    @pytest.mark.parametrize("author", ["eve", "nobody", "github-actions[bot]", ""])
    def test_a_stranger_may_not(self, author: str) -> None:
        assert "may not write" in reason(pick([said(2, author=author)]))

    def test_a_stranger_takes_nothing_from_a_request(self) -> None:
        stranger = said(3, line(OTHER), "eve")
        assert pick([said(2), stranger]) == pick([said(2)])
        assert pick([said(2), replace(stranger, created_at=at(11), updated_at=at(11))]) == pick([said(2)])

    def test_a_stranger_may_not_set_the_label(self) -> None:
        assert "whoever set the label" in reason(pick([said(2)], set_at(10, "eve")))

    def test_none(self) -> None:
        assert "no request" in reason(pick([said(1, "hello")]))
        assert "no request" in reason(pick([]))

    def test_malformed(self) -> None:
        assert "form" in reason(pick([said(1, "mlflow_run_id=123 semver=v1")]))

    @pytest.mark.parametrize("minutes", [10, 10.5, 11])
    def test_not_older_than_the_label(self, minutes: float) -> None:
        assert "not older" in reason(pick([said(minutes)]))

    @pytest.mark.parametrize("edited", [10, 11])
    def test_edited_after_the_label(self, edited: float) -> None:
        assert "edited" in reason(pick([said(2, edited=edited)]))

    def test_edited_before_the_label(self) -> None:
        assert isinstance(pick([said(2, edited=9)]), Chosen)

    def test_an_edited_older_request_is_no_way_round(self) -> None:
        assert "edited" in reason(pick([said(1, line(OTHER), edited=11), said(2)], set_at(1.5), set_at(10)))

    def test_two_different_requests_conflict(self) -> None:
        assert "different requests" in reason(pick([said(1, line(OTHER)), said(2)]))

    def test_two_different_requests_in_one_comment_conflict(self) -> None:
        assert "different requests" in reason(pick([said(1, f"{line(OTHER)}\n{line()}")]))

    def test_a_conflict_stands_however_often_the_label_is_set(self) -> None:
        assert "different" in reason(pick([said(1, line(OTHER)), said(2)], set_at(3), set_at(4), set_at(5)))

    def test_the_same_request_twice_is_one(self) -> None:
        assert pick([said(1), said(2, author="bob")]) == Chosen(PromotionRequest(RUN, "v0.3.1"), "bob", said(2).id)

    def test_a_label_between_two_requests_tells_them_apart(self) -> None:
        found = pick([said(1, line(OTHER)), said(5)], set_at(3), set_at(10))
        assert found == Chosen(PromotionRequest(RUN, "v0.3.1"), "ann", said(5).id)

    def test_asking_again_without_a_new_comment(self) -> None:
        assert isinstance(pick([said(1)], set_at(3), set_at(4, added=False), set_at(10)), Chosen)

    def test_another_request_after_the_label_conflicts(self) -> None:
        assert "different" in reason(pick([said(1), said(11, line(OTHER))]))

    def test_the_order_of_the_list_does_not_matter(self) -> None:
        comments = [said(1, line(OTHER)), said(5), said(6, "x")]
        events = (set_at(3), set_at(10))
        assert pick(comments, *events) == pick(comments[::-1], *events)

    def test_only_requests_need_a_permission(self) -> None:
        assert requesters([said(1, "hi", "eve"), said(2, author="Ann"), said(3, author="ann")]) == ("ann",)

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 20),
                st.sampled_from(["ann", "bob", "eve"]),
                st.sampled_from([line(), line(OTHER), "x"]),
                st.integers(0, 20),
            ),
            max_size=6,
        )
    )
    def test_whatever_is_chosen_keeps_every_rule(self, talk: list[tuple[int, str, str, int]]) -> None:
        comments = [said(when, body, who, edited=max(when, edited)) for when, who, body, edited in talk]
        found = pick(comments)
        if isinstance(found, Chosen):
            theirs = [c for c in comments if c.author == found.author and parse_requests(c.body) == (found.request,)]
            assert ROLES[found.author].may_promote
            assert any(c.created_at <= c.updated_at < at(10) for c in theirs)
            allowed = [c for c in comments if ROLES[c.author].may_promote]
            assert {a for c in allowed for a in parse_requests(c.body)} == {found.request}
