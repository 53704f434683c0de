"""The baseline and its policy: what is admitted, which terms a bucket gets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.decision.globs import matches
from lynxgate.decision.policy import Policy, Tier
from lynxgate.errors import CannotJudge
from tests.samples import baseline, parse_agreed


def policy(globs: Any) -> Policy:
    return parse_agreed(baseline(policy={"buckets": globs})).policy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "armed"}, "status: Input should be 'report-only' or 'active'"),
        ({"status": "TODO"}, "status: Input should be"),
        ({"buckets": {"x": None}}, "placeholder at buckets.x;"),
        ({"buckets": {"x": {"accuracy": "TODO"}}}, "placeholder at buckets.x.accuracy"),
        ({"buckets": {"x": {"n": 3}}}, "no figure for 'x'"),
        ({"eval_set_dvc_hash": None}, "placeholder at eval_set_dvc_hash"),
        ({"source": {"semver": "TODO"}}, "placeholder at source.semver"),
        ({"aggregate": "TODO"}, "placeholder at aggregate"),
        ({"source": {"semver": "0.3.0"}}, "source.semver: '0.3.0' is not a semver"),
        ({"schema": "lynxgate.baseline/2"}, "schema: Input should be 'lynxgate.baseline/1'"),
    ],
)
def test_an_active_baseline_has_no_gaps(changes: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        parse_agreed(baseline(**changes))


def test_a_report_only_baseline_may_have_gaps_but_no_nonsense() -> None:
    gaps = {"x": "TODO", "y": {"n": 3, "correct": None}, "z": {"n": 3, "correct": 2, "outcomes": None}}
    agreed = parse_agreed(baseline(gaps, status="report-only", eval_set_dvc_hash="TODO", aggregate=None))
    assert {name: each.is_measured for name, each in agreed.buckets.items()} == {"x": False, "y": False, "z": True}
    for nonsense in ({"n": True, "accuracy": None}, {"n": 2, "correct": 3}, {"accuracy": None, "acuracy": 1}):
        with pytest.raises(CannotJudge, match=r"buckets\.x"):
            parse_agreed(baseline({"x": nonsense}, status="report-only"))


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"latency": {}}, "limits nothing"),
        ({"latency": {"max_pct": None}}, "max_pct is null"),
        ({"latency": {"max_percent": 5}}, "max_percent: unknown key"),
        ({"latency": None}, "latency"),
        ([], "metrics"),
        (None, "metrics is null"),
    ],
)
def test_a_metric_entry_without_an_effect_is_refused(metrics: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        parse_agreed(baseline(policy={"metrics": metrics}, status="report-only"))


def test_a_metric_may_wait_for_its_value_only_while_report_only() -> None:
    waiting = {"latency": {"direction": "lower", "machine": False, "value": "TODO", "samples": None}}
    agreed = parse_agreed(baseline(metrics=waiting, status="report-only", environment={"fingerprint": "TODO"}))
    assert (agreed.metrics["latency"].value, agreed.environment.fingerprint) == (None, None)
    with pytest.raises(CannotJudge, match=r"placeholder at metrics\.latency\.value"):
        parse_agreed(baseline(metrics=waiting))
    with pytest.raises(CannotJudge, match="no value for metric 'latency'"):
        parse_agreed(baseline(metrics={"latency": {"direction": "lower", "machine": False}}))


@pytest.mark.parametrize("tolerance", [None, True, "2", -0.1, 100.1, [], {}])
def test_a_tolerance_is_a_number_of_points(tolerance: Any) -> None:
    for terms in (
        {"tolerance_pp": tolerance},
        {"overall_tolerance_pp": tolerance},
        {"buckets": {"tense.*": {"tolerance_pp": tolerance}}},
    ):
        with pytest.raises(CannotJudge, match="policy"):
            parse_agreed(baseline(policy=terms))


def test_the_most_specific_glob_applies_and_applies_whole() -> None:
    globs = {
        "*": {"min": 0.1},
        "tense.*": {"tier": "critical", "tolerance_pp": 1},
        "tense.past*": {"tolerance_pp": 3},
        "tense.past": {"min": 0.9},
        "?ense.past": {"tier": "advisory"},
    }
    terms = policy(globs).terms_of
    assert (terms("spelling").min, terms("spelling").tier) == (Decimal("0.1"), Tier.STANDARD)
    assert terms("tense.present").tier is Tier.CRITICAL
    assert (terms("tense.past_simple").tier, terms("tense.past_simple").tolerance_pp) == (Tier.STANDARD, Decimal(3))
    assert (terms("tense.past").min, terms("tense.past").tolerance_pp) == (Decimal("0.9"), Decimal(2))
    assert terms("dense.past").tier is Tier.ADVISORY


def test_of_equally_long_globs_the_first_by_code_point_applies() -> None:
    for globs in (["a*", "*b"], ["*b", "a*"]):
        terms = policy({glob: {"tolerance_pp": 1 if glob == "*b" else 9} for glob in globs}).terms_of
        assert terms("ab").tolerance_pp == 1


@given(st.dictionaries(st.text("ab.*?", min_size=1, max_size=5), st.integers(0, 100), max_size=6), st.randoms())
@pytest.mark.slow
def test_the_order_of_globs_in_the_file_changes_nothing(globs: dict[str, int], random: Any) -> None:
    shuffled = list(globs.items())
    random.shuffle(shuffled)
    one, other = (
        Policy.model_validate({"rule": "point", "buckets": {glob: {"tolerance_pp": points} for glob, points in each}})
        for each in (globs.items(), shuffled)
    )
    for name in ("ab", "a.b", "b", "aab.", "*", "?"):
        assert one.terms_of(name) == other.terms_of(name)


@given(st.text(st.characters(codec="utf-8", exclude_characters="*?"), min_size=1))
@pytest.mark.slow
def test_without_wildcards_a_glob_matches_itself_alone(name: str) -> None:
    assert matches(name, name)
    assert not matches(name, name + "x")
    assert matches(name + "*", name + "x")
    assert matches("?" * len(name), name)


def test_many_stars_end_in_time() -> None:
    assert not matches("*a" * 100, "a" * 99 + "b" * 100)
