"""Guardrail metrics: directions, limits, zero and negative baselines, samples, machines, and what no policy covers."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.metrics.policy import BaselineMetric, MetricPolicy, idle_globs, terms_of
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.metrics.samples import count_outliers, summarise
from lynxgate.decision.outcome import Outcome
from lynxgate.errors import CannotJudge
from minieval.contract.documents import parse_document, parse_json, pretty_json
from minieval.contract.report import Metric

SAME = ("f1", "f1")
amounts = st.decimals(min_value=Decimal("0.001"), max_value=Decimal(10_000), places=3)


def agreed(value: str | int, direction: str = "lower", **more: Any) -> BaselineMetric:
    return BaselineMetric.model_validate({"value": Decimal(value), "direction": direction, "machine": False, **more})


def limits(**more: Any) -> MetricPolicy:
    words = {"tier", "statistic"}
    return MetricPolicy.model_validate(
        {key: Decimal(value) if isinstance(value, str) and key not in words else value for key, value in more.items()}
    )


def measured(value: str | int, **more: Any) -> Metric:
    return Metric.model_validate({"value": Decimal(value), **more})


def judge(terms: MetricPolicy, before: BaselineMetric, now: Metric, fingerprints: Any = SAME) -> MetricRow:
    (row,) = judge_metrics({"m": terms}, {"m": before}, {"m": now}, fingerprints=fingerprints)
    return row


def samples(*values: str | int | float) -> list[Decimal]:
    return [Decimal(str(value)) for value in values]


@pytest.mark.parametrize(
    ("terms", "direction", "before", "at_limit", "beyond"),
    [
        (limits(max_ratio="1.1"), "lower", "0.9", "0.99", "0.9900000001"),
        (limits(max_pct="10"), "lower", "0.9", "0.99", "0.9900000001"),
        (limits(max_abs="0.02"), "lower", "0.9", "0.92", "0.9200000001"),
        (limits(max_abs="0.02"), "higher", "0.92", "0.90", "0.8999999999"),
        (limits(max_pct="5"), "higher", "1000", "950", "949.99999"),
        (limits(max_ratio="1.25"), "higher", "1000", "800", "799.99999"),
        (limits(max="100"), "lower", "50", "100", "100.000001"),
        (limits(min="100"), "higher", "500", "100", "99.999999"),
        (limits(max_abs="0"), "lower", "0", "0", "0.000001"),
    ],
)
def test_at_the_limit_it_holds_and_beyond_it_does_not(
    terms: MetricPolicy, direction: str, before: str, at_limit: str, beyond: str
) -> None:
    assert judge(terms, agreed(before, direction), measured(at_limit)).outcome is Outcome.HELD
    row = judge(terms, agreed(before, direction), measured(beyond))
    assert row.outcome is Outcome.REGRESSED and row.blocks


@given(amounts, amounts, st.sampled_from(["lower", "higher"]), amounts)
@pytest.mark.slow
def test_a_metric_that_is_not_worse_breaks_no_relative_limit(
    one: Decimal, other: Decimal, direction: str, limit: Decimal
) -> None:
    better, worse = sorted((one, other), reverse=direction == "higher")
    terms = MetricPolicy(max_ratio=1 + limit, max_pct=limit, max_abs=limit, warn_max_abs=limit / 2)
    row = judge(terms, agreed(str(worse), direction), measured(str(better)))
    assert (row.outcome, row.warning) == (Outcome.HELD, None)


@given(amounts, amounts, st.sampled_from(["lower", "higher"]), st.integers(0, 200))
@pytest.mark.slow
def test_the_three_kinds_agree_with_fractions(before: Decimal, now: Decimal, direction: str, percent: int) -> None:
    was, became = Fraction(before), Fraction(now)
    worse = became - was if direction == "lower" else was - became
    by_percent = judge(MetricPolicy(max_pct=Decimal(percent)), agreed(str(before), direction), measured(str(now)))
    assert (by_percent.outcome is Outcome.REGRESSED) == (worse / was > Fraction(percent, 100))
    ratio = 1 + Decimal(percent) / 100
    factor = became / was if direction == "lower" else was / became
    by_ratio = judge(MetricPolicy(max_ratio=ratio), agreed(str(before), direction), measured(str(now)))
    assert (by_ratio.outcome is Outcome.REGRESSED) == (factor > Fraction(ratio))
    by_distance = judge(MetricPolicy(max_abs=Decimal(percent)), agreed(str(before), direction), measured(str(now)))
    assert (by_distance.outcome is Outcome.REGRESSED) == (worse > percent)


def test_the_candidates_own_direction_changes_nothing() -> None:
    terms, before = limits(max_pct="5"), agreed(100, "lower")
    rows = [judge(terms, before, measured(9999, direction=said)) for said in ("lower", "higher", "info", None)]
    assert all(row == rows[0] for row in rows)
    assert rows[0].outcome is Outcome.REGRESSED and rows[0].direction == "lower"


@pytest.mark.parametrize("before", ["0", "-5"])
@pytest.mark.parametrize("key", ["max_ratio", "max_pct"])
def test_relative_to_zero_or_less_is_refused_and_absolute_works(before: str, key: str) -> None:
    for now in ("0.5", before):
        row = judge(limits(**{key: "2"}), agreed(before), measured(now))
        assert row.outcome is Outcome.UNMEASURED
        assert "set max_abs instead" in row.reason
    assert judge(limits(max_abs="1"), agreed(before), measured(before)).outcome is Outcome.HELD
    assert judge(limits(max_abs="1"), agreed(before), measured("5")).outcome is Outcome.REGRESSED


@pytest.mark.parametrize("key", ["warn_max_ratio", "warn_max_pct"])
def test_a_warning_band_relative_to_zero_is_not_skipped_in_silence(key: str) -> None:
    terms = limits(max_abs="9", **{key: "5"})
    worse, equal, better = (judge(terms, agreed("0"), measured(now)) for now in ("1", "0", "-1"))
    assert worse.warning == f"0 -> 1: worse, and a share of 0 has no meaning, and {key} is 5.0"
    assert worse.outcome is Outcome.HELD
    assert equal.warning is better.warning is None


def test_a_throughput_that_falls_to_zero_is_worse_than_any_ratio() -> None:
    row = judge(limits(max_ratio="1000000"), agreed(10, "higher"), measured(0))
    assert row.outcome is Outcome.REGRESSED
    assert "more than any ratio" in row.reason


def test_every_metric_of_either_side_has_a_row_and_there_is_no_implicit_default() -> None:
    policy = {"latency": limits(max_pct="5")}
    rows = judge_metrics(
        policy,
        {"latency": agreed(1), "size": agreed(1)},
        {"size": measured(1), "extra": measured(1)},
        fingerprints=SAME,
    )
    assert [(row.metric, row.outcome.value) for row in rows] == [
        ("extra", "new"),
        ("latency", "missing"),
        ("size", "unmeasured"),
    ]
    assert "`default`" in rows[2].reason
    everything = {**policy, "default": limits(max_pct="0")}
    rows = judge_metrics(
        everything,
        {"latency": agreed(1), "size": agreed(1)},
        {"size": measured(1), "latency": measured(1)},
        fingerprints=SAME,
    )
    assert {row.outcome for row in rows} == {Outcome.HELD}


def test_without_metrics_in_policy_and_baseline_there_is_no_row() -> None:
    assert judge_metrics({}, {}, {"latency": measured(1)}, fingerprints=SAME) == ()
    (row,) = judge_metrics({}, {"latency": agreed(1)}, {"latency": measured(1)}, fingerprints=SAME)
    assert row.outcome is Outcome.UNMEASURED


def test_advisory_is_shown_and_never_blocks() -> None:
    rows = judge_metrics(
        {"default": limits(tier="advisory", max_pct="1")},
        {"a": agreed(1)},
        {"a": measured(2), "b": measured(1)},
        fingerprints=SAME,
    )
    assert [row.outcome.value for row in rows] == ["regressed", "new"]
    assert not any(row.blocks for row in rows)


def test_the_most_specific_entry_applies() -> None:
    policy = {
        "latency.*": limits(max_pct="5"),
        "latency.p9?": limits(max_pct="6"),
        "latency.p95": limits(max_pct="7"),
        "default": limits(max_pct="8"),
    }
    found = [terms_of(policy, name) for name in ("latency.p50", "latency.p99", "latency.p95", "default", "size")]
    assert [terms.max_pct if terms else None for terms in found] == [5, 6, 7, 8, 8]
    assert idle_globs(policy, frozenset({"latency.p50"})) == ("latency.p95", "latency.p9?")


def test_a_misspelt_entry_cannot_be_judged_by() -> None:
    with pytest.raises(CannotJudge, match="'latncy' matches no metric"):
        judge_metrics(
            {"latncy": limits(max_pct="5")}, {"latency": agreed(1)}, {"latency": measured(1)}, fingerprints=SAME
        )


@pytest.mark.parametrize(
    ("direction", "key"), [("lower", "min"), ("lower", "warn_min"), ("higher", "max"), ("info", "max_pct")]
)
def test_a_limit_on_the_better_side_is_refused(direction: str, key: str) -> None:
    terms = limits(**{"max_abs": "9", key: "5"})
    with pytest.raises(CannotJudge, match=key):
        judge(terms, agreed(1, direction), measured(1))


def test_info_is_held_under_a_default_and_may_have_bounds() -> None:
    policy = {"default": limits(max_pct="5", warn_max_pct="1")}
    (row,) = judge_metrics(policy, {"t": agreed(1, "info")}, {"t": measured(50)}, fingerprints=SAME)
    assert (row.outcome, row.warning) == (Outcome.HELD, None)
    assert judge(limits(min="0", max="40"), agreed(1, "info"), measured(50)).outcome is Outcome.REGRESSED


def test_warning_band_shows_and_never_blocks() -> None:
    terms = limits(max_pct="10", warn_max_pct="5")
    calm, warned, blocked = (judge(terms, agreed(100), measured(now)) for now in ("105", "106", "111"))
    assert (calm.outcome, calm.warning) == (Outcome.HELD, None)
    assert warned.outcome is Outcome.HELD and not warned.blocks
    assert warned.warning == "100 -> 106: worse by 6.00 %, and warn_max_pct is 5.0"
    assert blocked.outcome is Outcome.REGRESSED and blocked.warning is not None


@pytest.mark.parametrize(
    ("fingerprints", "outcome"),
    [
        (("f1", "f1"), Outcome.HELD),
        (("f1", "f2"), Outcome.UNMEASURED),
        ((None, "f1"), Outcome.UNMEASURED),
        (("f1", None), Outcome.UNMEASURED),
        ((None, None), Outcome.UNMEASURED),
    ],
)
def test_what_depends_on_the_machine_needs_an_equal_one(fingerprints: Any, outcome: Outcome) -> None:
    assert judge(limits(max_pct="5"), agreed(1, machine=True), measured(1), fingerprints).outcome is outcome
    assert (
        judge(limits(max_pct="5", across_machines=True), agreed(1, machine=True), measured(1), fingerprints).outcome
        is Outcome.HELD
    )
    assert judge(limits(max_pct="5"), agreed(1), measured(1), fingerprints).outcome is Outcome.HELD


def test_another_unit_is_not_compared() -> None:
    for unit in (None, "s"):
        row = judge(limits(max_pct="5"), agreed(1, unit="ms"), measured(1, unit=unit))
        assert row.outcome is Outcome.UNMEASURED and "unit" in row.reason


def test_a_placeholder_is_not_measured() -> None:
    before = BaselineMetric.model_validate({"direction": "lower", "machine": False})
    assert judge(limits(max_pct="5"), before, measured(1)).outcome is Outcome.UNMEASURED


def test_the_warm_up_is_dropped_on_both_sides() -> None:
    before = agreed(0, samples=samples(900, 10, 10, 10))
    now = measured(0, samples=samples(5000, 10, 10, 11))
    cold = judge(limits(max_pct="5", statistic="mean"), before, now)
    warm = judge(limits(max_pct="5", statistic="mean", warmup=1), before, now)
    assert (cold.outcome, warm.outcome) == (Outcome.REGRESSED, Outcome.HELD)
    assert warm.candidate == "31/3"
    assert warm.shift is not None and (warm.shift.n_baseline, warm.shift.n_candidate) == (3, 3)
    few = judge(limits(max_pct="5", statistic="mean", warmup=4), before, now)
    assert few.outcome is Outcome.UNMEASURED and "0 samples after a warm-up of 4" in few.reason
    fewer = judge(limits(max_pct="5", statistic="mean", min_samples=5), before, now)
    assert fewer.outcome is Outcome.UNMEASURED and "needs 5" in fewer.reason


def test_samples_that_the_policy_asks_for_must_be_there() -> None:
    for terms in (limits(max_pct="5", statistic="p95"), limits(max_pct="5", confidence="0.95")):
        row = judge(terms, agreed(1), measured(1, samples=samples(1)))
        assert row.outcome is Outcome.UNMEASURED and "the baseline has none" in row.reason


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_the_rank_test_looks_at_the_worse_tail(direction: str) -> None:
    """A throughput that falls is a regression, not 'not significant'."""
    high, low = list(range(100, 110)), list(range(80, 90))
    before, now = (low, high) if direction == "lower" else (high, low)
    terms = limits(max_pct="5", confidence="0.99", statistic="median")
    row = judge(terms, agreed(1, direction, samples=samples(*before)), measured(1, samples=samples(*now)))
    assert row.outcome is Outcome.REGRESSED
    assert row.shift is not None
    tail = "greater" if direction == "lower" else "less"
    assert float(Fraction(row.shift.p)) == pytest.approx(
        stats.mannwhitneyu(now, before, alternative=tail, method="exact").pvalue, abs=1e-6
    )
    back = judge(terms, agreed(1, direction, samples=samples(*now)), measured(1, samples=samples(*before)))
    assert back.outcome is Outcome.HELD and back.shift is not None and Fraction(back.shift.p) > Fraction(99, 100)


def test_three_against_three_prove_nothing_at_95_percent() -> None:
    before, now = agreed(1, samples=samples(1, 2, 3)), measured(1, samples=samples(11, 12, 13))
    row = judge(limits(max_pct="5", confidence="0.95", statistic="median"), before, now)
    assert row.outcome is Outcome.INCONCLUSIVE and row.blocks
    assert "n 3 and 3, Mann-Whitney p 0.05, at best 0.050" in row.reason
    assert judge(limits(max_pct="5", statistic="median"), before, now).outcome is Outcome.REGRESSED


def test_a_ceiling_is_not_softened_by_samples() -> None:
    before, now = agreed(1, samples=samples(1, 2, 3)), measured(99, samples=samples(1, 2, 3))
    row = judge(limits(max_pct="5", max="10", confidence="0.95"), before, now)
    assert row.outcome is Outcome.REGRESSED and "above max 10.0" in row.reason


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60))
def test_figures_of_samples_are_exact(values: list[int]) -> None:
    exact = [Fraction(value) for value in values]
    assert summarise(exact, "mean") == Fraction(sum(values), len(values))
    assert float(summarise(exact, "median")) == stats.scoreatpercentile(values, 50)
    for name, percent in (("p90", 90), ("p95", 95), ("p99", 99)):
        figure = summarise(exact, name)  # type: ignore[arg-type]  # the names of the loop
        assert sum(value <= figure for value in values) * 100 >= percent * len(values)
        assert sum(value < figure for value in values) * 100 < percent * len(values)
    assert (summarise(exact, "min"), summarise(exact, "max")) == (min(exact), max(exact))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "limits nothing"),
        ({"warn_max_pct": 5}, "limits nothing"),
        ({"max_pct": None}, "max_pct is null"),
        ({"max_pct": -1}, "greater than or equal to 0"),
        ({"max_ratio": 0}, "greater than or equal to 1"),
        ({"max_pct": True}, "not a number"),
        ({"max_pct": "12"}, "not a number"),
        ({"max_pct": 5, "warmup": 2}, "about samples"),
        ({"max_pct": 5, "min_samples": 2}, "about samples"),
        ({"max": 5, "confidence": Decimal("0.9")}, "change from the baseline"),
        ({"max_pct": 5, "confidence": 1}, "less than 1"),
        ({"min": 5, "max": 4}, "nothing could pass"),
        ({"max_pct": 5, "warn_max_pct": 5}, "never shown"),
        ({"min": 5, "warn_min": 5}, "put it above"),
        ({"max_pct": 5, "max_percent": 5}, "Extra inputs"),
        ({"max_pct": 5, "tier": "critical"}, "standard"),
    ],
)
def test_a_key_without_an_effect_is_refused(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        MetricPolicy.model_validate(entry)


def test_a_baseline_metric_needs_direction_and_machine() -> None:
    for missing in ("direction", "machine"):
        entry = {"value": Decimal(1), "direction": "lower", "machine": True}
        del entry[missing]
        with pytest.raises(ValidationError, match=missing):
            BaselineMetric.model_validate(entry)


def test_a_row_is_evidence_that_reads_back() -> None:
    row = judge(
        limits(max_pct="5", warn_max_pct="1"),
        agreed(3, unit="ms", samples=samples(3, 4)),
        measured("3.1", unit="ms", samples=samples(3, 5)),
    )
    assert parse_document(pretty_json(row.model_dump(mode="json")), MetricRow, where="row") == row
    assert (row.baseline, row.candidate, row.change) == ("3.0", "3.1", "0.1")
    assert row.limits == {"max_pct": "5.0", "warn_max_pct": "1.0"}


@pytest.mark.parametrize("text", ["[]", "[NaN]", "[true]", '["1"]', "[1e999]", f"[{','.join(['1'] * 10_001)}]"])
def test_samples_are_finite_numbers_and_bounded(text: str) -> None:
    with pytest.raises(CannotJudge):
        parse_document(f'{{"value": 1, "samples": {text}}}'.encode(), Metric, where="metric")


def test_a_metric_without_samples_is_written_as_before() -> None:
    assert "samples" not in measured(1).model_dump()
    kept = measured(1, samples=samples(1, "2.5"))
    assert parse_document(pretty_json(kept.model_dump()), Metric, where="metric") == kept


def test_the_page_shows_a_baseline_and_a_policy_that_judge() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    agreed_text, policy_text = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    tables = [parse_json(text.encode(), where="page") for text in (agreed_text, policy_text)]
    baseline = {name: BaselineMetric.model_validate(entry) for name, entry in tables[0].items()}
    policy = {name: MetricPolicy.model_validate(entry) for name, entry in tables[1].items()}
    candidate = {
        "latency_ms_p95": measured("0.9", unit="ms"),
        "bundle_bytes": measured(132_001, unit="bytes"),
        "error_rate": measured("0.001"),
        "throughput": measured(900, unit="1/s", samples=samples(100, 890, 900, 910, 905)),
    }
    rows = judge_metrics(policy, baseline, candidate, fingerprints=SAME)
    assert [(row.metric, row.outcome.value, row.warning is not None) for row in rows] == [
        ("bundle_bytes", "regressed", False),
        ("error_rate", "held", False),
        ("latency_ms_p95", "held", True),
        ("throughput", "regressed", False),
    ]


def test_outliers_are_counted_on_each_side_and_stay_in_every_figure() -> None:
    """Hinges of 1..7 with the middle in both halves: 2.5 and 5.5, so that the fences are -2 and 10."""
    assert count_outliers([Fraction(n) for n in (1, 2, 3, 4, 5, 6, 7)]).model_dump() == {"low": 0, "high": 0}
    assert count_outliers([Fraction(n) for n in (1, 2, 3, 4, 5, 6, 10)]).model_dump() == {"low": 0, "high": 0}
    assert count_outliers([Fraction(n) for n in (-3, 2, 3, 4, 5, 6, 11)]).model_dump() == {"low": 1, "high": 1}
    before, now = samples(9, 10, 10, 11, 12, 10, 11), samples(9, 10, 10, 11, 12, 10, 990)
    row = judge(limits(max_pct="1", statistic="max"), agreed(1, samples=before), measured(1, samples=now))
    assert row.outliers_baseline is not None and row.outliers_candidate is not None
    assert (row.outliers_baseline.high, row.outliers_candidate.high, row.outliers_candidate.low) == (0, 1, 0)
    assert row.candidate == "990.0" and row.outcome is Outcome.REGRESSED
    assert "outliers 0 and 1" in row.reason
    calm = judge(limits(max_pct="1", statistic="max"), agreed(1, samples=before), measured(1, samples=before))
    assert "outliers" not in calm.reason and calm.outliers_candidate is not None


def test_outliers_are_shown_for_an_info_metric_too() -> None:
    before, now = agreed(1, "info", samples=samples(1, 1, 1)), measured(1, samples=samples(1, 1, 1, 1, 50))
    row = judge(limits(max="5"), before, now)
    assert row.shift is None
    assert row.outliers_candidate is not None and row.outliers_candidate.high == 1


def test_warmup_samples_are_not_counted_as_outliers() -> None:
    before, now = agreed(1, samples=samples(900, 10, 10, 10, 11)), measured(1, samples=samples(900, 10, 10, 11, 10))
    for terms, found in (({"warmup": 1}, 0), ({}, 1)):
        row = judge(limits(max_pct="5", statistic="mean", **terms), before, now)
        assert row.outliers_candidate is not None and row.outliers_baseline is not None
        assert row.outliers_baseline.high == row.outliers_candidate.high == found


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=50), st.integers(1, 9), st.integers(-50, 50))
def test_outliers_do_not_depend_on_order_unit_or_origin(values: list[int], scale: int, shift: int) -> None:
    exact = [Fraction(value) for value in values]
    found = count_outliers(exact)
    assert found == count_outliers([scale * value + shift for value in reversed(exact)])
    mirrored = count_outliers([-value for value in exact])
    assert (mirrored.low, mirrored.high) == (found.high, found.low)
    assert found.low + found.high <= len(values) // 2


def test_there_is_nothing_to_fence_without_a_sample() -> None:
    with pytest.raises(ValueError, match="without a sample"):
        count_outliers([])
