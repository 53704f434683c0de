"""Tango's score test, McNemar and the paired intervals, against published tables, libraries and their own laws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from lynxgate.decision.statistics import (
    Pairs,
    mcnemar_asymptotic,
    mcnemar_exact,
    mcnemar_mid_p,
    newcombe_paired,
    pair,
    quantile,
    tango_interval,
    tango_z,
    upper_tail,
)


@st.composite
def some_pairs(draw: st.DrawFn, most: int = 3000) -> Pairs:
    n = draw(st.integers(1, most))
    gains = draw(st.integers(0, n))
    return Pairs(n, gains, draw(st.integers(0, n - gains)))


differences = st.floats(-1, 1)


@pytest.mark.parametrize(
    ("pairs", "confidence", "interval", "digits"),
    [
        (Pairs(161, 6, 16), 0.95, (-0.1240, -0.0054), 4),  # R contingencytables
        (Pairs(3, 3, 0), 0.95, (-0.1230, 1.0), 4),  # the same
        (Pairs(44, 0, 1), 0.90, (-0.096, 0.037), 3),  # ratesci; Tango 1998
        (Pairs(500, 12, 10), 0.90, (-0.0121, 0.0204), 4),
    ],
)
def test_published_tango_intervals(pairs: Pairs, confidence: float, interval: tuple[float, float], digits: int) -> None:
    assert tuple(round(limit, digits) for limit in tango_interval(pairs, confidence)) == interval


@pytest.mark.parametrize(
    ("pairs", "margin", "z", "p"),
    [
        (Pairs(44, 0, 1), 0.10, "1.709", "0.044"),
        (Pairs(500, 12, 10), 0.02, "2.3467", "0.00947"),
        (Pairs(200, 0, 0), 0.02, "2.0203", "0.02168"),
    ],
)
def test_published_tango_z(pairs: Pairs, margin: float, z: str, p: str) -> None:
    found = tango_z(pairs, -margin)
    assert f"{found:.{len(z) - 2}f}" == z
    assert f"{upper_tail(found):.{len(p) - 2}f}" == p


def test_published_mcnemar_and_newcombe() -> None:
    pairs = Pairs(161, 6, 16)
    assert round(mcnemar_exact(pairs), 6) == 0.052479
    assert round(mcnemar_mid_p(pairs), 6) == 0.034690
    assert round(mcnemar_asymptotic(pairs), 6) == 0.033006
    assert [round(limit, 4) for limit in newcombe_paired(59, 6, 16, 80)] == [-0.1186, -0.0046]
    assert [round(limit, 4) for limit in newcombe_paired(36, 12, 2, 0)] == [0.0569, 0.3404]


@settings(deadline=None)
@given(some_pairs())
def test_mcnemar_agrees_with_statsmodels(pairs: Pairs) -> None:
    table = [[0, pairs.gains], [pairs.losses, pairs.n - pairs.gains - pairs.losses]]
    assert mcnemar_exact(pairs) == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9, abs=1e-12)
    if pairs.gains + pairs.losses:
        assert mcnemar_asymptotic(pairs) == pytest.approx(
            mcnemar(table, exact=False, correction=False).pvalue, rel=1e-9, abs=1e-300
        )


@settings(deadline=None)
@given(some_pairs(60))
@pytest.mark.slow
def test_mid_p_halves_what_is_exactly_as_extreme(pairs: Pairs) -> None:
    m, fewer = pairs.gains + pairs.losses, min(pairs.gains, pairs.losses)
    if m:
        ways = math.comb(m, fewer) / 2**m
        as_extreme = ways if 2 * fewer == m else 2 * ways
        exact = binomtest(fewer, m).pvalue
        assert mcnemar_mid_p(pairs) == pytest.approx(exact - as_extreme / 2, abs=1e-12)


def test_no_disagreement_proves_nothing_in_a_small_bucket() -> None:
    nothing = Pairs(10, 0, 0)
    assert mcnemar_exact(nothing) == mcnemar_mid_p(nothing) == mcnemar_asymptotic(nothing) == 1.0
    assert tango_z(nothing, 0.0) == 0.0


@settings(deadline=None)
@given(some_pairs(), differences)
def test_swapping_the_models_turns_the_sign(pairs: Pairs, d0: float) -> None:
    swapped = Pairs(pairs.n, pairs.losses, pairs.gains)
    assert tango_z(pairs, d0) == pytest.approx(-tango_z(swapped, -d0), rel=1e-9, abs=1e-9)
    low, high = tango_interval(pairs)
    assert tango_interval(swapped) == pytest.approx((-high, -low), abs=1e-12)


@settings(deadline=None)
@given(some_pairs(), differences, differences)
def test_z_falls_as_the_null_rises(pairs: Pairs, one: float, other: float) -> None:
    low, high = sorted((one, other))
    # Nearer to 1 than the square root of a float's precision, the variance is rounded to 0, and z is 0 or infinite.
    assume(all(abs(each) == 1 or abs(each) < 1 - 1e-8 for each in (low, high)))
    above, below = tango_z(pairs, low), tango_z(pairs, high)
    assert above >= below or math.isclose(above, below, rel_tol=1e-7, abs_tol=1e-7)


@settings(deadline=None)
@given(some_pairs(), st.floats(0.0, 0.99))
def test_z_rises_with_gains_and_falls_with_losses(pairs: Pairs, margin: float) -> None:
    if pairs.gains + pairs.losses < pairs.n:
        here = tango_z(pairs, -margin)
        assert tango_z(Pairs(pairs.n, pairs.gains + 1, pairs.losses), -margin) > here - 1e-9
        assert tango_z(Pairs(pairs.n, pairs.gains, pairs.losses + 1), -margin) < here + 1e-9


@settings(deadline=None)
@given(some_pairs(), st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.9999]))
def test_interval_holds_the_estimate_and_inverts_z(pairs: Pairs, confidence: float) -> None:
    low, high = tango_interval(pairs, confidence)
    assert -1 <= low <= pairs.difference <= high <= 1
    assert low < high
    z = quantile((1 + confidence) / 2)
    # A null a little outside is rejected, one a little inside is not.
    for limit, out in ((low, -1), (high, 1)):
        if abs(limit) < 1 - 1e-6:
            assert abs(tango_z(pairs, limit + out * 1e-7)) > z - 1e-9
            assert abs(tango_z(pairs, limit - out * 1e-7)) < z + 1e-9


@settings(deadline=None)
@given(some_pairs())
def test_more_confidence_is_a_wider_interval(pairs: Pairs) -> None:
    for narrow, wide in pairwise(tango_interval(pairs, c) for c in (0.5, 0.8, 0.9, 0.95, 0.999)):
        assert wide[0] <= narrow[0] + 1e-12
        assert narrow[1] <= wide[1] + 1e-12


def test_the_ends() -> None:
    assert tango_z(Pairs(5, 5, 0), 1.0) == 0.0
    assert tango_z(Pairs(5, 4, 0), 1.0) == -math.inf
    assert tango_z(Pairs(5, 0, 5), -1.0) == 0.0
    assert tango_z(Pairs(5, 1, 4), -1.0) == math.inf
    assert tango_interval(Pairs(7, 0, 7))[0] == -1.0
    assert tango_interval(Pairs(7, 7, 0))[1] == 1.0
    low, high = tango_interval(Pairs(1, 0, 0))
    assert low == -high
    assert -1 < low < 0


@settings(deadline=None)
@given(some_pairs(), st.floats(0.01, 0.5))
def test_a_correction_never_helps(pairs: Pairs, margin: float) -> None:
    assert abs(tango_z(pairs, -margin, correction=1.0)) <= abs(tango_z(pairs, -margin))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
@pytest.mark.slow
def test_bitsets_are_counted_as_rows_are(rows: list[tuple[bool, bool]]) -> None:
    baseline, candidate = (int("".join(str(int(row[i])) for row in rows), 2) for i in (0, 1))
    gains, losses = rows.count((False, True)), rows.count((True, False))
    counted = pair(baseline, candidate, len(rows))
    assert counted == Pairs(len(rows), gains, losses)
    assert counted.churn == (gains + losses) / len(rows)
    assert counted.negative_flip_rate == losses / len(rows)
    assert counted + counted == Pairs(2 * len(rows), 2 * gains, 2 * losses)


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 0, 0), (3, -1, 0), (3, 0, -1), (3, 2, 2)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"example"):
        Pairs(*counts)


@pytest.mark.parametrize(("baseline", "candidate"), [(8, 0), (0, 8), (-1, 0)])
def test_a_bitset_that_does_not_fit_is_refused(baseline: int, candidate: int) -> None:
    with pytest.raises(ValueError, match="does not fit into 3 rows"):
        pair(baseline, candidate, 3)


@pytest.mark.parametrize("d0", [-1.01, 1.01, math.nan])
def test_an_impossible_null_is_refused(d0: float) -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        tango_z(Pairs(3, 1, 1), d0)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan, 95.0])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        tango_interval(Pairs(3, 1, 1), confidence)
