"""The rules that require proof give what the statistics give; the caps hold under every rule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics import Pairs, holm, inferiority, noninferior, tango_interval, wilson
from lynxgate.decision.statistics.proportions import Score
from lynxgate.decision.verdict import Demand, Method, Row, Verdict, parse_verdict
from lynxgate.errors import CannotJudge, Exit, UsageFailure
from lynxgate.reports.verdict_table import render_markdown, render_table
from minieval.contract.outcome_bits import pack_outcomes
from tests.samples import baseline, evaluation, judge, judge_again

Counts = tuple[int, int, int]  # n, gains, losses


def figures(n: int, gains: int, losses: int, wrong: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides of a bucket with these pairs; the other examples are right on both, save ``wrong`` on neither."""
    before = [index >= gains for index in range(n - wrong)] + [False] * wrong
    now = [not gains <= index < gains + losses for index in range(n - wrong)] + [False] * wrong
    return measured(before), measured(now)


def measured(outcomes: list[bool]) -> dict[str, Any]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def decide(
    table: Mapping[str, Counts], rule: str = "guard", all_rows: Counts = (5000, 10, 10), **policy: Any
) -> Verdict:
    sides = {name: figures(*counts) for name, counts in table.items()}
    before, now = figures(*all_rows)
    terms = {"rule": rule, "tolerance_pp": 3.0, "overall_tolerance_pp": 1.0, **policy}
    # The counts of all rows are free here, so they need not be those of the buckets.
    return judge_again(
        evaluation({name: each[1] for name, each in sides.items()}, aggregate=now),
        baseline({name: each[0] for name, each in sides.items()}, aggregate=before, policy=terms),
    )


def row(verdict: Verdict, bucket: str) -> Row:
    return next(each for each in verdict.rows if each.bucket == bucket)


def test_an_equal_candidate_passes_under_both_rules() -> None:
    for rule in ("guard", "noninferior"):
        verdict = decide({"a": (500, 5, 5), "b": (1000, 20, 22)}, rule)
        assert (verdict.passed, verdict.exit) == (True, Exit.OK)
        assert verdict.aggregate is not None
        assert {each.outcome for each in (verdict.aggregate, *verdict.rows)} == {Outcome.HELD}


def test_a_bucket_proved_worse_blocks_although_all_rows_hold() -> None:
    verdict = decide({"a": (500, 5, 50), "b": (1000, 20, 22)})
    assert [each.bucket for each in verdict.blocking] == ["a"]
    assert verdict.exit is Exit.REGRESSION
    (reason,) = verdict.reasons
    assert reason.startswith("a regressed: -9.00 pp (90 % interval -")
    assert reason.endswith("proved worse than the margin of 3.0 pp (p below 0.0001)")


def test_all_rows_together_must_be_proved_under_guard() -> None:
    buckets = {"a": (500, 5, 5)}
    doubtful = decide(buckets, all_rows=(500, 20, 22))
    assert [each.bucket for each in doubtful.blocking] == ["all rows"]
    assert doubtful.exit is Exit.CANNOT_JUDGE
    assert "about " in doubtful.reasons[0]
    assert "examples would settle it" in doubtful.reasons[0]
    assert decide(buckets, all_rows=(5000, 10, 200)).exit is Exit.REGRESSION
    tree = baseline({"a": figures(500, 5, 5)[0]}, policy={"rule": "guard"})
    without = judge(evaluation({"a": figures(500, 5, 5)[1]}), tree)
    assert without.reasons == ("all rows unmeasured: the baseline has no aggregate",)
    assert without.exit is Exit.CANNOT_JUDGE


def test_all_rows_take_the_general_margin_where_the_policy_names_none() -> None:
    before, now = figures(5000, 0, 90)
    tree = baseline({"a": figures(500, 5, 5)[0]}, aggregate=before, policy={"rule": "guard", "tolerance_pp": 3})
    verdict = judge(evaluation({"a": figures(500, 5, 5)[1]}, aggregate=now), tree)
    assert verdict.passed
    assert verdict.aggregate is not None
    assert verdict.aggregate.tolerance_pp == "3.0"
    assert not judge(evaluation({"a": figures(500, 5, 5)[1]}, aggregate=now), tree, "1").passed


