"""Trials, graded scores and tasks in a decision, compared with an independent computation."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from lynxgate.analysis.replay import replay
from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics.class_rates import rate_floor_p
from lynxgate.decision.verdict import Method
from lynxgate.errors import CannotJudge, Exit, IntegrityFailure
from lynxgate.reports.baseline_table import render_baseline
from lynxgate.reports.explanation import render_verdict
from lynxgate.reports.verdict_table import render_table
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import ClassCounts, measure_classes
from minieval.contract.score_bytes import pack_counts, pack_scores
from tests.samples import MD5, baseline, evaluation, judge, parse_agreed, write

TASK = {"path": "data/eval.toml", "sha256": "d" * 64}
OTHER = {"path": "data/eval.toml", "sha256": "1" * 64}


def graded(*scores: int) -> dict[str, Any]:
    return {"n": len(scores), "points": sum(scores), "scores": pack_scores(scores)}


def tried(trials: int, *counts: int) -> dict[str, Any]:
    return {"n": len(counts), "trials": trials, "correct": sum(counts), "counts": pack_counts(counts)}


def newer(buckets: Any, **changes: Any) -> dict[str, Any]:
    return evaluation(buckets, schema="minieval.evaluation/2", **changes)


scores = st.lists(st.integers(0, 10_000), min_size=1, max_size=8)


@given(scores, st.data(), st.integers(0, 10_000))
@pytest.mark.slow
def test_a_graded_bucket_holds_when_its_mean_falls_by_no_more_than_the_tolerance(
    before: list[int], data: st.DataObject, tolerance: int
) -> None:
    now = data.draw(st.lists(st.integers(0, 10_000), min_size=len(before), max_size=len(before)))
    policy = {"tolerance_pp": tolerance / 100}
    verdict = judge(newer({"x": graded(*now)}), baseline({"x": graded(*before)}, policy=policy, status="report-only"))
    falls_by = Fraction(sum(before) - sum(now), len(before) * 100)
    assert verdict.rows[0].outcome == (Outcome.HELD if falls_by <= Fraction(tolerance, 100) else Outcome.REGRESSED)
    assert Fraction(verdict.rows[0].difference_pp or "") == -falls_by


def test_counts_of_trials_are_compared_as_shares_of_all_answers() -> None:
    agreed = baseline({"x": tried(4, 4, 4, 2)}, policy={"tolerance_pp": 9})
    assert judge(newer({"x": tried(4, 4, 4, 1)}, trials=4), agreed).exit is Exit.OK
    verdict = judge(newer({"x": tried(4, 4, 3, 1)}, trials=4), agreed)
    assert verdict.exit is Exit.REGRESSION
    row = verdict.rows[0]
    assert (row.difference_pp, row.evidence) == ("-50/3", None)
    assert row.candidate is not None
    assert (row.candidate.trials, row.candidate.share) == (4, Fraction(8, 12))
    assert "66.67 %, 8 of 12 answers (4 for each of 3 rows)" in render_verdict(verdict)


def test_a_mean_is_shown_and_never_rounded_to_the_tolerance_that_it_missed() -> None:
    agreed = baseline({"x": graded(8000, 8000)})
    verdict = judge(newer({"x": graded(7799, 7800)}), agreed)
    assert "-2.005 pp" in render_table(verdict)
    assert "80.00 %, the mean of 2 scores" in render_verdict(verdict)
    shown = render_baseline(parse_agreed(baseline({"x": {"n": 2, "mean": 0.8}}, task=TASK)))
    assert "mean score" in shown
    assert "0.8" in shown
    assert TASK["path"] in shown


@pytest.mark.parametrize("rule", ["guard", "noninferior"])
@pytest.mark.parametrize(
    ("before", "now", "trials", "outcome"),
    [
        (graded(*[9000] * 60), graded(*[9000] * 60), None, Outcome.HELD),
        (graded(*[9000] * 58), graded(*[9000] * 58), None, Outcome.INCONCLUSIVE),
        (graded(*[9000] * 200), graded(*[7000] * 200), None, Outcome.REGRESSED),
        (graded(*[2000, 8000] * 200), graded(*[1900, 7900] * 200), None, Outcome.HELD),
        (tried(3, *[3] * 60), tried(3, *[3] * 60), 3, Outcome.HELD),
        (tried(3, *[3] * 20), tried(3, *[3] * 20), 3, Outcome.INCONCLUSIVE),
        (tried(3, *[3] * 100), tried(3, *[2] * 100), 3, Outcome.REGRESSED),
    ],
)
def test_a_mean_is_proved_within_a_margin_in_points_of_the_score(
    rule: str, before: Any, now: Any, trials: Any, outcome: Outcome
) -> None:
    """At 5 pp, 59 rows without a difference are the fewest that prove anything."""
    agreed = baseline({"x": before}, aggregate=before, policy={"rule": rule, "tolerance_pp": 5})
    verdict = judge(newer({"x": now}, aggregate=now, trials=trials), agreed)
    (row,) = verdict.rows
    assert row.outcome is outcome
    assert row.evidence is not None
    assert row.evidence.method is Method.UNITS
    assert row.evidence.units == before["n"]
    assert (row.evidence.units_to_settle is not None) == (outcome is Outcome.INCONCLUSIVE)
    if outcome is Outcome.INCONCLUSIVE:
        assert "are too few: without a difference it takes 59" in row.reason


def test_the_p_of_a_mean_is_that_of_independent_code() -> None:
    """The oracles of the unit test, through `compare`: 3 trials, and graded scores; 10 pp."""
    before = tried(3, *[1] * 10, *[2] * 8, *[3] * 2, *[3] * 80)
    now = tried(3, *[2] * 10, *[1] * 8, *[0] * 2, *[3] * 80)
    policy = {"rule": "noninferior", "tolerance_pp": 10}
    (row,) = judge(newer({"x": now}, trials=3), baseline({"x": before}, policy=policy)).rows
    assert row.evidence is not None
    assert (row.evidence.p_within, row.evidence.p_within_theorem) == ("0.002204", "0.030640")
    assert row.outcome is Outcome.HELD
    changes = [1000, -2000, 3000, 0, 500] * 20
    before, now = graded(*[5000] * 100), graded(*(5000 + change for change in changes))
    (row,) = judge(newer({"x": now}), baseline({"x": before}, policy=policy)).rows
    assert row.evidence is not None
    assert (row.evidence.p_within, row.evidence.p_within_theorem) == ("0.000001", "0.000003")


def test_a_theorem_decides_where_the_policy_demands_one() -> None:
    """60 rows that never differ are proved within 5 pp by Gaffke's p, and not by the betting p."""
    before, policy = graded(*[9000] * 60), {"rule": "noninferior", "tolerance_pp": 5}
    outcomes = {
        proof: judge(newer({"x": before}), baseline({"x": before}, policy=policy | proof_of(proof))).rows[0]
        for proof in (None, "gaffke", "theorem")
    }
    assert [row.outcome for row in outcomes.values()] == [Outcome.HELD, Outcome.HELD, Outcome.INCONCLUSIVE]
    assert "60 examples are too few: without a difference it takes 86" in outcomes["theorem"].reason


