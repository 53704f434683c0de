"""The tests over bounded units: published and derived values, the binomial, monotony, and the fewest units."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from lynxgate.decision.statistics.units import Unit, Units, fewest_units, gaffke_p, units_beyond, units_within


def units(*counted: tuple[float, int], weight: float = 1.0) -> Units:
    return Counter({Unit(difference, weight): count for difference, count in counted})


# (units, margin, Gaffke's p, the proved p, Gaffke's p of a regression): shared/STATISTICS.md, by independent code.
ORACLES = {
    "59 units that never differ": (units((0.0, 59)), 0.05, 0.0484945, 0.157657, 1.0),
    "99 units that never differ": (units((0.0, 99)), 0.03, 0.0490232, 0.169115, 1.0),
    "one gain": (units((1.0, 1)), 0.05, 0.475, 0.679932, 1.0),
    "two units": (units((0.5, 1), (-0.25, 1)), 0.10, 0.68, 0.822958, 0.976),
    "12 gains, 10 losses of 500": (units((1.0, 12), (-1.0, 10), (0.0, 478)), 0.02, 0.0117815, 0.158503, 0.996121),
    "2 gains, 5 losses of 200": (units((1.0, 2), (-1.0, 5), (0.0, 193)), 0.05, 0.0242191, 0.215648, 0.994492),
    "10 groups, one at -0.3": (units((0.0, 9), (-0.3, 1)), 0.05, 0.786122, 0.927166, 0.962729),
    "a large group and 79 small ones": (
        units((-0.2, 1)) + units((0.0, 79), weight=0.25), 0.10, 0.129156, 0.290726, 1.0,
    ),
    "graded": (units((0.1, 20), (-0.2, 20), (0.3, 20), (0.0, 20), (0.05, 20)), 0.10, 6.79117e-7, 3.35484e-6, 1.0),
    "three trials": (units((1 / 3, 10), (-1 / 3, 8), (-1.0, 2), (0.0, 80)), 0.10, 0.00220399, 0.0306405, 0.999787),
    "five losses": (units((-1.0, 5)), 0.05, 1.0, 1.0, 0.0398838),
    "4 losses of 200": (units((0.0, 196), (-1.0, 4)), 0.05, 0.0264468, 0.238547, 0.994839),
}  # fmt: skip


@pytest.mark.parametrize(("drawn", "margin", "gaffke", "theorem", "worse"), ORACLES.values(), ids=ORACLES)
def test_the_values_of_independent_code(
    drawn: Units, margin: float, gaffke: float, theorem: float, worse: float
) -> None:
    within = units_within(drawn, margin)
    assert within.gaffke == pytest.approx(gaffke, rel=5e-6)
    assert within.theorem == pytest.approx(theorem, rel=5e-6)
    assert units_beyond(drawn, margin).gaffke == pytest.approx(worse, rel=5e-6)


@pytest.mark.parametrize(("n", "losses", "margin"), [(200, 4, 0.05), (5000, 200, 0.05), (40, 0, 0.1), (1000, 7, 0.02)])
def test_losses_without_gains_give_the_binomial(n: int, losses: int, margin: float) -> None:
    """A unit that is 0 or -1 is a coin: Gaffke's p is the exact binomial tail."""
    found = units_within(units((0.0, n - losses), (-1.0, losses)), margin).gaffke
    assert found == pytest.approx(binom.cdf(losses, n, margin), rel=1e-6, abs=1e-11)


@pytest.mark.parametrize(
    ("margin", "alpha", "gaffke", "theorem"),
    [(0.01, 0.05, 299, 449), (0.02, 0.05, 149, 222), (0.03, 0.05, 99, 146), (0.05, 0.05, 59, 86), (0.1, 0.05, 29, 41)],
)
def test_the_fewest_units_that_prove_anything(margin: float, alpha: float, gaffke: int, theorem: int) -> None:
    assert (fewest_units(margin, alpha), fewest_units(margin, alpha, proof="theorem")) == (gaffke, theorem)
    assert fewest_units(0.0, alpha) is None


differences = st.floats(-1, 1, allow_nan=False)
DRAWN = st.lists(st.tuples(differences, st.sampled_from([0.1, 0.5, 1.0])), min_size=1, max_size=25)


@given(DRAWN, st.floats(0.001, 0.5), st.data())
@pytest.mark.slow
def test_a_unit_that_rises_never_hurts(drawn: list[tuple[float, float]], margin: float, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(drawn) - 1))
    raised = list(drawn)
    raised[index] = (data.draw(st.floats(drawn[index][0], 1)), drawn[index][1])
    before, after = (Counter(Unit(*each) for each in side) for side in (drawn, raised))
    for proof in ("gaffke", "theorem"):
        assert units_within(after, margin).p(proof) <= units_within(before, margin).p(proof) * (1 + 1e-7) + 1e-11
        assert units_beyond(after, margin).p(proof) >= units_beyond(before, margin).p(proof) * (1 - 1e-7) - 1e-11


@given(DRAWN, st.floats(0.001, 0.5))
@pytest.mark.slow
def test_p_is_a_probability_and_what_is_proved_needs_more(drawn: list[tuple[float, float]], margin: float) -> None:
    found = units_within(Counter(Unit(*each) for each in drawn), margin)
    assert 0 <= found.gaffke <= 1
    assert 0 <= found.theorem <= 1
    assert found.gaffke <= found.theorem + 1e-9


@pytest.mark.slow
def test_gaffkes_p_is_the_chance_that_it_is_defined_as() -> None:
    """The definition, simulated: the sum of units weighted by exponential variables is not above the worst unit."""
    source, values, worst, rounds = random.Random(5), {0.3: 4, -0.2: 3, 0.05: 6}, 0.9, 40_000
    below = sum(
        sum(value * source.gammavariate(count, 1) for value, count in values.items()) <= worst * source.expovariate(1)
        for _ in range(rounds)
    )
    error = math.sqrt(0.25 / rounds)
    assert gaffke_p(Counter(values), worst) == pytest.approx(below / rounds, abs=4 * error)


@pytest.mark.parametrize("wrong", [(1.5, 1.0), (0.0, 0.0), (0.0, 1.5), (math.nan, 1.0)])
def test_a_unit_out_of_range_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a unit has a difference"):
        Unit(*wrong)
