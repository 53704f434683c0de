"""What people read of a verdict, and that no name in it does anything."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lynxgate.render import render_markdown, render_table
from lynxgate.words import as_code, visible, write_exactly, write_percent, write_points
from tests.lynxgate.samples import AFTER, baseline, evaluation, judge

FALLEN = {**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}
HOSTILE = ["a|b", "`a`", "``",
           "<script>alert(1)</script>", "@octocat", "x](http://evil)", "--- | ---", " lead", "a\\|b",
           "\u202egnp", "\u2028", "#1", "&amp;", "*a*", "www.example.org", ":tada:", "</code>@me"]  # fmt: skip


def test_a_refusal_shows_the_failing_buckets_alone() -> None:
    assert render_markdown(judge(evaluation(FALLEN), baseline())) == (
        "| bucket | n | baseline | candidate | difference | tolerance | outcome |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |\n"
        "| `tense.past_participle` | 679 | 93.08 % | 82.18 % | -10.90 pp | 2.0 pp | regressed |"
    )


def test_a_pass_is_one_line() -> None:
    verdict = judge(evaluation(), baseline())
    assert render_markdown(verdict) == verdict.summary == "passed: 3 of 3 buckets held (rule point, 2.0 pp)"


def test_every_row_is_shown_when_asked_for() -> None:
    verdict = judge(evaluation(FALLEN, aggregate={"accuracy": 0.95}), baseline(aggregate={"accuracy": 0.96}))
    for text in (render_markdown(verdict, every=True), render_table(verdict)):
        for word in ("failed", "all rows", "-1.00 pp", "held (advisory)", "spelling.doubling", "tense.third_person"):
            assert word in text
    header, *rows = render_table(verdict).splitlines()[2:]
    assert [row.rindex(" pp  ") + 5 for row in rows] == [header.index("outcome")] * 4


def test_what_has_no_figures_says_why() -> None:
    verdict = judge(
        evaluation({"new": {"accuracy": 1}, "other_n": {"n": 4, "correct": 4}}),
        baseline({"gone": {"accuracy": 1}, "other_n": {"n": 3, "correct": 3}}, policy={"min_isolation": "bwrap"}),
    )
    text = render_markdown(verdict)
    assert "- isolation: `the policy asks for bwrap" in text
    assert "- `gone`: `the evaluation has no such bucket" in text
    assert "| `other_n` | 3 / 4 |" in text


def test_a_policy_that_gates_nothing_says_so() -> None:
    verdict = judge(evaluation(), baseline(policy={"buckets": {"*": {"tier": "advisory"}}}))
    assert render_markdown(verdict) == "- every bucket is advisory, so that nothing could fail"


def test_hostile_names_stay_in_their_cell() -> None:
    for name in HOSTILE:
        verdict = judge(evaluation({name: {"accuracy": 0.1}}), baseline({name: {"accuracy": 0.9}}))
        (row,) = render_markdown(verdict).splitlines()[2:]
        assert len(re.findall(r"(?<!\\)\|", row)) == 8, name
        assert all(line.isprintable() for line in render_table(verdict).splitlines())
        assert verdict.summary.isprintable()


@given(st.text() | st.sampled_from(HOSTILE))
def test_names_as_code_cannot_leave_the_code(name: str) -> None:
    code = as_code(name)
    assert code.isprintable()
    assert "|" not in code
    if code.startswith("`"):
        inside = code[1:-1]
        assert inside == visible(name)
        assert inside
        assert "`" not in inside
    else:
        inside = code.removeprefix("<code>").removesuffix("</code>")
        assert re.fullmatch(r"(\w|&#[0-9]+;)*", inside)


@given(st.fractions())
def test_exact_figures_are_exact(value: Fraction) -> None:
    assert Fraction(write_exactly(value)) == value


@given(st.fractions(-100, 100), st.fractions(0, 100))
def test_a_shortened_difference_never_looks_like_the_tolerance(points: Fraction, tolerance: Fraction) -> None:
    shown = Fraction(write_points(points, -tolerance))
    assert abs(shown - points) <= Fraction(1, 200)
    assert (shown == -tolerance) <= (points == -tolerance)
    assert (shown == 0) <= (points == 0 or tolerance == 0)


def test_figures_for_people() -> None:
    assert write_points(Fraction(-7400, 679)) == "-10.90"
    assert write_points(Fraction(5, 2)) == "+2.50"
    assert write_points(Fraction(0)) == "0.00"
    assert write_points(Fraction(-2_000_001, 1_000_000), Fraction(-2)) == "-2.000001"
    assert write_percent(Fraction(2, 3)) == "66.67 %"
