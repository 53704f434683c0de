"""What each provider imports is judged: `lynxgate import`, then a baseline with metrics, then `lynxgate compare`."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.decision.verdict import parse_verdict
from minieval.contract.exits import Exit
from tests.importers import samples

MD5 = "a" * 32
Tree = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A file of another tool, the metric of it that is guarded, and the same file after a regression of it."""

    provider: str
    before: Tree
    worse: Tree
    metric: str
    agreed: Tree
    limits: Tree
    says: str


def changed(tree: Tree, *path: str | int, to: Any) -> Tree:
    copy = deepcopy(tree)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return copy


ROUNDS = [0.0020, 0.0021, 0.0019, 0.0022, 0.0018, 0.0023]
BENCHMARK = changed(
    samples.PYTEST_BENCHMARK,
    *("benchmarks", 0, "stats"),
    to={"median": 0.00205, "rounds": len(ROUNDS), "data": ROUNDS},
)
CASES = (
    Case(
        "flat",
        samples.FLAT,
        changed(samples.FLAT, "latency_ms", to=13.8),
        "latency_ms",
        {"direction": "lower", "machine": False},
        {"max_pct": 10},
        "worse by 10.40 %, and max_pct is 10.0",
    ),
    Case(
        "flameiq",
        samples.FLAMEIQ,
        changed(samples.FLAMEIQ, "metrics", "throughput", to=902.7),
        "throughput",
        {"direction": "higher", "machine": False},
        {"max_pct": 5},
        "950.25 -> 902.7",
    ),
    Case(
        "calibrax",
        samples.CALIBRAX,
        changed(samples.CALIBRAX, "points", 1, "metrics", "latency", to={"value": 3.2, "samples": [3.1, 3.3]}),
        "verbs/present/latency",
        {"direction": "lower", "machine": True, "unit": "ms"},
        {"max_ratio": 1.2, "statistic": "mean"},
        "2.5 -> 3.2 ms (n 2 and 2, Mann-Whitney p 0.166667, at best 0.167): worse by a ratio of 1.28",
    ),
    Case(
        "kitt",
        samples.KITT,
        changed(samples.KITT, "results", 1, "metrics", "ttft_ms", "p95", to=20),
        "latency.ttft_ms.p95",
        {"direction": "lower", "machine": True},
        {"max_abs": 1, "statistic": "median"},
        "worse by 1.50",
    ),
    Case(
        "pytest-benchmark",
        BENCHMARK,
        changed(
            BENCHMARK,
            *("benchmarks", 0, "stats"),
            to={"median": 0.0041, "rounds": 6, "data": [2 * each for each in ROUNDS]},
        ),
        "tests/test_speed.py::test_parse[10]",
        {"direction": "lower", "machine": True},
        {"max_ratio": 1.5, "statistic": "median", "confidence": 0.99},
        "worse by a ratio of 2.00, and max_ratio is 1.5",
    ),
)


def by_provider(case: Case) -> str:
    return case.provider


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def import_(case: Case, tree: Tree, to: str) -> Tree:
    """The evaluation that the file becomes a part of."""
    Path("foreign.json").write_text(json.dumps(tree))
    start = {"schema": "minieval.evaluation/1", "eval_set": {"dvc_md5": MD5}, "buckets": {"x": {"accuracy": 0.9}}}
    Path("start.json").write_text(json.dumps(start))
    assert run(["import", "foreign.json", "--provider", case.provider, "--into", "start.json", "--output", to]) == 0
    made: Tree = json.loads(Path(to).read_bytes())
    return made


def agree(case: Case, measured: Tree) -> None:
    """A baseline whose figures are moved there from the evaluation by a rebaseline."""
    metrics = {case.metric: {"value": None, **case.agreed}}
    baseline = {
        "schema": "lynxgate.baseline/1",
        "status": "report-only",
        "eval_set": "data/eval.jsonl",
        "eval_set_dvc_hash": MD5,
        "policy": {
            "rule": "point",
            "metrics": {case.metric: case.limits, "default": {"tier": "advisory"}},
        },
        "buckets": {name: {"accuracy": "TODO"} for name in measured["buckets"]},
        "metrics": metrics,
    }
    Path("eval_baseline.json").write_text(json.dumps(baseline))
    # Other tools name no bundle, and a baseline has to name its model.
    assert run(["baseline", "rebaseline", "--evaluation", "before.json", "--semver", "v0.1.0"]) == Exit.OK
    assert run(["baseline", "arm"]) == Exit.OK


@pytest.mark.parametrize("case", CASES, ids=by_provider)
def test_a_regression_of_what_was_imported_blocks(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    agree(case, import_(case, case.before, "before.json"))
    assert run(["compare", "--candidate", "before.json"]) == Exit.OK
    capfd.readouterr()
    import_(case, case.worse, "worse.json")
    assert run(["compare", "--candidate", "worse.json", "--output", "verdict.json"]) == Exit.REGRESSION
    assert case.says in capfd.readouterr().out
    verdict = parse_verdict(Path("verdict.json").read_bytes())
    assert [row.metric for row in verdict.blocking_metrics] == [case.metric]


@pytest.mark.parametrize("case", [case for case in CASES if case.agreed["machine"]], ids=by_provider)
def test_another_machine_is_not_compared(case: Case) -> None:
    agree(case, import_(case, case.before, "before.json"))
    key = {"calibrax": "environment", "kitt": "system_info", "pytest-benchmark": "machine_info"}[case.provider]
    import_(case, changed(case.before, key, to={"cpu": {"brand_raw": "another"}}), "there.json")
    assert run(["compare", "--candidate", "there.json"]) == Exit.CANNOT_JUDGE
