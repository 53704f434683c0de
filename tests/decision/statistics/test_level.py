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
@pytest.mark.slow
def test_a_false_decision_is_never_likelier_than_stated(
    rule: Callable[[Pairs, float, float], bool], n: int, margin: float, confidence: float
) -> None:
    region = decided(rule, n, margin, confidence)
    for disagreement in np.linspace(margin, 1, 60):
        assert probability(region, float(disagreement), -margin) <= 1 - confidence + 1e-12


@pytest.mark.parametrize(
    ("n", "margin", "confidence", "disagreement"), [(40, 0.2485, 0.95, 0.2731), (58, 0.12229, 0.93, 0.1358)]
)
@pytest.mark.slow
def test_no_peak_of_the_false_pass_rate_is_missed(
    n: int, margin: float, confidence: float, disagreement: float
) -> None:
    """An earlier search missed these peaks: the rates were 5.067 % at a level of 5 %, and 7.288 % at 7 %."""
    region = decided(noninferior, n, margin, confidence)
    for each in [disagreement, *np.linspace(margin, min(3 * margin, 1), 400)]:
        assert probability(region, float(each), -margin) <= 1 - confidence + 1e-9


def test_a_gain_more_never_hurts_where_the_search_missed_a_peak() -> None:
    """30 examples, 11 losses, 2 pp, confidence 0.8457: 16 gains were proved and 17 were not."""
    p = [noninferiority(Pairs(30, gains, 11), 0.02).p for gains in (15, 16, 17, 18)]
    assert p == sorted(p, reverse=True)
    assert not noninferior(Pairs(30, 16, 11), 0.02, 0.8457)
    more, fewer = (noninferiority(Pairs(142, gains, 43), 0.01).p for gains in (48, 47))
    assert more < fewer


MARGINS = st.one_of(st.sampled_from([0.0, 0.01, 0.05, 0.2]), st.floats(0.001, 0.6))


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 60), MARGINS, st.floats(0.8, 0.999), st.floats(0, 1), st.booleans())
@pytest.mark.slow
def test_no_disagreement_makes_a_false_decision_likelier_than_stated(
    n: int, margin: float, confidence: float, angle: float, worse: bool
) -> None:
    limit = critical_z(n, margin, 1 - confidence, -1 if worse else 1)
    limits = holding_limits(n, margin, -limit if worse else limit, strict=worse)
    inside, _ = holding_probability(limits, margin + (1 - margin) * angle, -margin)
    assert (1 - inside if worse else inside) <= 1 - confidence + 1e-9


@settings(deadline=None, max_examples=80)
@given(st.integers(2, 150), MARGINS, st.data())
@pytest.mark.slow
def test_a_gain_more_never_hurts_and_a_loss_more_never_helps(n: int, margin: float, data: st.DataObject) -> None:
    gains = data.draw(st.integers(0, n - 1))
    losses = data.draw(st.integers(0, n - 1 - gains))
    here, better, worse = (Pairs(n, gains + g, losses + loss) for g, loss in ((0, 0), (1, 0), (0, 1)))
    for level in (0.2, 0.05):
        within = [min(noninferiority(each, margin, level).p, level) for each in (better, here, worse)]
        beyond = [min(inferiority(each, margin, level, exact=True).p, level) for each in (worse, here, better)]
        for p in (within, beyond):
            assert p[0] <= p[1] + 1e-9
            assert p[1] <= p[2] + 1e-9


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
@pytest.mark.slow
def test_the_corrected_test_holds_its_level_where_exactness_ends(margin: float, level: float) -> None:
    n, z = EXACT_ROWS + 1, quantile(1 - level)
    assert size(n, margin, z, correction(margin, z, 1))[0] <= level
    assert worse_size(n, margin, -z, correction(margin, z, -1))[0] <= level


@settings(deadline=None)
@given(st.integers(EXACT_ROWS + 1, 10**6), st.data())
@pytest.mark.slow
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
@pytest.mark.slow
def test_the_chance_of_holding_is_the_sum_over_the_rule(margin: float) -> None:
    region = decided(noninferior, 40, margin, 0.95)
    for disagreement in (0.1, 0.4, 1.0):
        for difference in (-margin, 0.0, 0.1):
            assert chance_of_holding(40, margin, disagreement, difference) == pytest.approx(
                probability(region, disagreement, difference), abs=1e-9
            )


@pytest.mark.parametrize("margin", [0.0, 0.1])
@pytest.mark.slow
def test_the_chance_of_a_regression_is_the_sum_over_the_rule(margin: float) -> None:
    region = decided(partial(proved_worse, exact=True), 40, margin, 0.95)
    for disagreement in (0.3, 0.6, 1.0):
        for difference in (-0.3, -margin, 0.0):
            assert chance_of_regression(40, margin, disagreement, difference) == pytest.approx(
                probability(region, disagreement, difference), abs=1e-8
            )


@pytest.mark.slow
def test_an_equal_model_is_hardly_ever_blocked() -> None:
    """Twenty buckets of 500 at 10 % disagreement and 3 pp: what Tango's level at the margin leaves for equal models."""
    one = chance_of_regression(500, 0.03, 0.10, 0.0, 1 - 0.05 / 20)
    assert 20 * one < 2e-5
    # The price of an exact block at that level, beside Tango's, as docs/statistics.md states it.
    assert round(chance_of_regression(500, 0.03, 0.10, -0.08, 1 - 0.05 / 20), 3) == 0.792
    limits = holding_limits(500, 0.03, -quantile(1 - 0.05 / 20), strict=True)
    assert round(1 - holding_probability(limits, 0.10, -0.08)[0], 3) == 0.874
    assert round(worse_size(500, 0.03, -quantile(1 - 0.05 / 20))[0], 4) == 0.0055
    # And an overall margin of 1 pp is proved for an equal model in more than 93 % of gates.
    assert chance_of_holding(10_000, 0.01, 0.10) > 0.93


@pytest.mark.slow
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