@pytest.mark.parametrize(
    ("rule", "tier", "code"),
    [
        ("guard", "standard", Exit.OK),
        ("guard", "critical", Exit.CANNOT_JUDGE),
        ("guard", "advisory", Exit.OK),
        ("noninferior", "standard", Exit.CANNOT_JUDGE),
        ("noninferior", "critical", Exit.CANNOT_JUDGE),
        ("noninferior", "advisory", Exit.OK),
    ],
)
def test_an_inconclusive_bucket_blocks_where_the_rule_requires_proof(rule: str, tier: str, code: Exit) -> None:
    """Models that never disagree prove nothing on 40 examples: a bootstrap would pass them."""
    verdict = decide({"a": (40, 0, 0), "b": (1000, 20, 22)}, rule, buckets={"a": {"tier": tier}})
    assert (row(verdict, "a").outcome, verdict.exit) == (Outcome.INCONCLUSIVE, code)
    assert "about 99 examples would settle it" in row(verdict, "a").reason
    if (rule, tier) == ("guard", "standard"):
        assert row(verdict, "a").demand is Demand.NO_PROOF_OF_HARM
        assert verdict.summary.startswith(
            "passed: 1 of 2 buckets held (rule guard, 3.0 pp, 95 % confidence), 1 inconclusive, which guard lets pass"
        )
        assert "guard requires no proof of this bucket" in row(verdict, "a").reason


def test_one_bad_bucket_among_many_may_be_chance() -> None:
    unlucky = (500, 10, 38)
    assert inferiority(Pairs(*unlucky), 0.03, exact=True).p <= 0.05
    alone = decide({"a": unlucky})
    assert row(alone, "a").outcome is Outcome.REGRESSED
    among = decide({"a": unlucky, **{f"b{number}": (500, 10, 10) for number in range(19)}})
    assert row(among, "a").outcome is Outcome.INCONCLUSIVE
    assert "but not proved among 20 buckets" in row(among, "a").reason
    assert among.passed
    # It is named, with its drop, in the summary, the comment and the terminal.
    assert among.slipped == (row(among, "a"),)
    assert "; worse if each were the only bucket: a 98.00 % -> 92.40 % (-5.60 pp)" in among.summary
    for shown in (render_markdown(among), render_markdown(among, every=True), render_table(among)):
        assert "not proved among 20 buckets" in shown
    # What blocks nothing does not blunt the rest.
    advisory = decide(
        {"a": unlucky, **{f"b{number}": (500, 10, 10) for number in range(19)}}, buckets={"b*": {"tier": "advisory"}}
    )
    assert row(advisory, "a").outcome is Outcome.REGRESSED


counts = st.integers(1, 300).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n // 2), st.integers(0, n // 2)),
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), counts, min_size=1),
    st.sampled_from([Decimal("0.5"), Decimal(3), Decimal(20)]),
    st.sampled_from([Decimal("0.9"), Decimal("0.95")]),
    st.sampled_from(["guard", "noninferior"]),
)
@pytest.mark.slow
def test_the_verdict_has_the_figures_of_the_statistics(
    table: dict[str, Counts], points: Decimal, confidence: Decimal, rule: str
) -> None:
    verdict = decide(
        table,
        rule,
        tolerance_pp=points,
        confidence=confidence,
        buckets={"a": {"tier": "critical"}} if "a" in table else {},
    )
    margin, level, names = float(points) / 100, float(1 - confidence), sorted(table)
    pairs = {name: Pairs(*table[name]) for name in names}
    worse = dict(
        zip(names, holm([inferiority(pairs[name], margin, exact=True).p for name in names], level), strict=True)
    )
    fine = {name: noninferior(pairs[name], margin, float(confidence)) for name in names}
    for name in names:
        found, each = row(verdict, name), pairs[name]
        expected = Outcome.REGRESSED if worse[name] else Outcome.HELD if fine[name] else Outcome.INCONCLUSIVE
        assert found.outcome is expected
        assert found.evidence is not None
        assert (found.evidence.gains, found.evidence.losses) == (each.gains, each.losses)
        assert found.negative_flip_rate == Fraction(each.losses, each.n)
        ends = [float(end) / 100 for end in found.evidence.difference_pp]
        assert ends == pytest.approx(tango_interval(each, 2 * float(confidence) - 1), abs=1e-6)
        assert found.evidence.candidate_percent is not None
        whole = [float(end) / 100 for end in found.evidence.candidate_percent]
        assert whole == pytest.approx(wilson(Score(each.n - each.losses, each.n), 2 * float(confidence) - 1), abs=1e-6)
    needed = names if rule == "noninferior" else [name for name in names if name == "a"]
    assert verdict.passed == (not any(worse.values()) and all(fine[name] for name in needed))
    assert parse_verdict(verdict.to_json()) == verdict
    assert parse_verdict(verdict.to_json()).to_json() == verdict.to_json()


