from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynxgate.identity import parse_model, parse_run_id, parse_semver
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


def comment(minutes: float, body: str | None = None, author: str = "ann", *, edited: float | None = None) -> Comment:
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
    *(
        line(),
        f"{line()} model=wine",
        " model=",
        "wine",
        "mlflow_run_id=",
        "semver=",
        RUN,
        "v0.3.1",
        " ",
        "\n",
        "\r",
        "$(id)",
        "`",
        ";",
        "'",
        '"',
        "\x00",
    ),
    *("<!--", "-->", "\u2028", "|", "${{ secrets.X }}", "::set-output name=x::", "&&", "\\", "%0A", "٣"),
)


# GitHub shows none of these lines as plain text, or not at all.
HIDDEN = {
    "fence": f"```\n{line()}\n```",
    "fence of tildes": f"~~~text\n{line()}\n~~~",
    "fence without an end": f"x\n\n```\n{line()}",
    "mathematical fence": f"```math\n{line()}\n```",
    "indented code": f"x\n\n    {line()}",
    "code indented by a tab": f"x\n\n\t{line()}",
    "code span": f"`a\n{line()}\nb`",
    "pre": f"<pre>\n{line()}\n</pre>",
    "pre with blank lines": f"<pre>\n\n{line()}\n\n</pre>",
    "script": f"<script>\n\n{line()}\n\n</script>",
    "textarea": f"<textarea>\n\n{line()}\n\n</textarea>",
    "attribute": f'<a title="\n{line()}\n">x</a>',
    "attribute in a sentence": f'see <a title="\n{line()}\n">x</a>',
    "HTML block": f"<div>\n{line()}\n</div>",
    "paragraph between HTML blocks": f"<div hidden>\n\n{line()}\n\n</div>",
    "closed details": f"<details>\n\n{line()}\n\n</details>",
    "closed details in a sentence": f"x <details>\n{line()}\n</details>",
    "details without an end": f"<details><summary>x</summary>\n\n{line()}",
    "details in a list": f"- <details>\n\n{line()}",
    "custom element": f"<x-y>\n{line()}",
    "link title": f'[x](/y "\n{line()}\n")',
    "title of a link definition": f'[x]: /y "\n{line()}\n"\n\n[x]',
    "link text": f"[a\n{line()}\nb](/y)",
    "image text": f"![a\n{line()}\nb](/y)",
    "processing instruction": f"<?\n{line()}\n?>",
    "processing instruction in a sentence": f"x <?\n{line()}\n?>",
    "CDATA": f"<![CDATA[\n{line()}\n]]>",
    "CDATA in a sentence": f"x <![CDATA[\n{line()}\n]]>",
    "declaration": f"<!X\n{line()}\n>",
    "declaration in a sentence": f"x <!x\n{line()}\n>",
    "HTML comment": f"<!--\n{line()}\n-->",
    "HTML comment in a sentence": f"x <!--\n{line()}\n-->",
    "HTML comment that ends early": f"<!-- a --!><details>\n-->\n\n{line()}",
    "HTML comment and a tag": f"<!-- a --><details>\n\n{line()}",
    "HTML comment without content": f"<!--><details>-->\n\n{line()}",
    "HTML comment without an end in a sentence": f"x <!-- a\n{line()}",
    "quotation": f"> {line()}",
    "quotation that goes on": f"> x\n{line()}",
    "alert": f"> [!NOTE]\n> {line()}",
    "list": f"- {line()}",
    "list that goes on": f"1. x\n{line()}",
    "paragraph of a list": f"- x\n\n  {line()}",
    "table": f"a |\n--|\n{line()}",
    "heading": f"# {line()}",
    "underlined heading": f"{line()}\n===",
    "emphasis": f"**a\n{line()}\nb**",
    "struck through": f"~~a\n{line()}\nb~~",
    "footnote": f"[^1]: x\n{line()}",
    "mathematics": f"$$\n{line()}\n$$",
}


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

    @pytest.mark.parametrize("body", HIDDEN.values(), ids=HIDDEN.keys())
    def test_a_line_that_its_reader_does_not_see_as_plain_text_is_text(self, body: str) -> None:
        assert line() in body
        assert parse_requests(body) == ()
        assert looks_like_request(body)

    @pytest.mark.parametrize(
        "body",
        [
            f"<!-- a note -->\n{line()}",
            f"<!-- {line(OTHER)} -->\n\n{line()}",
            f"Ready <!-- for\nus -->\n{line()}",
            f"# Ready\n{line()}\n- one\n- two\n\n```\n{line(OTHER)}\n```",
            f"> quoted\n\n{line()}",
            f"a < b\n{line()}  \nsee <https://example.org> and *this*",
            f"please\r{line()}",
        ],
    )
    def test_plain_text_beside_other_markdown_is_a_request(self, body: str) -> None:
        assert parse_requests(body) == (PromotionRequest(RUN, "v0.3.1"),)

    @pytest.mark.parametrize("text", ["[", "> ", "*a ", "`", "<", "![](", "- ", "<!--", "|", "~~", "[^", "\\", "&"])
    @pytest.mark.slow
    def test_a_hostile_comment_costs_little_time(self, text: str) -> None:
        body = (text * 65_536)[: 65_536 - 100] + f"\n\n{line()}\n"
        started = process_time()
        parse_requests(body)
        assert process_time() - started < 10

    @given(st.text())
    @example(f"{line()}\n{line(OTHER)}")
    def test_only_exact_ids_and_versions_leave_a_comment(self, body: str) -> None:
        _hold(body)

    @given(
        st.lists(
            st.sampled_from(SPOILERS),
            max_size=12,
        ).map("".join)
    )
    def test_injected_text_does_not_leave_a_comment(self, body: str) -> None:
        _hold(body)

    @pytest.mark.parametrize("model", ["wine", "Wine_2", "a", "0-b", "x" * 63])
    def test_a_request_may_name_a_model(self, model: str) -> None:
        for gap in (" ", "\t", "   "):
            assert parse_requests(f"{line()}{gap}model={model}") == (PromotionRequest(RUN, "v0.3.1", model),)

    @pytest.mark.parametrize(
        "end",
        [
            *(
                " model=",
                " model=-wine",
                " model=_wine",
                " model=a.b",
                " model=a/b",
                " model=wïne",
                f" model={'x' * 64}",
            ),
            *(" model=wine;id", " model=$(id)", " model=`id`", " model=wine\x00", " model=@ann", " model=#1"),
            *(" model=wine please", " model=wine model=grape", " model =wine", " Model=wine", "model=wine"),
            *("\nmodel=wine\u2028", " model=wine\u00a0", " model=a\u202eb", " model='wine'", ' model="wine"'),
        ],
    )
    def test_a_model_of_another_form_makes_it_text(self, end: str) -> None:
        found = parse_requests(f"{line()}{end}")
        assert found == (() if not end.startswith("\n") else (PromotionRequest(RUN, "v0.3.1"),))

    def test_a_model_stands_at_the_end(self) -> None:
        assert parse_requests(f"model=wine {line()}") == ()
        assert parse_requests(f"mlflow_run_id={RUN} model=wine semver=v0.3.1") == ()

    def test_a_malformed_request_is_recognized(self) -> None:
        assert looks_like_request(f"mlflow_run_id: {RUN}")
        assert looks_like_request("semver = v0.3.1")
        assert not looks_like_request("looks good to me")
        assert not looks_like_request(line())