def proof_of(proof: str | None) -> dict[str, str]:
    return {} if proof is None else {"proof": proof}


def test_a_mean_without_its_rows_is_not_judged_by_a_proof() -> None:
    whole = graded(*[9000] * 60)
    short = {key: value for key, value in whole.items() if key != "scores"}
    (row,) = judge(newer({"x": whole}), baseline({"x": short}, policy={"rule": "noninferior"})).rows
    assert row.outcome is Outcome.UNMEASURED
    assert row.reason == "rule noninferior needs each row of both sides (graded), and the baseline has no scores"


def test_a_cap_on_flips_asks_what_a_flip_of_a_score_is() -> None:
    agreed = baseline({"x": graded(9000)}, policy={"max_negative_flip_rate": 0.1})
    verdict = judge(newer({"x": graded(9000)}), agreed)
    assert verdict.exit is Exit.CANNOT_JUDGE
    assert verdict.rows[0].reason == "max_negative_flip_rate needs flip_drop for rows that are graded"
    with pytest.raises(CannotJudge, match="flip_drop has no effect without max_negative_flip_rate"):
        parse_agreed(baseline({"x": graded(9000)}, policy={"flip_drop": 0.1}))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9), st.integers(0, 3))
@pytest.mark.slow
def test_a_flip_is_a_fall_by_more_than_the_stated_share(rows: list[tuple[int, int]], quarters: int) -> None:
    """Graded scores and four trials of the same means count alike."""
    policy = {
        "max_negative_flip_rate": 0.25, "flip_drop": quarters / 4, "tolerance_pp": 100,
        # Under the general tolerance no bucket could fail, and nothing would be compared.
        "buckets": {"y": {"tolerance_pp": 1}},
    }  # fmt: skip
    flips = sum(before - now > quarters for before, now in rows)

    def quarter_scores(*values: int) -> dict[str, Any]:
        return graded(*(2500 * each for each in values))

    def four_trials(*values: int) -> dict[str, Any]:
        return tried(4, *values)

    for make, trials in ((quarter_scores, None), (four_trials, 4)):
        before, now = (make(*side) for side in zip(*rows, strict=True))
        guard = make(4)
        agreed = baseline({"x": before, "y": guard}, policy=policy)
        verdict = judge(newer({"x": now, "y": guard}, trials=trials), agreed)
        (row, _) = verdict.rows
        assert row.negative_flips == flips
        assert row.negative_flip_rate == Fraction(flips, len(rows))
        assert row.outcome is (Outcome.REGRESSED if 4 * flips > len(rows) else Outcome.HELD)


