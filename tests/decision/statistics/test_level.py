"""The level of the gate's paired tests, by enumeration: a false decision is never likelier than stated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from benchmarks.exact_level import DISAGREEMENTS, LEVELS, ROWS, disagreement_rows, level_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

from lynxgate.decision.statistics import (
    Pairs,
    chance_of_holding,
    chance_of_regression,
    inferiority,
    noninferior,
    noninferiority,
    proved_worse,
    quantile,
    tango_z,
    upper_tail,
)
from lynxgate.decision.statistics.decision import EXACT_ROWS, corrected_z, correction
from lynxgate.decision.statistics.exact import critical_z, holding_limits, holding_probability, size, worse_size

DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"


def outcomes(n: int) -> Iterator[Pairs]:
    return (Pairs(n, gains, losses) for gains in range(n + 1) for losses in range(n + 1 - gains))


def probability(pairs: list[Pairs], disagreement: float, difference: float) -> float:
    """Summed straight from the trinomial distribution, by scipy."""
    if not pairs:
        return 0.0
    chances = [(disagreement + difference) / 2, (disagreement - difference) / 2, 1 - disagreement]
    counts = np.array([(p.gains, p.losses, p.n - p.gains - p.losses) for p in pairs])
    return float(multinomial.pmf(counts, pairs[0].n, np.clip(chances, 0, 1)).sum())


@cache
def decided(rule: Callable[[Pairs, float, float], bool], n: int, margin: float, confidence: float) -> list[Pairs]:
    return [pairs for pairs in outcomes(n) if rule(pairs, margin, confidence)]


@pytest.mark.parametrize("confidence", [0.95, 0.975])
@pytest.mark.parametrize("margin", [0.0, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("n", [1, 2, 5, 12, 25, 40])
@pytest.mark.parametrize("rule", [noninferior, partial(proved_worse, exact=True)])
def test_a_false_decision_is_never_likelier_than_stated(
    rule: Callable[[Pairs, float, float], bool], n: int, margin: float, confidence: float
) -> None:
    region = decided(rule, n, margin, confidence)
    for disagreement in np.linspace(margin, 1, 60):
        assert probability(region, float(disagreement), -margin) <= 1 - confidence + 1e-12


def test_tango_alone_does_exceed_its_level() -> None:
    """Why the exact p exists: 268 examples without a disagreement pass Tango at 5 %, and happen in 6.8 %."""
    silent = Pairs(268, 0, 0)
    assert upper_tail(tango_z(silent, -0.01)) < 0.05
    assert 0.99**268 > 0.067
    assert not noninferior(silent, 0.01)
    assert noninferior(Pairs(299, 0, 0), 0.01)
    assert size(268, 0.01, quantile(0.95))[0] == pytest.approx(0.99**268, abs=1e-9)


def test_an_interval_of_width_zero_would_pass_anything() -> None:
    """Bootstrap and t intervals are [0, 0] without a disagreement: their false pass at the boundary is that event."""
    assert round(0.99**10, 2) == 0.90
    assert round(0.99**100, 2) == 0.37
    assert chance_of_holding(10, 0.01, 0.01, -0.01, 0.975) == 0.0
    assert chance_of_holding(100, 0.01, 0.01, -0.01, 0.975) == 0.0


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_one_pass_sum_is_the_double_sum(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    margin = data.draw(st.sampled_from([0.0, 0.01, 0.1, 0.37]))
    z = data.draw(st.floats(-4, 4))
    difference = data.draw(st.floats(-1, 1))
    disagreement = data.draw(st.floats(abs(difference), 1))
    region = [pairs for pairs in outcomes(n) if tango_z(pairs, -margin) >= z - 1e-9]
    inside, unseen = holding_probability(holding_limits(n, margin, z), disagreement, difference)
    assert inside == pytest.approx(probability(region, disagreement, difference), abs=1e-9)
    assert unseen <= 1e-9


@pytest.mark.parametrize(("n", "margin"), [(30, 0.05), (200, 0.0), (200, 0.02), (500, 0.1), (900, 0.01)])
def test_the_supremum_stands_on_a_grid_twenty_times_finer(n: int, margin: float) -> None:
    z = quantile(0.95)
    for found, limits, inside in (
        (size(n, margin, z)[0], holding_limits(n, margin, z), True),
        (worse_size(n, margin, -z)[0], holding_limits(n, margin, -z, strict=True), False),
    ):
        angles = np.linspace(math.asin(math.sqrt(margin)), math.pi / 2, math.ceil(20 * math.pi * math.sqrt(n)))
        shares = np.clip(np.sin(angles) ** 2, margin, 1)
        chances = [holding_probability(limits, float(share), -margin)[0] for share in shares]
        highest = max(chances) if inside else 1 - min(chances)
        assert highest <= found + 1e-6


@pytest.mark.parametrize("margin", [0.0, 0.002, 0.03, 0.3])
@pytest.mark.parametrize("level", [0.05, 0.025, 0.0025])
def test_the_corrected_test_holds_its_level_where_exactness_ends(margin: float, level: float) -> None:
    n, z = EXACT_ROWS + 1, quantile(1 - level)
    assert size(n, margin, z, correction(margin, z, 1))[0] <= level
    assert worse_size(n, margin, -z, correction(margin, z, -1))[0] <= level


@settings(deadline=None)
@given(st.integers(EXACT_ROWS + 1, 10**6), st.data())
def test_the_corrected_z_reaches_its_own_correction(n: int, data: st.DataObject) -> None:
    pairs = Pairs(n, data.draw(st.integers(0, n // 2)), data.draw(st.integers(0, n // 2)))
    margin, toward = data.draw(st.floats(0.0, 0.9)), data.draw(st.sampled_from([1, -1]))
    z = corrected_z(pairs, margin, toward)
    if 1.2 < z < 30:
        same = tango_z(pairs, -margin, correction(margin, z, toward))
        assert toward * same == pytest.approx(z, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 150), st.data())
def test_p_never_undercuts_tango_and_both_sides_are_not_proved(n: int, data: st.DataObject) -> None:
    gains = data.draw(st.integers(0, n))
    pairs = Pairs(n, gains, data.draw(st.integers(0, n - gains)))
    margin = data.draw(st.sampled_from([0.0, 0.01, 0.05, 0.2]))
    holds, falls = noninferiority(pairs, margin), inferiority(pairs, margin, exact=True)
    assert upper_tail(holds.z) <= holds.p <= 1
    assert upper_tail(-falls.z) <= falls.p <= 1
    assert not (holds.p < 0.5 and falls.p < 0.5)
    if gains:
        fewer = noninferiority(Pairs(n, gains - 1, pairs.losses), margin)
        # From a half up p is Tango's own, which no level asks about.
        assert min(fewer.p, 0.5) >= min(holds.p, 0.5) - 1e-9


def test_no_exact_sum_where_tango_does_not_decide() -> None:
    pairs = Pairs(500, 12, 20)
    assert noninferiority(pairs, 0.02, level=0.05).method == "tango"
    assert noninferiority(Pairs(500, 12, 10), 0.02, level=0.05).method == "exact"
    assert noninferiority(Pairs(20_000, 480, 400), 0.02, level=0.05).method == "corrected"


def test_the_critical_limit_is_the_smallest() -> None:
    limit = critical_z(300, 0.02, 0.05)
    assert size(300, 0.02, limit)[0] <= 0.05 < size(300, 0.02, limit - 2e-5)[0]
    worse = critical_z(300, 0.02, 0.05, -1)
    assert worse_size(300, 0.02, -worse)[0] <= 0.05 < worse_size(300, 0.02, -worse + 2e-5)[0]


@pytest.mark.parametrize("margin", [0.02, 0.1])
def test_the_chance_of_holding_is_the_sum_over_the_rule(margin: float) -> None:
    region = decided(noninferior, 40, margin, 0.95)
    for disagreement in (0.1, 0.4, 1.0):
        for difference in (-margin, 0.0, 0.1):
            assert chance_of_holding(40, margin, disagreement, difference) == pytest.approx(
                probability(region, disagreement, difference), abs=1e-9
            )


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_the_chance_of_a_regression_is_the_sum_over_the_rule(margin: float) -> None:
    region = decided(proved_worse, 40, margin, 0.95)
    for disagreement in (0.3, 0.6, 1.0):
        for difference in (-0.3, -margin, 0.0):
            assert chance_of_regression(40, margin, disagreement, difference) == pytest.approx(
                probability(region, disagreement, difference), abs=1e-8
            )


def test_an_equal_model_is_hardly_ever_blocked() -> None:
    """Twenty buckets of 500 at 10 % disagreement and 3 pp: what Tango's level at the margin leaves for equal models."""
    one = chance_of_regression(500, 0.03, 0.10, 0.0, 1 - 0.05 / 20)
    assert 20 * one < 2e-5
    # The price of an exact block at that level, as docs/statistics.md states it.
    assert round(chance_of_regression(500, 0.03, 0.10, -0.08, 1 - 0.05 / 20), 3) == 0.874
    limits = holding_limits(500, 0.03, -critical_z(500, 0.03, 0.05 / 20, -1), strict=True)
    assert round(1 - holding_probability(limits, 0.10, -0.08)[0], 3) == 0.792
    assert round(worse_size(500, 0.03, -quantile(1 - 0.05 / 20))[0], 4) == 0.0055
    # And an overall margin of 1 pp is proved for an equal model in more than 93 % of gates.
    assert chance_of_holding(10_000, 0.01, 0.10) > 0.93