def _hold(body: str) -> None:
    for request in parse_requests(body):
        assert parse_run_id(request.run_id) == request.run_id
        assert str(parse_semver(request.semver)) == request.semver
        assert request.model is None or parse_model(request.model) == request.model
        assert line(request.run_id, request.semver).split()[0] in body


class TestLabel:
    def test_the_newest_setting_by_the_sender_counts(self) -> None:
        events = [set_at(1), set_at(2, added=False), set_at(3), set_at(4, label="bug")]
        assert find_label_event(events, LABEL, "ANN") == events[2]

    @pytest.mark.parametrize(
        ("events", "why"),
        [
            ([], "no record"),
            ([set_at(1, label="bug")], "no record"),
            ([set_at(1), set_at(2, added=False)], "was removed"),
            ([set_at(1), set_at(2, "bob")], "another account"),
        ],
    )
    def test_otherwise_there_is_no_request(self, events: list[LabelEvent], why: str) -> None:
        assert why in reason(_declined(find_label_event(events, LABEL, "ann")))


def _declined(found: LabelEvent | Declined) -> Declined:
    assert isinstance(found, Declined)
    return found


class TestChoice:
    def test_the_request_before_the_label(self) -> None:
        assert pick([comment(1, "hello"), comment(2)]) == Chosen(PromotionRequest(RUN, "v0.3.1"), "ann", comment(2).id)

    @pytest.mark.parametrize("author", ["ann", "bob", "max", "ANN"])
    def test_an_author_who_may_write_counts(self, author: str) -> None:
        assert isinstance(pick([comment(2, author=author)]), Chosen)

    @pytest.mark.parametrize("author", ["eve", "nobody", "github-actions[bot]", ""])
    def test_an_author_who_may_not_write_does_not_count(self, author: str) -> None:
        assert "may not write" in reason(pick([comment(2, author=author)]))

    def test_a_comment_without_write_access_does_not_disturb_a_request(self) -> None:
        stranger = comment(3, line(OTHER), "eve")
        assert pick([comment(2), stranger]) == pick([comment(2)])
        assert pick([comment(2), replace(stranger, created_at=at(11), updated_at=at(11))]) == pick([comment(2)])

    def test_a_label_without_write_access_does_not_count(self) -> None:
        assert "the account that set the label" in reason(pick([comment(2)], set_at(10, "eve")))

    def test_none(self) -> None:
        assert "no request" in reason(pick([comment(1, "hello")]))
        assert "no request" in reason(pick([]))

    def test_malformed(self) -> None:
        assert "form" in reason(pick([comment(1, "mlflow_run_id=123 semver=v1")]))

    @pytest.mark.parametrize("minutes", [10, 10.5, 11])
    def test_not_older_than_the_label(self, minutes: float) -> None:
        assert "not older" in reason(pick([comment(minutes)]))

    @pytest.mark.parametrize("edited", [10, 11])
    def test_edited_after_the_label(self, edited: float) -> None:
        assert "edited" in reason(pick([comment(2, edited=edited)]))

    def test_edited_before_the_label(self) -> None:
        assert isinstance(pick([comment(2, edited=9)]), Chosen)

    def test_an_older_request_that_was_edited_is_refused_too(self) -> None:
        assert "edited" in reason(pick([comment(1, line(OTHER), edited=11), comment(2)], set_at(1.5), set_at(10)))

    def test_two_different_requests_conflict(self) -> None:
        assert "different requests" in reason(pick([comment(1, line(OTHER)), comment(2)]))

    def test_two_different_requests_in_one_comment_conflict(self) -> None:
        assert "different requests" in reason(pick([comment(1, f"{line(OTHER)}\n{line()}")]))

    def test_a_conflict_remains_when_the_label_is_set_again(self) -> None:
        assert "different" in reason(pick([comment(1, line(OTHER)), comment(2)], set_at(3), set_at(4), set_at(5)))

    def test_the_same_request_twice_is_one(self) -> None:
        assert pick([comment(1), comment(2, author="bob")]) == Chosen(
            PromotionRequest(RUN, "v0.3.1"), "bob", comment(2).id
        )

    def test_a_label_between_two_requests_ends_the_conflict(self) -> None:
        found = pick([comment(1, line(OTHER)), comment(5)], set_at(3), set_at(10))
        assert found == Chosen(PromotionRequest(RUN, "v0.3.1"), "ann", comment(5).id)

    def test_the_label_can_be_set_again_without_a_new_comment(self) -> None:
        assert isinstance(pick([comment(1)], set_at(3), set_at(4, added=False), set_at(10)), Chosen)

    def test_another_request_after_the_label_conflicts(self) -> None:
        assert "different" in reason(pick([comment(1), comment(11, line(OTHER))]))

    def test_a_gate_of_a_model_sees_only_requests_for_it(self) -> None:
        wine, grape = f"{line()} model=wine", f"{line(OTHER)} model=grape"
        comments, labelled = [comment(1, wine), comment(2, grape), comment(3)], set_at(10)

        def chosen(model: str | None) -> Chosen | Declined:
            return choose(comments, ROLES, [labelled], labelled, model)

        for model, run in (("wine", RUN), ("grape", OTHER)):
            found = chosen(model)
            assert isinstance(found, Chosen)
            assert found.request == PromotionRequest(run, "v0.3.1", model)
        assert "different requests" in reason(chosen(None))
        missing = chosen("plum")
        assert reason(missing) == "there is a request, but none for the model plum, which the baseline names"
        assert isinstance(missing, Declined) and "semver=v0.X.Y model=plum" in missing.advice
        assert requesters(comments, "plum") == ()

    def test_the_order_of_the_list_does_not_matter(self) -> None:
        comments = [comment(1, line(OTHER)), comment(5), comment(6, "x")]
        events = (set_at(3), set_at(10))
        assert pick(comments, *events) == pick(comments[::-1], *events)

    def test_only_requests_need_a_permission(self) -> None:
        assert requesters([comment(1, "hi", "eve"), comment(2, author="Ann"), comment(3, author="ann")]) == ("ann",)

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
    @pytest.mark.slow
    def test_a_chosen_request_keeps_every_rule(self, talk: list[tuple[int, str, str, int]]) -> None:
        comments = [comment(when, body, who, edited=max(when, edited)) for when, who, body, edited in talk]
        found = pick(comments)
        if isinstance(found, Chosen):
            theirs = [c for c in comments if c.author == found.author and parse_requests(c.body) == (found.request,)]
            assert ROLES[found.author].may_promote
            assert any(c.created_at <= c.updated_at < at(10) for c in theirs)
            allowed = [c for c in comments if ROLES[c.author].may_promote]
            assert {a for c in allowed for a in parse_requests(c.body)} == {found.request}
