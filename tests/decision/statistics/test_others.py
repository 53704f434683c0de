"""Holm, intervals of proportions, clusters, planning, shelf life and ranks, against published figures and libraries."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
import time
from collections.abc import Iterable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from lynxgate.decision.statistics import (
    Pairs,
    Score,
    chance_of_holding,
    cluster_pairs,
    clustered_interval,
    clustered_variance,
    clustered_z,
    examples_for,
    examples_needed,
    examples_to_settle,
    holm,
    holm_adjusted,
    mann_whitney,
    minimum_detectable_drop,
    newcombe_paired,
    newcombe_unpaired,
    noninferior,
    proved_worse,
    quantile,
    shelf_life,
    smallest_n_ever,
    smallest_n_tango,
    tango_interval,
    tango_z,
    unpaired_z,
    wilson,
)
from lynxgate.decision.statistics.exact import critical_z, holding_limits, holding_probability

# --- Holm


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_agrees_with_statsmodels(pvalues: list[float], alpha: float) -> None:
    if not pvalues:
        assert holm(pvalues, alpha) == ()
        return
    gc.freeze()  # `multipletests` collects garbage at every call: over all modules, for a fifth of a second
    reject, adjusted, *_ = multipletests(pvalues, alpha=alpha, method="holm")
    assert holm_adjusted(pvalues) == pytest.approx(list(adjusted))
    # Where a p value sits on its limit to the last bit, the library's division may round the other way.
    if min(abs(p - alpha) for p in adjusted) > 1e-12:
        assert holm(pvalues, alpha) == tuple(reject)


def test_holm_steps_down_and_stops() -> None:
    assert holm([0.03, 0.01, 0.04], 0.05) == (False, True, False)
    assert holm([0.02, 0.01, 0.04], 0.05) == (True, True, True)


@pytest.mark.parametrize("pvalues", [[math.nan], [-0.1], [1.1]])
def test_holm_refuses_what_is_not_a_p_value(pvalues: list[float]) -> None:
    with pytest.raises(ValueError, match="p value"):
        holm(pvalues, 0.05)
    with pytest.raises(ValueError, match="level"):
        holm([0.5], 1.0)


# --- proportions


def test_published_wilson() -> None:
    assert [round(x, 4) for x in wilson(Score(81, 263))] == [0.2553, 0.3662]
    assert [round(x, 4) for x in wilson(Score(0, 20))] == [0.0, 0.1611]


scores = st.integers(1, 5000).flatmap(lambda n: st.builds(Score, st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(scores, st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_agrees_with_statsmodels(score: Score, confidence: float) -> None:
    library = proportion_confint(score.correct, score.n, 1 - confidence, "wilson")
    low, high = wilson(score, confidence)
    assert (low, high) == pytest.approx(library, abs=1e-12)
    assert 0 <= low <= score.accuracy <= high <= 1
    assert low < high


def test_published_newcombe_unpaired() -> None:
    """Newcombe 1998, second paper, table II: 56/70 - 48/80 and 10/10 - 0/10, by method 10."""
    assert [round(x, 4) for x in newcombe_unpaired(Score(48, 80), Score(56, 70))] == [0.0524, 0.3339]
    assert [round(x, 4) for x in newcombe_unpaired(Score(0, 10), Score(10, 10))] == [0.6075, 1.0]


@settings(deadline=None)
@given(scores, scores, st.sampled_from([0.8, 0.9, 0.99]))
@pytest.mark.slow
def test_the_unpaired_z_inverts_the_unpaired_interval(baseline: Score, candidate: Score, confidence: float) -> None:
    low, high = newcombe_unpaired(baseline, candidate, confidence)
    assert -1 - 1e-12 <= low < high <= 1 + 1e-12
    z = quantile((1 + confidence) / 2)
    if low > -1 + 1e-9:
        assert unpaired_z(baseline, candidate, low) == pytest.approx(z, rel=1e-6)
    if high < 1 - 1e-9:
        assert unpaired_z(baseline, candidate, high) == pytest.approx(-z, rel=1e-6)
    assert unpaired_z(baseline, candidate, candidate.accuracy - baseline.accuracy) == 0.0


def test_pairing_pays() -> None:
    """At accuracy .9 and 5 % disagreement the unpaired interval is about the root of 3.6 times as wide."""
    low, high = newcombe_unpaired(Score(9000, 10000), Score(9000, 10000))
    paired = tango_interval(Pairs(10000, 250, 250))
    assert ((high - low) / (paired[1] - paired[0])) ** 2 == pytest.approx(3.6, abs=0.05)


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 300)] * 4).filter(any))
def test_newcombe_paired_stays_inside_and_mirrors(table: tuple[int, int, int, int]) -> None:
    a, gains, losses, d = table
    low, high = newcombe_paired(a, gains, losses, d)
    assert -1 - 1e-12 <= low <= (gains - losses) / sum(table) + 1e-12
    assert high <= 1 + 1e-12
    assert newcombe_paired(a, losses, gains, d) == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_scores_are_refused(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match="example"):
        Score(correct, n)
    with pytest.raises(ValueError, match="between -1 and 1"):
        unpaired_z(Score(1, 2), Score(1, 2), 1.5)
    with pytest.raises(ValueError, match="not negative"):
        newcombe_paired(1, -1, 2, 3)


# --- clusters

grouped = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([-1, 0, 0, 1])), min_size=8, max_size=200).filter(
    lambda rows: len({group for group, _ in rows}) > 1
)


def clusters_of(rows: list[tuple[int, int]]) -> tuple[Pairs, ...]:
    baseline = int("".join("1" if change < 0 else "0" for _, change in rows), 2)
    candidate = int("".join("1" if change > 0 else "0" for _, change in rows), 2)
    return cluster_pairs(baseline, candidate, [group for group, _ in rows])


@settings(deadline=None)
@given(grouped)
@pytest.mark.slow
def test_clustered_variance_agrees_with_statsmodels(rows: list[tuple[int, int]]) -> None:
    changes = np.array([change for _, change in rows], dtype=float)
    fit = OLS(changes, np.ones(len(rows))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array([group for group, _ in rows]), "use_correction": False}
    )
    assert clustered_variance(clusters_of(rows)) == pytest.approx(float(fit.cov_params()[0, 0]), abs=1e-12)


@settings(deadline=None)
@given(grouped, st.floats(-1, 1))
@pytest.mark.slow
def test_tango_is_the_floor_of_the_clustered_variance(rows: list[tuple[int, int]], d0: float) -> None:
    clusters = clusters_of(rows)
    whole = Pairs(len(rows), sum(c.gains for c in clusters), sum(c.losses for c in clusters))
    assert abs(clustered_z(clusters, d0)) <= abs(tango_z(whole, d0)) * (1 + 1e-9) + 1e-9
    low, high = clustered_interval(clusters)
    inner = tango_interval(whole)
    assert low <= inner[0] + 1e-9
    assert inner[1] <= high + 1e-9
    z = quantile(0.975)
    if low > -1:
        assert clustered_z(clusters, low) == pytest.approx(z, rel=1e-5)
    if high < 1:
        assert clustered_z(clusters, high) == pytest.approx(-z, rel=1e-5)


def test_groups_that_never_differ_prove_nothing_more_than_single_rows() -> None:
    clusters = [Pairs(10, 0, 0)] * 20
    assert clustered_variance(clusters) == 0.0
    assert clustered_z(clusters, -0.02) == pytest.approx(tango_z(Pairs(200, 0, 0), -0.02))


def test_groups_that_fall_together_weigh_less() -> None:
    together = [Pairs(10, 0, 10)] + [Pairs(10, 0, 0)] * 19
    assert clustered_z(together, 0.0) > tango_z(Pairs(200, 0, 10), 0.0)


def test_one_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        clustered_z([Pairs(10, 1, 1)], 0.0)
    with pytest.raises(ValueError, match="does not fit"):
        cluster_pairs(4, 0, ["a", "b"])
    with pytest.raises(ValueError, match="between -1 and 1"):
        clustered_z([Pairs(10, 1, 1)] * 2, 2.0)
    assert cluster_pairs(0b101, 0b110, ["b", "a", "b"]) == (Pairs(2, 0, 1), Pairs(1, 1, 0))


# --- planning

MARGINS = (0.01, 0.02, 0.03, 0.05, 0.1)


def test_published_smallest_buckets() -> None:
    assert [smallest_n_tango(margin) for margin in MARGINS] == [268, 133, 88, 52, 25]
    assert [smallest_n_tango(margin, 0.975) for margin in MARGINS] == [381, 189, 125, 73, 35]
    assert smallest_n_tango(0.0) is None


def test_the_gates_own_smallest_buckets() -> None:
    assert [smallest_n_ever(margin) for margin in MARGINS] == [299, 149, 99, 59, 29]
    assert [smallest_n_ever(margin, 0.975) for margin in MARGINS] == [384, 191, 126, 75, 36]
    assert smallest_n_ever(0.0) is None


@pytest.mark.parametrize("margin", [0.0005, 0.002, 0.03, 0.3, 0.9])
def test_the_smallest_bucket_passes_and_one_smaller_does_not(margin: float) -> None:
    n = smallest_n_ever(margin)
    assert n is not None
    assert noninferior(Pairs(n, 0, 0), margin)
    assert n == 1 or not noninferior(Pairs(n - 1, 0, 0), margin)


@pytest.mark.slow
def test_published_examples_needed() -> None:
    """By independent code the exact row test needs 726 and 271 at 3 and 5 pp; the normal formula gives 687 and 248."""
    for margin, needed in ((0.03, 726), (0.05, 271)):
        assert examples_needed(0.10, margin) == pytest.approx(needed, rel=0.02)
    assert examples_needed(0.0, 0.01) == 299
    assert examples_needed(0.1, 0.0) is None


@pytest.mark.slow
def test_examples_needed_have_about_the_power_they_promise() -> None:
    """At 3 % disagreement the normal formula gave 59 to 78 % where 80 were promised."""
    for disagreement, margin in itertools.product((0.03, 0.10), (0.02, 0.03, 0.05)):
        n = examples_needed(disagreement, margin)
        assert n is not None
        # A bucket that has to have so many that anything is proved may have more power.
        most = 0.83 if n > smallest_n(margin) + 1 else 1
        assert 0.8 <= chance_of_holding(n, margin, disagreement) <= most


def smallest_n(margin: float) -> int:
    n = smallest_n_ever(margin)
    assert n is not None
    return n


@pytest.mark.parametrize(("n", "margin"), [(20, 0.05), (100, 0.03), (500, 0.0)])
def test_the_smallest_drop_is_seen_with_the_power_and_a_smaller_one_is_not(n: int, margin: float) -> None:
    drop = minimum_detectable_drop(n, 0.05, margin)
    assert drop is not None
    for each, seen in ((drop, True), (drop - 2e-4, False)):
        z = -critical_z(n, margin, 0.05, -1)
        inside, unseen = holding_probability(holding_limits(n, margin, z, strict=True), max(each, 0.05), -each)
        assert (1 - inside - unseen >= 0.8) is seen


@pytest.mark.parametrize("n", [10_000, 10**6])
@pytest.mark.slow
def test_a_plan_of_many_examples_takes_a_second_or_two(n: int) -> None:
    """It took more than a minute for a million."""
    start = time.process_time()
    assert chance_of_holding(n, 0.01, 0.05) > 0.8
    assert minimum_detectable_drop(n, 0.05, 0.01, 1 - 0.05 / 20) is not None
    assert examples_needed(0.05, 0.01) == pytest.approx(3100, rel=0.05)
    assert time.process_time() - start < 6


def test_a_drop_that_is_seen_is_seen_about_as_often_as_promised() -> None:
    normal = (quantile(0.95) + quantile(0.8)) * math.sqrt(0.10 / 500)
    assert minimum_detectable_drop(500, 0.10) == pytest.approx(normal, rel=0.1)
    assert minimum_detectable_drop(3, 0.5, 0.5) is None


@pytest.mark.slow
def test_what_would_settle_a_row_settles_it() -> None:
    for pairs, family in itertools.product(
        (Pairs(100, 0, 0), Pairs(500, 10, 12), Pairs(200, 3, 8), Pairs(60, 0, 3)), (1, 20)
    ):
        n = examples_to_settle(pairs, 0.02, family=family)
        assert n is not None
        assert n > pairs.n
        grown = Pairs(n, round(pairs.gains * n / pairs.n), round(pairs.losses * n / pairs.n))
        assert noninferior(grown, 0.02) or proved_worse(grown, 0.02, 1 - 0.05 / family, exact=True)
    assert examples_to_settle(Pairs(100, 0, 2), 0.02) is None


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        examples_needed(1.5, 0.01)
    with pytest.raises(ValueError, match="without an example"):
        minimum_detectable_drop(0, 0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        examples_needed(0.1, 0.01, power=1.0)


# --- shelf life


def test_published_shelf_life() -> None:
    assert round(examples_for(32, 0.01, 0.0001, 0.1, adaptive=False), -3) == 29_000
    assert examples_for(32, 0.01, 0.0001, 0.1) // 1000 == 67
    assert shelf_life(5000, 0.02, 0.05, 0.05) == 19
    assert shelf_life(10000, 0.02, 0.05, 0.05) == 44


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0.01, 0.1), st.floats(0.001, 0.1), st.floats(0.02, 1.0), st.booleans())
def test_shelf_life_and_examples_are_inverse(
    gates: int, epsilon: float, delta: float, disagreement: float, adaptive: bool
) -> None:
    n = examples_for(gates, epsilon, delta, disagreement, adaptive=adaptive)
    assert shelf_life(n, epsilon, delta, disagreement, adaptive=adaptive) >= gates
    if n > 1:
        assert shelf_life(n - 1, epsilon, delta, disagreement, adaptive=adaptive) <= gates


def test_shelf_life_is_0_for_a_tiny_eval_set_and_bounded_for_a_huge_one() -> None:
    assert shelf_life(10, 0.02, 0.05, 0.05) == 0
    assert shelf_life(10**9, 0.02, 0.05, 0.05, adaptive=False) == pytest.approx(10**12, rel=1e-6)
    with pytest.raises(ValueError, match="at least one"):
        shelf_life(0, 0.02, 0.05, 0.05)
    with pytest.raises(ValueError, match="at least one"):
        examples_for(0, 0.02, 0.05, 0.05)
    for figures in ((0.0, 0.05, 0.05), (0.02, 1.0, 0.05), (0.02, 0.05, 0.0), (math.nan, 0.05, 0.05)):
        with pytest.raises(ValueError, match="must lie in"):
            shelf_life(100, *figures)


# --- ranks

samples = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=30)


@settings(deadline=None)
@given(samples, samples, st.sampled_from(["higher", "lower"]))
@pytest.mark.slow
def test_mann_whitney_agrees_with_scipy(baseline: list[float], candidate: list[float], worse: str) -> None:
    found = mann_whitney(baseline, candidate, worse="higher" if worse == "higher" else "lower", permutes_ties=False)
    if len(set(baseline + candidate)) == 1:
        assert found.p == 1.0
        return
    tail = "greater" if worse == "higher" else "less"
    method = "exact" if found.method == "exact" else "asymptotic"
    library = mannwhitneyu(candidate, baseline, alternative=tail, method=method)
    assert found.p == pytest.approx(library.pvalue, rel=1e-9, abs=1e-12)
    u = library.statistic if worse == "higher" else len(baseline) * len(candidate) - library.statistic
    assert found.u == u
    assert found.share == u / (len(baseline) * len(candidate))


@settings(deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=40), st.randoms(use_true_random=False))
@pytest.mark.slow
def test_exact_ranks_agree_with_scipy(values: set[int], random: Random) -> None:
    ordered = sorted(values)
    random.shuffle(ordered)
    cut = max(1, len(ordered) // 3)
    candidate, baseline = [float(x) for x in ordered[:cut]], [float(x) for x in ordered[cut:]]
    found = mann_whitney(baseline, candidate, worse="higher")
    method = "exact" if len(baseline) <= 20 else "asymptotic"
    assert found.method == ("exact" if method == "exact" else "normal")
    assert found.p == pytest.approx(
        mannwhitneyu(candidate, baseline, alternative="greater", method=method).pvalue, rel=1e-9
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.lists(st.integers(0, 4), min_size=1, max_size=5))
@pytest.mark.slow
def test_ties_are_permuted_exactly(baseline: list[int], candidate: list[int]) -> None:
    """Every choice of the candidate's samples among all, counted one by one."""
    found = mann_whitney([float(x) for x in baseline], [float(x) for x in candidate], worse="higher")
    pooled = baseline + candidate

    def u(chosen: Iterable[int]) -> float:
        ours = set(chosen)
        rest = [x for i, x in enumerate(pooled) if i not in ours]
        return sum((pooled[i] > x) + (pooled[i] == x) / 2 for i in ours for x in rest)

    choices = list(itertools.combinations(range(len(pooled)), len(candidate)))
    as_bad = sum(u(chosen) >= found.u for chosen in choices)
    assert found.method == "exact"
    assert found.p == pytest.approx(as_bad / len(choices))