def test_the_reason_and_the_table_have_the_flips() -> None:
    policy = {"max_negative_flip_rate": 0.25, "flip_drop": 0.3, "tolerance_pp": 50}
    agreed = baseline({"x": graded(9000, 9000, 5000)}, policy=policy)
    measured = newer({"x": graded(5000, 6000, 9000)})
    verdict, _, _ = decide_bytes(write(measured), write(agreed))
    assert "1 of 3 examples were lost (fell by over 0.3), 33.33 %, and at most 25.00 % may be" in verdict.rows[0].reason
    assert "33.3" in render_table(verdict)
    assert replay(verdict.to_json(), write(measured), write(agreed)) == verdict


def test_a_relative_tolerance_follows_the_mean_of_the_baseline() -> None:
    """5 % of a mean of 0.04 are 0.2 pp; of a bucket that is all right they are 5 pp."""
    terms = {"buckets": {"*": {"tolerance_pct": 5}}}
    agreed = baseline({"low": graded(400), "whole": {"n": 100, "correct": 100}}, policy=terms)

    def outcomes(low: int, whole: int) -> list[tuple[str, Outcome]]:
        verdict = judge(newer({"low": graded(low), "whole": {"n": 100, "correct": whole}}), agreed)
        return [(row.tolerance_pp, row.outcome) for row in verdict.rows]

    assert outcomes(380, 95) == [("0.2", Outcome.HELD), ("5.0", Outcome.HELD)]
    assert outcomes(379, 94) == [("0.2", Outcome.REGRESSED), ("5.0", Outcome.REGRESSED)]
    with pytest.raises(CannotJudge, match="sets tolerance_pp and tolerance_pct"):
        parse_agreed(baseline(policy={"buckets": {"*": {"tolerance_pct": 5, "tolerance_pp": 1}}}))


def test_a_relative_tolerance_is_rounded_down() -> None:
    agreed = baseline({"x": {"n": 3, "correct": 1}}, policy={"buckets": {"x": {"tolerance_pct": 10}}})
    assert judge(evaluation({"x": {"n": 3, "correct": 1}}), agreed).rows[0].tolerance_pp == "3.333333"


def test_a_bucket_in_its_warning_band_holds_and_is_named() -> None:
    agreed = baseline({"x": {"n": 100, "correct": 90}, "y": {"n": 100, "correct": 90}}, policy={"warn_pp": 0.5})

    def warned(x: int, y: int) -> tuple[str, ...]:
        verdict = judge(evaluation({"x": {"n": 100, "correct": x}, "y": {"n": 100, "correct": y}}), agreed)
        assert ("; 1 warning" in verdict.summary) == (len(verdict.warned_rows) == 1)
        shown = render_table(verdict)
        assert all(f"warning: {row.bucket} -1.00 pp, and a fall of over 0.5 pp" in shown for row in verdict.warned_rows)
        return tuple(row.bucket for row in verdict.warned_rows)

    assert warned(90, 90) == ()
    assert warned(89, 91) == ("x",)
    assert warned(89, 89) == ("x", "y")
    assert warned(80, 89) == ("y",)  # what blocks is no warning
    with pytest.raises(CannotJudge, match="warn_pp is no smaller than tolerance_pp"):
        parse_agreed(baseline(policy={"warn_pp": 2}))


