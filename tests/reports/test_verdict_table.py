"""The tables of a verdict; no name in them has an effect beyond its text."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.decision.verdict import parse_verdict
from lynxgate.escape import as_code, visible
from lynxgate.figures import format_exactly, format_figure, format_percent, format_points
from lynxgate.reports.explanation import render_verdict
from lynxgate.reports.verdict_table import render_markdown, render_table
from tests.decision.guard_documents import guarding, latency, measuring
from tests.samples import AFTER, baseline, evaluation, judge, judge_again

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


def test_a_row_without_figures_shows_its_reason() -> None:
    verdict = judge(
        evaluation({"new": {"accuracy": 1}, "other_n": {"n": 4, "correct": 4}}),
        baseline({"gone": {"accuracy": 1}, "other_n": {"n": 3, "correct": 3}}, policy={"min_isolation": "bwrap"}),
    )
    text = render_markdown(verdict)
    assert "- isolation: `the policy requires bwrap" in text
    assert "- `gone`: `the evaluation has no such bucket" in text
    assert "| `other_n` | 3 / 4 |" in text


def test_a_policy_that_gates_nothing_is_reported() -> None:
    verdict = judge_again(evaluation(), baseline(policy={"buckets": {"*": {"tier": "advisory"}}}))
    assert render_markdown(verdict) == "- every bucket is advisory, so nothing could fail"


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
@pytest.mark.slow
def test_exact_figures_are_exact(value: Fraction) -> None:
    assert Fraction(format_exactly(value)) == value


@given(st.fractions(-100, 100), st.fractions(0, 100))
@pytest.mark.slow
def test_a_shortened_difference_never_looks_like_the_tolerance(points: Fraction, tolerance: Fraction) -> None:
    shown = Fraction(format_points(points, -tolerance))
    assert abs(shown - points) <= Fraction(1, 200)
    assert (shown == -tolerance) <= (points == -tolerance)
    assert (shown == 0) <= (points == 0 or tolerance == 0)


def test_figures_for_people() -> None:
    assert format_points(Fraction(-7400, 679)) == "-10.90"
    assert format_points(Fraction(5, 2)) == "+2.50"
    assert format_points(Fraction(0)) == "0.00"
    assert format_points(Fraction(-2_000_001, 1_000_000), Fraction(-2)) == "-2.000001"
    assert format_percent(Fraction(2, 3)) == "66.67 %"


def outside_code(text: str) -> str:
    """What is left where Markdown acts."""
    return re.sub(r"`[^`\n]*`|<code>[^<\n]*</code>", "", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_metrics_stay_in_their_cells(name: str) -> None:
    agreed = {name: {"value": 1, "direction": "lower", "machine": False, "unit": name}}
    limits = {"default": {"max_pct": 50, "warn_max_pct": 5}}
    for value in (1.2, 9):
        verdict = judge(
            evaluation(metrics={name: {"value": value, "unit": name}, f"{name}.new": {"value": 1}}),
            baseline(policy={"metrics": limits}, metrics=agreed),
        )
        for every in (True, False):
            text = render_markdown(verdict, every=every)
            assert not re.search(r"[@<>\[\]\\#]|www|:tada:", outside_code(text)), text
            rows = [line for line in text.splitlines() if line.startswith("|") and "max_pct" in line]
            assert rows and {line.count("|") for line in map(outside_code, rows)} == {7}
        for text in (render_table(verdict), render_verdict(verdict)):
            assert all(line.isprintable() for line in text.splitlines())
        assert verdict.summary.isprintable()


@pytest.mark.parametrize("text", [*HOSTILE, "a\nb", "\x1b[31m", "x" * 5000])
def test_the_sentences_of_a_stored_verdict_do_nothing(text: str) -> None:
    """Whoever wrote the file, and whichever command shows it."""
    made = judge(measuring(latency_ms_p95=latency("9")), guarding())
    tree = json.loads(made.to_json())
    for row in (*tree["rows"], *tree["metrics"], *tree["conditions"]):
        row["reason"] = text
    tree["rows"][0] |= {"outcome": "missing", "candidate": None, "difference_pp": None}
    tree["conditions"][0]["outcome"] = "unmeasured"
    tree["metrics"][0] |= {"warning": text, "limits": {text[:99].replace("\n", "").replace("\x1b", ""): "1"}}
    tree["aggregate"] = {**tree["rows"][0], "bucket": "@everyone", "outcome": "held"}
    forged = parse_verdict(json.dumps(tree).encode())
    for every in (True, False):
        markdown = render_markdown(forged, every=every)
        assert not re.search(r"[@<>\[\]\\#\x1b]|www|:tada:", outside_code(markdown)), markdown
        assert len(markdown) < 20_000
    for shown in (render_table(forged), render_verdict(forged), forged.summary):
        assert all(line.isprintable() for line in shown.splitlines())


def test_a_pass_escapes_the_name_of_the_aggregate() -> None:
    made = judge(evaluation(aggregate={"accuracy": 0.95}), baseline(aggregate={"accuracy": 0.95}))
    assert made.passed and made.aggregate is not None
    named = made.model_copy(update={"aggregate": made.aggregate.model_copy(update={"bucket": "@everyone"})})
    assert "@" not in outside_code(render_markdown(named))
    assert "all rows 95.00 %" in render_markdown(made)


def test_metrics_have_a_table_of_their_own() -> None:
    verdict = judge(measuring(latency_ms_p95=latency("1.2")), guarding())
    assert render_markdown(verdict) == (
        "| metric | limits | baseline | candidate | change | outcome |\n"
        "| --- | --- | ---: | ---: | ---: | --- |\n"
        "| `latency_ms_p95` | `max_ratio 1.25, max 5.0, warn_max_ratio 1.1` | 0.8 | 1.2 | +0.4 | regressed |\n\n"
        "- `latency_ms_p95`: `0.8 -> 1.2 ms: worse by a ratio of 1.50, and max_ratio is 1.25`"
    )
    everything = render_markdown(verdict, every=True)
    assert everything.startswith("**failed: 1 of 6 rows**")
    assert everything.count("held |") == 5


@given(st.fractions())
@pytest.mark.slow
def test_a_short_figure_is_exact_or_has_six_digits(value: Fraction) -> None:
    text = format_figure(value)
    assert Fraction(text) == value or abs(Fraction(text) - value) <= abs(value) * Fraction(1, 10**5)
    assert not text.endswith(".0")