def without_outcomes(side: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in side.items() if key != "outcomes"}


@pytest.mark.parametrize("missing", ["baseline", "evaluation", "both"])
def test_without_outcomes_the_comparison_is_unpaired_and_named_weaker(missing: str) -> None:
    before, now = figures(700, 10, 12, wrong=100)
    if missing != "evaluation":
        before = without_outcomes(before)
    if missing != "baseline":
        now = without_outcomes(now)
    rows = figures(5000, 10, 12, wrong=110)
    terms = {"rule": "noninferior", "tolerance_pp": 3.0}
    verdict = judge(evaluation({"a": now}, aggregate=rows[1]), baseline({"a": before}, aggregate=rows[0], policy=terms))
    found = row(verdict, "a")
    assert found.evidence is not None
    assert (found.evidence.method, found.evidence.gains) == (Method.UNPAIRED, None)
    who = {
        "baseline": "the baseline has",
        "evaluation": "the evaluation has",
        "both": "the baseline and the evaluation have",
    }
    assert f"(unpaired, since {who[missing]} no outcomes: weaker, and of approximate level)" in found.reason
    sides = figures(700, 10, 12, wrong=100)
    paired = judge(
        evaluation({"a": sides[1]}, aggregate=rows[1]), baseline({"a": sides[0]}, aggregate=rows[0], policy=terms)
    ).rows[0]
    assert paired.evidence is not None
    assert float(found.evidence.difference_pp[0]) < float(paired.evidence.difference_pp[0])
    assert float(found.evidence.difference_pp[1]) > float(paired.evidence.difference_pp[1])


def test_a_great_unpaired_drop_is_still_proof() -> None:
    before, now = (without_outcomes(side) for side in figures(700, 0, 150))
    verdict = judge(evaluation({"a": now}), baseline({"a": before}, policy={"rule": "noninferior", "tolerance_pp": 3}))
    assert row(verdict, "a").outcome is Outcome.REGRESSED


def test_a_mere_accuracy_cannot_be_judged_by_a_rule_that_proves() -> None:
    verdict = judge(
        evaluation({"a": {"accuracy": 0.95}}), baseline({"a": {"accuracy": 0.95}}, policy={"rule": "noninferior"})
    )
    assert (row(verdict, "a").outcome, verdict.exit) == (Outcome.UNMEASURED, Exit.CANNOT_JUDGE)
    assert "needs `n` and `correct` of both sides" in row(verdict, "a").reason


@pytest.mark.parametrize("rule", ["point", "guard", "noninferior"])
def test_a_cap_on_negative_flips_holds_under_every_rule(rule: str) -> None:
    rows = {"a": (500, 10, 10), "b": (500, 4, 4)}
    everywhere = decide(rows, rule, max_negative_flip_rate=0.0199)
    assert [each.bucket for each in everywhere.blocking] == ["a"]
    assert "10 of 500 examples were lost, 2.00 %, and at most 1.99 % may be" in everywhere.reasons[0]
    assert everywhere.exit is Exit.REGRESSION
    assert decide(rows, rule, max_negative_flip_rate=0.02).passed
    one = decide(rows, rule, buckets={"b": {"max_negative_flip_rate": 0.005}})
    assert [each.bucket for each in one.blocking] == ["b"]
    before, now = figures(500, 10, 10)
    whole, capped = figures(5000, 10, 10), {"rule": rule, "max_negative_flip_rate": 0.5}
    blind = judge(
        evaluation({"a": without_outcomes(now)}, aggregate=whole[1]),
        baseline({"a": before}, aggregate=whole[0], policy=capped),
    )
    assert (row(blind, "a").outcome, blind.exit) == (Outcome.UNMEASURED, Exit.CANNOT_JUDGE)
    assert "needs the outcomes of both sides, and the evaluation has no outcomes" in row(blind, "a").reason


