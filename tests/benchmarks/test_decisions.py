"""The simulated operating characteristics: the figures promised, the rules against oracles, the picture."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from benchmarks.decision_rules import (
    BUCKET_MARGIN,
    CONFIDENCE,
    EQUAL,
    ONE_WORSE,
    QUIET_EQUAL,
    RULES,
    Cell,
    Rate,
    Truth,
    bootstrap_limit,
    holds,
    passes_guard,
    passes_noninferior,
    passes_t_drop,
    passes_t_interval,
    t_quantile,
)
from benchmarks.decisions import BEGIN, END, main, row, simulate, write_between
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import compare
from lynxgate.decision.statistics import Pairs, noninferior, noninferiority, proved_worse
from lynxgate.decision.verdict import Inputs
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation

DOCS = Path(__file__).parents[2] / "docs"


def printed(cell: Cell, rates: dict[str, Rate]) -> str:
    return row([str(cell.buckets), str(cell.n), *(str(rates[rule.name]) for rule in RULES)])


@pytest.mark.heavy
@pytest.mark.slow
def test_guard_keeps_its_promise_and_the_page_has_these_figures() -> None:
    page = (DOCS / "operating-characteristics.md").read_text(encoding="utf-8")
    equal, worse = Cell(20, 500, EQUAL), Cell(20, 500, ONE_WORSE)
    blocked, missed = simulate(equal), simulate(worse)
    assert blocked["guard"].share <= 0.07
    assert missed["guard"].share <= 0.11
    assert blocked["point 1 pp"].share > 0.99
    for cell, rates in ((equal, blocked), (worse, missed)):
        assert printed(cell, rates) in page


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "truth", "published"),
    [(200, EQUAL, 0.36), (500, EQUAL, 0.06), (1000, EQUAL, 0.003), (500, ONE_WORSE, 0.099), (1000, ONE_WORSE, 0.002)],
)
def test_guard_errs_as_in_the_earlier_simulation(n: int, truth: Truth, published: float) -> None:
    """Tables made independently, with 1,500 repetitions; four standard errors apart at most."""
    cell = Cell(20, n, truth)
    share = simulate(cell)["guard"].share
    assert abs(share - published) <= 4 * (published * (1 - published) * (1 / 1500 + 1 / cell.repetitions)) ** 0.5 + 5e-4


@pytest.mark.parametrize("n", [50, 120])
def test_the_stored_limit_decides_as_the_gate_does(n: int) -> None:
    pairs = [Pairs(n, g, x) for g in range(0, 12) for x in range(0, 12)]
    assert [holds(p, 0.05) for p in pairs] == [noninferior(p, 0.05, CONFIDENCE) for p in pairs]


def test_guard_is_the_two_tests_of_the_statistics() -> None:
    gains, losses = Cell(5, 200, ONE_WORSE, 40).draw()
    passed = passes_guard(gains, losses, 200)
    for number in range(40):
        pairs = [Pairs(200, int(g), int(x)) for g, x in zip(gains[number], losses[number], strict=True)]
        whole = sum(pairs[1:], pairs[0])
        # Holm rejects something exactly when the smallest p is at most alpha / 5.
        worse = any(proved_worse(p, BUCKET_MARGIN, 1 - (1 - CONFIDENCE) / 5) for p in pairs)
        assert passed[number] == (not worse and noninferiority(whole, 0.01, 0.05).p < 0.05)


@pytest.mark.parametrize("rule", ["guard", "noninferior"])
@pytest.mark.slow
def test_the_simulated_decision_is_the_gates(rule: str) -> None:
    """The same candidates through documents and `lynxgate.decision.compare`."""
    n, buckets = 400, 3
    passes = {"guard": passes_guard, "noninferior": passes_noninferior}[rule]
    drawn = [Cell(buckets, n, truth, 12).draw() for truth in (QUIET_EQUAL, ONE_WORSE)]
    gains, losses = (np.concatenate(side) for side in zip(*drawn, strict=True))
    passed = passes(gains, losses, n)
    assert 0 < passed.sum() < len(passed)
    for number, expected in enumerate(passed):
        before, now = [], []
        for gain, loss in zip(gains[number], losses[number], strict=True):
            before.append([False] * int(gain) + [True] * (n - int(gain)))
            now.append([True] * (n - int(loss)) + [False] * int(loss))
        assert gate(rule, before, now) == expected


def gate(rule: str, before: list[list[bool]], now: list[list[bool]]) -> bool:
    shared = {
        "eval_set_dvc_hash": "0" * 32,
        "eval_set": "data/x.jsonl",
        "status": "active",
        "source": {"semver": "v0.1.0"},
    }
    policy = {"rule": rule, "tolerance_pp": 3, "overall_tolerance_pp": 1 if rule == "guard" else 3}
    baseline = Baseline.model_validate(
        {"schema": "lynxgate.baseline/1", **shared, "policy": policy, **documents(before)}
    )
    evaluation = Evaluation.model_validate(
        {"schema": "minieval.evaluation/1", "eval_set": {"dvc_md5": "0" * 32}, **documents(now)}
    )
    inputs = Inputs(evaluation_sha256="0" * 64, baseline_sha256="0" * 64, eval_set_dvc_md5="0" * 32)
    return compare(evaluation, baseline, inputs=inputs).passed


def documents(outcomes: list[list[bool]]) -> dict[str, object]:
    return {
        "aggregate": figures([right for bucket in outcomes for right in bucket]),
        "buckets": {f"b{number}": figures(bucket) for number, bucket in enumerate(outcomes)},
    }


def figures(outcomes: list[bool]) -> dict[str, object]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


@given(st.integers(1, 400))
@pytest.mark.slow
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(CONFIDENCE, freedom), rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 20), st.integers(0, 20))
def test_the_t_rules_are_scipys_paired_t(gain: int, loss: int) -> None:
    n = 60
    if gain + loss == 0:
        return
    differences = np.array([1.0] * gain + [-1.0] * loss + [0.0] * (n - gain - loss))
    gains, losses = np.array([[gain]]), np.array([[loss]])
    beyond = stats.ttest_1samp(differences, -BUCKET_MARGIN, alternative="greater").pvalue
    assert bool(passes_t_interval(gains, losses, n)[0]) == (beyond < 1 - CONFIDENCE)
    dropped = stats.ttest_1samp(differences, 0, alternative="less").pvalue
    assert bool(passes_t_drop(gains, losses, n)[0]) == (dropped >= 1 - CONFIDENCE)


def test_naive_intervals_collapse_where_tangos_does_not() -> None:
    assert bootstrap_limit(Pairs(10, 0, 0)) == 0
    assert passes_t_interval(np.array([[0]]), np.array([[0]]), 10).all()
    assert not holds(Pairs(10, 0, 0), BUCKET_MARGIN)


@pytest.mark.slow
def test_quick_run_prints_tables_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "picture.svg"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert main(["--quick", "--repetitions", "40", "--docs", str(page), "--plot", str(picture)]) == 0
    out, err = capsys.readouterr()
    assert "| 20 | 500 |" in out
    assert "[8/8]" in err
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n") and written.endswith("\nafter\n") and "old" not in written
    assert out.strip() in written
    root = ET.fromstring(picture.read_text(encoding="utf-8"))
    assert len(root.findall(".//{*}polyline")) == 18 + 6


def test_the_committed_picture_shows_the_committed_page() -> None:
    root = ET.fromstring((DOCS / "decisions.svg").read_text(encoding="utf-8"))
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"guard", "noninferior", "point 2 pp", "t interval", "bootstrap", "t drop"} <= words


def test_writing_keeps_what_stands_around(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"a {BEGIN} x {END} b", encoding="utf-8")
    write_between(page, ["new"])
    write_between(page, ["newer"])
    assert page.read_text(encoding="utf-8") == f"a {BEGIN}\n\nnewer\n\n{END} b"


def test_the_readme_repeats_what_the_page_says() -> None:
    """Its three rules, at 20 buckets of 500: the page's figures, and guard within what was promised."""
    page, readme = (path.read_text() for path in (DOCS / "operating-characteristics.md", DOCS.parent / "README.md"))
    simulated = re.findall(r"^\| 500 \| `([^`]+)` \| ([0-9.]+) \| ([0-9.]+) \|", page, re.MULTILINE)
    blocks = {rule: (float(equal), float(worse)) for rule, equal, worse in simulated}
    said = dict(re.findall(r"^\| `(\w+)`.* \| ([0-9.]+ % \| [0-9.]+) % \|$", readme, re.MULTILINE))
    assert said.keys() == {"point", "guard", "noninferior"}
    for rule, figures in said.items():
        equal, worse = figures.split(" % | ")
        assert blocks["point 2 pp" if rule == "point" else rule] == (float(equal), float(worse))
    # Blocking by the exact test keeps its level and misses more: by Tango's test, which exceeds it, 9.9 % were missed.
    assert blocks["guard"][0] <= 7 and blocks["guard"][1] <= 16
