"""What a decision says about its own error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lynxgate.analysis.own_error import measure_own_error
from lynxgate.analysis.plan import make_plan
from lynxgate.cli.app import run
from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.verdict import Verdict
from lynxgate.reports.own_error_text import describe_own_error
from minieval.contract.outcome_bits import pack_outcomes

MD5 = "a" * 32


def figures(outcomes: list[bool], *, with_outcomes: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(outcomes), "correct": sum(outcomes)}
    return found | ({"outcomes": pack_outcomes(outcomes)} if with_outcomes else {})


def decide(rule: str, before: list[bool], now: list[bool], **options: Any) -> tuple[Verdict, bytes]:
    """Decide on two buckets: the first 200 rows, and the rest."""

    def sides(outcomes: list[bool]) -> dict[str, Any]:
        return {
            "aggregate": figures(outcomes, **options),
            "buckets": {"a": figures(outcomes[:200], **options), "b": figures(outcomes[200:], **options)},
        }

    baseline = json.dumps({
        "schema": "lynxgate.baseline/1", "status": "active", "eval_set": "e.jsonl", "eval_set_dvc_hash": MD5,
        "policy": {"rule": rule, "tolerance_pp": 3}, **sides(before),
    }).encode()  # fmt: skip
    evaluation = json.dumps({"schema": "minieval.evaluation/1", "eval_set": {"dvc_md5": MD5}, **sides(now)}).encode()
    return decide_bytes(evaluation, baseline)[0], baseline


BEFORE = [i % 10 != 0 for i in range(1000)]
NOW = [(i % 10 != 0) != (i % 25 == 0) for i in range(1000)]  # 40 of 1,000 rows differ


@pytest.mark.parametrize("rule", ["point", "guard", "noninferior"])
@pytest.mark.slow
def test_it_is_the_plan_at_the_observed_disagreement(rule: str) -> None:
    verdict, baseline = decide(rule, BEFORE, NOW)
    found = measure_own_error(verdict)
    assert found is not None
    assert found.disagreement == 0.04
    plan = make_plan(parse_baseline(baseline), disagreement=0.04, power=0.8)
    gated = plan.rows if rule == "guard" else plan.rows[1:]
    assert found.rows == gated
    assert found.blocks_equal_at_most == pytest.approx(sum(row.blocks_equal or 0 for row in gated))
    blocks, drops = describe_own_error(verdict, str)
    assert f"at most {100 * found.blocks_equal_at_most:.1f} % of gates, at the 4 % of rows" in blocks
    assert all(row.bucket in drops for row in gated)


def test_without_outcomes_nothing_is_said() -> None:
    verdict, _ = decide("point", BEFORE, NOW, with_outcomes=False)
    assert measure_own_error(verdict) is None
    assert describe_own_error(verdict, str) == ()


def test_models_that_never_differ_are_taken_to_differ_once() -> None:
    found = measure_own_error(decide("point", BEFORE, BEFORE)[0])
    assert found is not None
    assert found.disagreement == 0.001


@pytest.mark.slow
def test_comment_and_page_have_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "verdict.json").write_bytes(decide("guard", BEFORE, NOW)[0].to_json())
    assert run(["ci", "comment", "--exit-code", "2", "--dry-run"]) == 0
    text = capfd.readouterr().out
    assert "- This policy blocks an equal model in at most " in text
    assert "- The smallest drop that it sees with a chance of 80 %: `a` " in text