def test_point_shows_intervals_and_is_not_moved_by_them() -> None:
    verdict = decide({"a": (500, 0, 15), "b": (500, 0, 16)}, "point")
    assert [each.outcome for each in verdict.rows] == [Outcome.HELD, Outcome.REGRESSED]
    evidence = verdict.rows[0].evidence
    assert evidence is not None
    assert (evidence.losses, evidence.p_within, evidence.p_beyond) == (15, None, None)
    assert verdict.rows[0].demand is None


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"rule": "point", "confidence": 0.95}, "rule 'point' proves nothing"),
        ({"rule": "guard", "tolerance_pp": 100}, "tolerance_pp is 100"),
        ({"rule": "noninferior", "overall_tolerance_pp": 100}, "overall_tolerance_pp is 100"),
        ({"rule": "guard", "buckets": {"a": {"tolerance_pp": 100}}}, r"buckets\.a\.tolerance_pp is 100"),
        ({"rule": "guard", "confidence": 1}, "policy.confidence"),
        ({"rule": "guard", "confidence": 0.2}, "policy.confidence"),
    ],
)
def test_a_policy_asks_only_what_its_rule_can_answer(policy: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        judge(evaluation({"a": {"accuracy": 1}}), baseline({"a": {"accuracy": 1}}, policy=policy))


def test_a_margin_of_everything_cannot_be_given_on_the_command_line_either() -> None:
    tree = baseline({"a": figures(5, 0, 0)[0]}, status="report-only", policy={"rule": "guard"})
    with pytest.raises(UsageFailure, match="would prove anything"):
        judge(evaluation({"a": figures(5, 0, 0)[1]}), tree, "100")


def test_a_minimum_holds_under_a_rule_that_proves() -> None:
    verdict = decide({"a": (500, 10, 10)}, buckets={"a": {"min": 0.99}})
    assert row(verdict, "a").outcome is Outcome.REGRESSED
    assert "is below the minimum of 99.00 %" in row(verdict, "a").reason


@pytest.mark.parametrize("rule", ["point", "guard", "noninferior"])
def test_a_drop_beyond_the_hard_limit_regresses_whatever_it_proves(rule: str) -> None:
    """8 of 8 to 4 of 8 is a drop of 50 pp, which 20 buckets do not prove beyond every margin."""
    table = {"a": (8, 0, 4), "b": (400, 4, 4)}
    loose: dict[str, Any] = {"tolerance_pp": 60, "overall_tolerance_pp": 1}
    limits: list[dict[str, Any]] = [{"max_drop_pp": 49.9}, {"buckets": {"a": {"max_drop_pp": 49.9}}}]
    assert row(decide(table, rule, **loose), "a").outcome in (Outcome.HELD, Outcome.INCONCLUSIVE)
    for where in limits:
        found = row(decide(table, rule, **loose, **where), "a")
        assert (found.outcome, found.max_drop_pp) == (Outcome.REGRESSED, "49.9")
        assert "and it may fall by at most 49.9 pp" in found.reason
    exact = row(decide(table, rule, **loose, max_drop_pp=50), "a")
    assert exact.outcome in (Outcome.HELD, Outcome.INCONCLUSIVE)


def test_the_summary_names_the_tolerances_in_force() -> None:
    verdict = decide({"a": (500, 5, 5), "b": (1000, 20, 22)}, tolerance_pp=3, buckets={"a": {"tolerance_pp": 20}})
    assert "(rule guard, 3.0 to 20.0 pp, 95 % confidence)" in verdict.summary