@pytest.mark.parametrize(
    ("before", "now", "trials"),
    [
        ({"n": 2, "correct": 1}, graded(10000, 0), None),
        (graded(10000, 0), {"n": 2, "correct": 1}, None),
        ({"n": 2, "correct": 1}, tried(2, 2, 0), 2),
        (tried(3, 3, 0), tried(2, 2, 0), 2),
        ({"accuracy": 0.5}, {"mean": 0.5}, None),
    ],
)
def test_two_scales_are_not_compared(before: Any, now: Any, trials: Any) -> None:
    verdict = judge(newer({"x": now}, trials=trials), baseline({"x": before}))
    assert (verdict.rows[0].outcome, verdict.exit) == (Outcome.UNMEASURED, Exit.CANNOT_JUDGE)
    assert "rebaseline" in verdict.rows[0].reason


def test_a_minimum_holds_for_a_mean() -> None:
    agreed = baseline({"x": graded(9000)}, policy={"tolerance_pp": 50, "buckets": {"x": {"min": 0.8}}})
    assert judge(newer({"x": graded(8000)}), agreed).passed
    assert judge(newer({"x": graded(7999)}), agreed).exit is Exit.REGRESSION


@pytest.mark.parametrize(("ours", "theirs"), [(TASK, OTHER), (TASK, None), (None, TASK)])
def test_another_task_is_an_integrity_failure(ours: Any, theirs: Any) -> None:
    measured = newer({"x": {"accuracy": 0.9}}, **({"task": theirs} if theirs else {}))
    agreed = baseline({"x": {"accuracy": 0.9}}, **({"task": ours} if ours else {}))
    with pytest.raises(IntegrityFailure, match="not the same task"):
        judge(measured, agreed)


def test_the_same_task_is_a_condition_and_its_path_may_differ() -> None:
    moved = {**TASK, "path": "elsewhere.toml"}
    verdict = judge(newer({"x": {"accuracy": 0.9}}, task=moved), baseline({"x": {"accuracy": 0.9}}, task=TASK))
    assert verdict.passed
    assert [(each.name, each.outcome) for each in verdict.conditions] == [("eval set", "held"), ("task", "held")]
    assert verdict.inputs.task_sha256 == TASK["sha256"]
    plain = judge(evaluation({"x": {"accuracy": 0.9}}), baseline({"x": {"accuracy": 0.9}}))
    assert [each.name for each in plain.conditions] == ["eval set"]
    assert b"task" not in plain.to_json()


def test_a_placeholder_for_the_task_is_not_measured() -> None:
    agreed = baseline({"x": {"accuracy": 0.9}}, task={"path": "eval.toml", "sha256": "TODO"}, status="report-only")
    verdict = judge(newer({"x": {"accuracy": 0.9}}, task=TASK), agreed)
    assert not verdict.passed
    assert "placeholder for the digest of its task" in verdict.reasons[0]
    with pytest.raises(CannotJudge, match=r"placeholder at task\.sha256"):
        judge(newer({"x": {"accuracy": 0.9}}, task=TASK), agreed | {"status": "active"})


def test_the_context_decides_nothing() -> None:
    trees = [newer({"x": graded(9000)}, **more) for more in ({}, {"context": {"commit": "f" * 40, "branch": "main"}})]
    verdicts = [json.loads(judge(tree, baseline({"x": graded(9000)})).to_json()) for tree in trees]
    for each in verdicts:
        del each["inputs"]["evaluation_sha256"]
    assert verdicts[0] == verdicts[1]