def test_the_page_shows_what_the_script_prints() -> None:
    page = DOCS.read_text(encoding="utf-8").splitlines()
    small = [n for n in ROWS if n <= 100]
    for line in [row for level in LEVELS for row in level_rows(level, small)] + list(disagreement_rows(0.01, small)):
        assert line in page
    # And nothing on the page, at any n, is above its level.
    for level in LEVELS:
        start = next(i for i, line in enumerate(page) if line.startswith(f"Level {100 * level:g} %"))
        rows = page[start + 4 : start + 4 + len(ROWS)]
        for row, n in zip(rows, ROWS, strict=True):
            first, *cells = row.strip("| ").split(" | ")
            assert int(first) == n
            for cell in cells:
                _, exact = cell.split(" → ")
                assert all(float(part) <= 100 * level for part in exact.split(" / "))
    assert len(DISAGREEMENTS) == 7


@pytest.mark.parametrize("margin", [-0.01, 1.0, 2.0, math.nan])
def test_an_impossible_margin_is_refused(margin: float) -> None:
    for call in (noninferior, proved_worse):
        with pytest.raises(ValueError, match="margin"):
            call(Pairs(5, 1, 1), margin)
    with pytest.raises(ValueError, match="margin"):
        size(5, margin, 1.0)


def test_impossible_truths_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot disagree"):
        chance_of_holding(10, 0.1, 0.05, -0.1)
    with pytest.raises(ValueError, match="without an example"):
        size(0, 0.1, 1.0)
    for confidence in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            noninferior(Pairs(5, 1, 1), 0.1, confidence)