def test_three_tied_samples_a_side_prove_no_more_than_their_permutations() -> None:
    """The normal approximation gave p .0234 where 1 of 20 choices is as extreme."""
    assert mann_whitney([5.0] * 3, [6.0] * 3, worse="higher").p == pytest.approx(1 / 20)
    before, now = [float(i // 2) for i in range(20)], [float(i // 2) + 1 for i in range(20)]
    full = mann_whitney(before, now, worse="higher")
    assert full.method == "exact"
    assert full.p == pytest.approx(
        mannwhitneyu(now, before, alternative="greater", method="asymptotic").pvalue, abs=0.005
    )


def test_the_tail_is_the_worse_one() -> None:
    slow, fast = [12.0, 13.0, 14.0, 15.0, 16.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    assert mann_whitney(fast, slow, worse="higher").p == pytest.approx(1 / 252)
    assert mann_whitney(slow, fast, worse="higher").p == 1.0
    assert mann_whitney(slow, fast, worse="lower").p == pytest.approx(1 / 252)


@pytest.mark.parametrize(
    ("baseline", "candidate"), [([], [1.0]), ([1.0], []), ([math.nan], [1.0]), ([1.0], [math.inf])]
)
def test_unusable_samples_are_refused(baseline: list[float], candidate: list[float]) -> None:
    with pytest.raises(ValueError, match="sample"):
        mann_whitney(baseline, candidate, worse="higher")


# --- cost


def test_ten_thousand_buckets_take_well_under_a_second() -> None:
    start = time.process_time()
    for i in range(10_000):
        tango_z(Pairs(500, i % 50, i % 37), -0.02)
    assert time.process_time() - start < 0.5


def test_the_statistics_import_no_library() -> None:
    code = (
        "import sys, lynxgate.decision.statistics; "
        "print(sorted({'numpy', 'scipy', 'pandas', 'statsmodels', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