def test_a_verdict_on_graded_scores_replays() -> None:
    measured, agreed = write(newer({"x": graded(9000)}, task=TASK)), write(baseline({"x": graded(9100)}, task=TASK))
    verdict, _, _ = decide_bytes(measured, agreed)
    assert replay(verdict.to_json(), measured, agreed) == verdict
    tampered = verdict.to_json().replace(b'"points": 9000', b'"points": 9001')
    with pytest.raises(IntegrityFailure, match="'x' differs in candidate"):
        replay(tampered, measured, agreed)


@pytest.mark.parametrize(
    ("buckets", "changes", "said"),
    [
        (
            {"x": graded(10000)},
            {"aggregate": graded(0, 0)},
            "bucket 'x' has 10000 of 10000 points, and the aggregate 0",
        ),
        ({"x": graded(0, 5)}, {"aggregate": graded(5, 0)}, "the same 2 rows and other outcomes"),
        (
            {"x": graded(5), "y": graded(6)},
            {"aggregate": graded(5, 7)},
            "the buckets have 11 of 20000 points, and the aggregate 12 of 20000",
        ),
        ({"x": {"n": 1, "correct": 1}}, {"aggregate": graded(5)}, "is right or wrong, and the aggregate is graded"),
        ({"x": tried(2, 2)}, {"trials": 2, "aggregate": tried(2, 1, 0)}, "has 2 of 2 answers right"),
        (
            {"x": {"accuracy": 1}},
            {"missing_answers": 4, "eval_set": {"dvc_md5": MD5, "rows": 3}},
            "missing_answers is 4",
        ),
        (
            {"x": {"accuracy": 1}},
            {"missing_answers": 2, "aggregate": {"n": 3, "correct": 2}},
            "2 of 3 rows right, and missing_answers is 2",
        ),
    ],
)
def test_an_evaluation_that_contradicts_itself_is_not_judged(buckets: Any, changes: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=f"contradicts itself: .*{said}"):
        judge(newer(buckets, **changes), baseline({"x": {"accuracy": 1}}))


YES = {
    "n": 3,
    "true_positives": 1,
    "false_positives": 1,
    "false_negatives": 0,
    "false_positive_bits": pack_outcomes([False, True, False]),
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eval_set": {"dvc_md5": MD5, "rows": 4}}, "class 'yes' has n 3, and the eval set has 4 rows"),
        ({"metrics": {"precision.yes": {"value": 0.51}}}, "metric 'precision.yes' is 0.51, and its class gives 0.5"),
    ],
)
def test_classes_that_contradict_the_rest_are_not_judged(changes: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=f"contradicts itself: {said}"):
        judge(newer({"x": {"accuracy": 1}}, classes={"yes": YES}, **changes), baseline({"x": {"accuracy": 1}}))


def rate_of(kind: str, tp: int, fp: int, fn: int, **limits: Any) -> Any:
    """The verdict's row of one rate of one class, 300 rows in all."""
    share = {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}[kind]
    metric = {"value": round(share, 6), "direction": "higher", "machine": False}
    counts = {"n": 300, "true_positives": tp, "false_positives": fp, "false_negatives": fn}
    x = {"n": 300, "correct": 300 - fp - fn}
    agreed = baseline({"x": x}, metrics={f"{kind}.yes": metric}, policy={"metrics": {f"{kind}.*": limits}})
    measured = {name: {"value": value} for name, value in rates(tp, fp, fn).items()}
    policy = {"metrics": {f"{kind}.*": limits, "default": {"tier": "advisory"}}}
    agreed["policy"] |= policy
    agreed["metrics"] |= {name: {**metric, **value} for name, value in measured.items()}
    verdict = judge(newer({"x": x}, classes={"yes": counts}, metrics=measured), agreed)
    return next(row for row in verdict.metrics if row.metric == f"{kind}.yes")


def rates(tp: int, fp: int, fn: int) -> dict[str, float]:
    """The metrics that minieval writes for one class."""
    counts = ClassCounts(n=300, true_positives=tp, false_positives=fp, false_negatives=fn)
    return {name: float(metric.value) for name, metric in measure_classes({"yes": counts}).items()}


@pytest.mark.parametrize(("kind", "wrong"), [("precision", (8, 0)), ("recall", (0, 8))])
def test_precision_and_recall_are_proved_by_the_binomial_test(kind: str, wrong: tuple[int, int]) -> None:
    row = rate_of(kind, 92, *wrong, min=0.85, min_confidence=0.95)
    p = binom.sf(91, 100, 0.85)  # 92 of 100 or more, at a true rate of 85 %
    assert float(row.p_above_min) == pytest.approx(p, abs=1e-6)
    assert (row.outcome, p < 0.05) == (Outcome.HELD, True)
    row = rate_of(kind, 92, *wrong, min=0.88, min_confidence=0.95)
    assert (row.outcome, "not proved at least 0.88" in row.reason) == (Outcome.INCONCLUSIVE, True)
    assert rate_of(kind, 92, *wrong, min=0.93, min_confidence=0.95).outcome is Outcome.REGRESSED


@pytest.mark.slow
def test_f1_at_its_floor_is_seldom_proved() -> None:
    """At a true F1 of 0.8 (tp 20 %, fp and fn 5 % each), at most 5 % of samples prove more."""
    generator, proved = np.random.default_rng(7), 0
    for _ in range(2_000):
        tp, fp, fn, _ = map(int, generator.multinomial(300, [0.2, 0.05, 0.05, 0.7]))
        counts = ClassCounts(n=300, true_positives=tp, false_positives=fp, false_negatives=fn)
        proved += rate_floor_p(counts, "f1", 0.8) <= 0.05
    assert 0.015 <= proved / 2_000 <= 0.06
    row = rate_of("f1", 60, 3, 4, min=0.8, min_confidence=0.95)
    assert (row.outcome, row.p_above_min is not None) == (Outcome.HELD, True)


def test_what_no_rows_can_prove_is_unmeasured() -> None:
    metric = {"value": 0.9, "direction": "higher", "machine": False}
    policy = {"metrics": {"bleu": {"min": 0.5, "min_confidence": 0.95}}}
    agreed = baseline({"x": {"accuracy": 1}}, metrics={"bleu": metric}, policy=policy)
    verdict = judge(newer({"x": {"accuracy": 1}}, metrics={"bleu": {"value": 0.9}}), agreed)
    assert (verdict.metrics[0].outcome, verdict.exit) == (Outcome.UNMEASURED, Exit.CANNOT_JUDGE)
    for limits in ({"min_confidence": 0.9}, {"min_confidence": 0.9, "min": 1}, {"min_confidence": 0.9, "max": 0.5}):
        with pytest.raises(CannotJudge, match=r"min_confidence is about a min between 0 and 1|limits nothing"):
            parse_agreed(baseline({"x": {"accuracy": 1}}, policy={"metrics": {"bleu": limits}}))


def test_a_floor_and_a_confidence_that_no_test_resolves_are_refused() -> None:
    limits = {"min": 0.5, "min_confidence": 0.95}
    data = write(baseline({"x": {"accuracy": 1}}, policy={"metrics": {"recall.yes": limits}}))
    with pytest.raises(CannotJudge, match="min_confidence is about a min between 0 and 1"):
        parse_baseline(data.replace(b"0.5", b"0.99999999999999999999"), where="it")
    metric = {"value": 0.9, "direction": "higher", "machine": False}
    policy = {"metrics": {"recall.yes": {"min": 0.5, "min_confidence": 0.99999999}}}
    agreed = baseline({"x": {"accuracy": 1}}, metrics={"recall.yes": metric}, policy=policy)
    with pytest.raises(CannotJudge, match=r"'recall\.yes' has min_confidence 0\.99999999, and no test decides above"):
        judge(newer({"x": {"accuracy": 1}}, metrics={"recall.yes": {"value": 0.9}}), agreed)


def test_precision_of_a_class_is_gated_as_a_metric() -> None:
    metric = {"value": 0.9, "direction": "higher", "machine": False}
    policy = {"metrics": {"precision.*": {"max_abs": 0.1}}}
    agreed = baseline({"x": {"accuracy": 1}}, metrics={"precision.yes": metric}, policy=policy)
    measured = {"precision.yes": {"value": 0.5, "direction": "higher"}}
    verdict = judge(newer({"x": {"accuracy": 1}}, classes={"yes": YES}, metrics=measured), agreed)
    assert (verdict.exit, verdict.metrics[0].outcome) == (Exit.REGRESSION, Outcome.REGRESSED)
