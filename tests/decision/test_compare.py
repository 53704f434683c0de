"""The decision, compared with an independent computation."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynxgate.decision.baseline import Status
from lynxgate.decision.decide import decide, parse_tolerance
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import CannotJudge, Exit, IntegrityFailure, Refused, UsageFailure
from lynxgate.reports.explanation import render_verdict
from lynxgate.reports.page import render_page
from lynxgate.reports.verdict_table import render_markdown, render_table
from tests.samples import AFTER, BEFORE, MD5, MODEL, OLDER_MODEL, baseline, evaluation, judge, judge_again, write


def outcome(verdict: Verdict, bucket: str) -> Outcome:
    (found,) = [row.outcome for row in verdict.rows if row.bucket == bucket]
    return found


def one(before: Any, now: Any, **policy: Any) -> Verdict:
    """The verdict on bucket `x`; the other bucket holds, and can fail whatever figures `x` has."""
    held = {"y": {"accuracy": 1}}
    return judge(evaluation({"x": now, **held}), baseline({"x": before, **held}, policy=policy))


def test_a_candidate_within_every_tolerance_passes() -> None:
    verdict = judge(evaluation(), baseline())
    assert (verdict.passed, verdict.exit, verdict.reasons) == (True, Exit.OK, ())
    assert [row.bucket for row in verdict.rows] == sorted(BEFORE)
    assert (verdict.candidate.canonical_sha, verdict.baseline.canonical_sha) == (MODEL, OLDER_MODEL)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"accuracy": 0.92}, {"accuracy": 0.90}, "held"),  # in floats 0.92 - 0.90 > 0.02
        ({"accuracy": 0.92}, {"accuracy": 0.8999}, "regressed"),
        ({"n": 300, "correct": 276}, {"n": 300, "correct": 270}, "held"),
        ({"n": 300, "correct": 276}, {"n": 300, "correct": 269}, "regressed"),
        ({"n": 300, "correct": 276, "accuracy": 0.92}, {"n": 300, "accuracy": 0.90}, "held"),
        ({"n": 3, "correct": 1, "accuracy": 0.3333}, {"n": 3, "accuracy": 0.3333}, "held"),
        ({"accuracy": 0}, {"accuracy": 0}, "held"),
        ({"accuracy": 0}, {"accuracy": 1}, "held"),
        ({"accuracy": 1}, {"accuracy": 0}, "regressed"),
        ({"accuracy": Decimal("0.92000000000000000000000001")}, {"accuracy": 0.90}, "regressed"),
    ],
)
def test_at_the_tolerance_passes_and_past_it_does_not(before: Any, now: Any, expected: str) -> None:
    assert outcome(one(before, now), "x") == expected


def test_two_decimals_at_exactly_two_points_always_pass() -> None:
    for hundredths in range(2, 101):
        before, now = Decimal(hundredths) / 100, Decimal(hundredths - 2) / 100
        assert one({"accuracy": before}, {"accuracy": now}).passed


def test_where_counts_exist_they_decide_over_the_written_accuracy() -> None:
    counts = {"n": 100_000, "correct": 92_004, "accuracy": 0.92}
    assert not one(counts, {"n": 100_000, "correct": 90_003, "accuracy": 0.90}).passed


sides = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n)))
tables = st.dictionaries(st.text("abc.", min_size=1, max_size=4), sides, min_size=1, max_size=5)
tolerances = st.integers(0, 400).map(lambda quarter: Decimal(quarter) / 4)


def _tables(table: dict[str, tuple[int, int, int]]) -> tuple[dict[str, Any], dict[str, Any]]:
    before = {name: {"n": n, "correct": old} for name, (n, old, _) in table.items()}
    return before, {name: {"n": n, "correct": new} for name, (n, _, new) in table.items()}


@given(tables, tolerances)
@pytest.mark.slow
def test_the_decision_is_that_of_plain_integers(table: dict[str, tuple[int, int, int]], pp: Decimal) -> None:
    before, now = _tables(table)
    verdict = judge_again(evaluation(now), baseline(before, policy={"tolerance_pp": pp}))
    for row in verdict.rows:
        n, old, new = table[row.bucket]
        held = 400 * (old - new) <= int(pp * 4) * n  # no division anywhere
        assert (row.outcome is Outcome.HELD) == held
        assert row.difference_pp is not None
        assert Fraction(row.difference_pp) == Fraction(100 * (new - old), n)
    assert verdict.passed == all(400 * (old - new) <= int(pp * 4) * n for n, old, new in table.values())
    assert parse_verdict(verdict.to_json()) == verdict


@given(tables, tolerances, st.randoms(use_true_random=False))
@pytest.mark.slow
def test_the_order_of_buckets_changes_nothing(table: dict[str, tuple[int, int, int]], pp: Decimal, random: Any) -> None:
    before, now = _tables(table)
    shuffled = list(now.items())
    random.shuffle(shuffled)
    policy = {"tolerance_pp": pp}
    first, second = (judge_again(evaluation(each), baseline(before, policy=policy)) for each in (now, dict(shuffled)))
    assert first.rows == second.rows


@given(tables, tolerances, st.data())
@pytest.mark.slow
def test_a_better_candidate_and_a_wider_tolerance_never_turn_a_pass_into_a_refusal(
    table: dict[str, tuple[int, int, int]], pp: Decimal, data: st.DataObject
) -> None:
    before, now = _tables(table)
    verdict = judge_again(evaluation(now), baseline(before, policy={"tolerance_pp": pp}))
    better = {
        name: {"n": each["n"], "correct": data.draw(st.integers(each["correct"], each["n"]))}
        for name, each in now.items()
    }
    wider = data.draw(tolerances.filter(lambda each: each >= pp))
    if verdict.passed:
        assert judge_again(evaluation(better), baseline(before, policy={"tolerance_pp": pp})).passed
        assert judge_again(evaluation(now), baseline(before, policy={"tolerance_pp": wider})).passed


@given(tables)
@pytest.mark.slow
def test_a_candidate_at_least_as_good_everywhere_passes_at_no_tolerance(
    table: dict[str, tuple[int, int, int]],
) -> None:
    before, now = _tables({name: (n, min(old, new), max(old, new)) for name, (n, old, new) in table.items()})
    assert judge_again(evaluation(now), baseline(before, policy={"tolerance_pp": 0})).passed


def test_one_bucket_down_refuses_although_the_aggregate_rises() -> None:
    verdict = judge(
        evaluation({**AFTER, "tense.past_participle": {"n": 679, "correct": 558}}, aggregate={"accuracy": 0.99}),
        baseline(aggregate={"accuracy": 0.90}),
    )
    assert verdict.exit is Exit.REGRESSION
    assert [row.bucket for row in verdict.blocking] == ["tense.past_participle"]
    assert verdict.reasons == ("tense.past_participle regressed: -10.90 pp, and the tolerance is 2.0 pp",)
    assert verdict.aggregate is not None
    assert verdict.aggregate.outcome is Outcome.HELD


def test_missing_and_new_buckets_refuse_when_active() -> None:
    verdict = judge(evaluation({"x": {"accuracy": 1}}), baseline({"y": {"accuracy": 0.1}}))
    assert [(row.bucket, row.outcome) for row in verdict.rows] == [("x", "new"), ("y", "missing")]
    assert verdict.exit is Exit.REGRESSION


def test_another_n_on_the_same_eval_set_is_unmeasured() -> None:
    verdict = one({"n": 10, "correct": 5}, {"n": 11, "correct": 11})
    assert (verdict.rows[0].outcome, verdict.exit) == (Outcome.UNMEASURED, Exit.CANNOT_JUDGE)
    assert "n is 10 in the baseline and 11" in verdict.reasons[0]


def test_a_regression_outweighs_what_cannot_be_judged() -> None:
    verdict = judge(
        evaluation({"x": {"n": 11, "correct": 11}, "y": {"accuracy": 0}}),
        baseline({"x": {"n": 10, "correct": 5}, "y": {"accuracy": 1}}),
    )
    assert verdict.exit is Exit.REGRESSION


def test_an_advisory_bucket_is_shown_and_never_blocks() -> None:
    policy = {"buckets": {"spelling.*": {"tier": "advisory"}}}
    for spelling in ({"spelling.doubling": {"accuracy": 0}}, {}, {"spelling.doubling": {"accuracy": 0, "n": 3}}):
        others = {name: each for name, each in AFTER.items() if not name.startswith("spelling")}
        verdict = judge(evaluation({**others, **spelling}), baseline(policy=policy))
        assert verdict.passed
        assert outcome(verdict, "spelling.doubling") is not Outcome.HELD
        assert "1 advisory did not" in verdict.summary


def test_a_policy_under_which_nothing_could_fail_does_not_pass() -> None:
    agreed = baseline(policy={"buckets": {"*": {"tier": "advisory"}}})
    with pytest.raises(CannotJudge, match="no candidate could be refused: every bucket is advisory"):
        judge(evaluation(), agreed)
    verdict = judge_again(evaluation(), agreed)
    assert (verdict.passed, verdict.exit) == (False, Exit.CANNOT_JUDGE)
    assert verdict.reasons == ("every bucket is advisory, so nothing could fail",)


def test_a_minimum_holds_for_any_baseline() -> None:
    policy = {"buckets": {"x": {"min": 0.9}}}
    assert one({"accuracy": 0.5}, {"accuracy": 0.9}, **policy).passed
    verdict = one({"accuracy": 0.9}, {"accuracy": 0.89999}, **policy)
    assert verdict.exit is Exit.REGRESSION
    assert verdict.reasons == ("x regressed: -0.001 pp, and 89.999 % is below the minimum of 90.00 %",)


@pytest.mark.parametrize(
    ("before", "now", "gate", "code"),
    [
        (0.95, 0.94, None, Exit.OK),
        (0.95, 0.80, None, Exit.OK),
        (0.95, 0.94, 1, Exit.OK),
        (0.95, 0.9399, 1, Exit.REGRESSION),
        (None, 0.95, 1, Exit.CANNOT_JUDGE),
        (0.95, None, 1, Exit.CANNOT_JUDGE),
        (None, None, 1, Exit.CANNOT_JUDGE),
        (0.95, None, None, Exit.OK),
    ],
)
def test_the_aggregate_is_shown_and_is_gated_where_the_policy_sets_it(
    before: float | None, now: float | None, gate: int | None, code: Exit
) -> None:
    policy = {} if gate is None else {"overall_tolerance_pp": gate}
    verdict = judge(
        evaluation(**({} if now is None else {"aggregate": {"accuracy": now}})),
        baseline(policy=policy, **({} if before is None else {"aggregate": {"accuracy": before}})),
    )
    assert verdict.exit is code
    assert verdict.aggregate is not None


def test_another_eval_set_is_an_integrity_failure_that_names_both() -> None:
    stale = evaluation(eval_set={"dvc_md5": "f" * 32})
    for status in Status:
        with pytest.raises(IntegrityFailure, match=f"evaluation is on DVC md5 {'f' * 32}, the baseline on {MD5}"):
            judge(stale, baseline(status=status))
    with pytest.raises(IntegrityFailure, match="SHA-256"):
        judge(evaluation(eval_set={"dvc_md5": MD5, "sha256": "0" * 64}), baseline())
    assert judge(evaluation(eval_set={"dvc_md5": MD5}), baseline()).passed


@pytest.mark.parametrize(
    ("required", "found", "code"),
    [
        ("process", "process", Exit.OK),
        ("process", "bwrap", Exit.OK),
        ("bwrap", "bwrap", Exit.OK),
        ("bwrap", "process", Exit.CANNOT_JUDGE),
        ("process", None, Exit.CANNOT_JUDGE),
        ("process", "vm", Exit.CANNOT_JUDGE),
        ("process", "external", Exit.CANNOT_JUDGE),
        ("external", "external", Exit.OK),
        ("external", "process", Exit.OK),
        ("external", None, Exit.CANNOT_JUDGE),
    ],
)
def test_a_policy_may_ask_for_an_isolation(required: str, found: str | None, code: Exit) -> None:
    evaluator = {} if found is None else {"evaluator": {"name": "m", "version": "1", "isolation": found}}
    verdict = judge(evaluation(**evaluator), baseline(policy={"min_isolation": required}))
    assert verdict.exit is code
    report_only = judge(evaluation(**evaluator), baseline(status="report-only", policy={"min_isolation": required}))
    assert (report_only.exit, report_only.passed) == (Exit.OK, code is Exit.OK)


ENVIRONMENT = {"interpreter": "gate", "python": "3.11.7", "python_asked": "3.11.2", "requirements": 2}
DIFFERS = {"differences": [{"package": "numpy", "asked": "numpy==1.19", "installed": "2.3.1"}]}
ENVIRONMENTS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "none": (None, "the evaluation does not describe it"),
    "no requirements": ({**ENVIRONMENT, "requirements": None}, "the bundle has no requirements.txt"),
    "as asked": (ENVIRONMENT, ""),
    "built": ({**ENVIRONMENT, "interpreter": "model", "lock_sha256": "0" * 64}, ""),
    "another version": ({**ENVIRONMENT, **DIFFERS}, "asks for numpy==1.19 (2.3.1 is installed)"),
    "another Python": ({**ENVIRONMENT, "python_asked": "3.9.2"}, "asks for Python 3.9.2, and 3.11.7 ran"),
    "unread lines": ({**ENVIRONMENT, "unread": 1}, "1 of its lines are no plain requirements"),
}


@pytest.mark.parametrize(("found", "words"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_a_policy_may_require_the_models_environment(found: dict[str, Any] | None, words: str) -> None:
    described: dict[str, Any] = {} if found is None else {"schema": "minieval.evaluation/2", "model_environment": found}
    measured = evaluation(**described)
    required = judge(measured, baseline(policy={"require_model_environment": True}))
    assert required.exit is (Exit.CANNOT_JUDGE if words else Exit.OK)
    assert words in "".join(required.reasons)
    told = judge(measured, baseline())
    assert told.passed
    differs = bool(words) and found is not None and found["requirements"] is not None
    assert [each.name for each in told.doubtful_conditions] == (["model environment"] if differs else [])
    assert ("; 1 warning" in told.summary) is differs
    for rendered in (render_table(told), render_markdown(told), render_page(told), render_verdict(told)):
        assert ((words in rendered) and ("warning" in rendered)) is differs


def test_only_true_requires_the_models_environment() -> None:
    for value in (False, None, "yes"):
        with pytest.raises(CannotJudge, match="require_model_environment"):
            judge(evaluation(), baseline(policy={"require_model_environment": value}))


def test_report_only_reports_what_would_fail_and_exits_0() -> None:
    verdict = judge(evaluation({"x": {"accuracy": 0}}), baseline({"x": {"accuracy": 1}}, status="report-only"))
    assert (verdict.passed, verdict.exit) == (False, Exit.OK)
    assert verdict.summary.startswith("would fail: x regressed")


def test_placeholders_of_a_report_only_baseline_are_unmeasured() -> None:
    agreed = baseline({"x": {"n": None, "accuracy": "TODO"}}, status="report-only", eval_set_dvc_hash="TODO")
    verdict = judge(evaluation({"x": {"accuracy": 1}}), agreed)
    assert outcome(verdict, "x") is Outcome.UNMEASURED
    assert verdict.exit is Exit.OK
    assert verdict.summary.startswith("would fail: eval set: the baseline has a placeholder")


def test_a_given_tolerance_tightens_and_never_loosens_an_active_policy() -> None:
    agreed = baseline(
        {"x": {"accuracy": 0.92}, "y": {"accuracy": 0.92}}, policy={"buckets": {"y": {"tolerance_pp": 9}}}
    )
    measured = evaluation({"x": {"accuracy": 0.91}, "y": {"accuracy": 0.85}})
    assert judge(measured, agreed, "2.0").passed
    verdict = judge(measured, agreed, "0.5")
    assert [row.bucket for row in verdict.blocking] == ["x"]
    assert (verdict.tolerance_pp, verdict.policy_tolerance_pp) == ("0.5", "2.0")
    with pytest.raises(Refused, match=r"2\.01 pp would loosen the active policy, which has 2\.0 pp"):
        judge(measured, agreed, "2.01")
    loose = judge(measured, {**agreed, "status": "report-only"}, "5")
    assert (loose.passed, loose.tolerance_pp, loose.policy_tolerance_pp) == (True, "5.0", "2.0")


def test_a_policy_without_a_tolerance_means_two_points() -> None:
    agreed = baseline({"x": {"accuracy": 0.92}})
    del agreed["policy"]["tolerance_pp"]
    assert judge(evaluation({"x": {"accuracy": 0.90}}), agreed).tolerance_pp == "2.0"
    with pytest.raises(Refused):
        judge(evaluation({"x": {"accuracy": 0.90}}), agreed, "2.1")


def test_a_glob_that_matches_nothing_is_an_error() -> None:
    policy = {"buckets": {"tense.*": {"tier": "critical"}, "tens.*": {"tier": "critical"}}}
    with pytest.raises(CannotJudge, match=r"'tens\.\*' matches no bucket"):
        judge(evaluation(), baseline(policy=policy))


@pytest.mark.parametrize(("text", "pp"), [("0.02", "2"), ("0", "0"), ("1", "100"), ("0.005", "0.5"), ("1.000", "100")])
def test_a_tolerance_is_read_as_a_fraction(text: str, pp: str) -> None:
    assert parse_tolerance(text) == Decimal(pp)


@pytest.mark.parametrize(
    "text",
    ["", "nan", "NaN", "inf", "-inf", "-0.1", "-0", "+0.1", "2", "1.0001", "true", "0,02", "2e-2", "2%", ".02", "0.",
     " 0.02", "0.02\n", "0_1", "\u0660", "0." + "0" * 40, "0x1"],
)  # fmt: skip
def test_any_other_text_is_refused_as_a_tolerance(text: str) -> None:
    with pytest.raises(UsageFailure, match="not a tolerance"):
        parse_tolerance(text)


@given(st.text(max_size=8))
@pytest.mark.slow
def test_any_text_is_a_tolerance_between_0_and_100_or_a_usage_failure(text: str) -> None:
    with contextlib.suppress(UsageFailure):
        assert 0 <= parse_tolerance(text) <= 100


def test_a_verdict_round_trips_and_stores_no_result() -> None:
    verdict = judge(evaluation(), baseline())
    data = verdict.to_json()
    assert parse_verdict(data) == verdict
    assert parse_verdict(data).to_json() == data
    assert data.endswith(b"}\n")
    for word in (b"passed", b"exit", b"summary"):
        assert word not in data
    with pytest.raises(TypeError):
        verdict.rows[0] = verdict.rows[0]  # type: ignore[index]


def test_a_verdict_with_rows_twice_or_out_of_order_is_none() -> None:
    data = judge(evaluation(), baseline()).to_json()
    for broken in (
        data.replace(b"tense.past_participle", b"tense.third_person"),
        data.replace(b"spelling", b"zspelling"),
    ):
        with pytest.raises(CannotJudge, match="rows must be in code-point order"):
            parse_verdict(broken)


def test_the_inputs_are_the_digests_of_the_exact_bytes(tmp_path: Path) -> None:
    candidate, agreed = tmp_path / "candidate_eval.json", tmp_path / "eval_baseline.json"
    candidate.write_bytes(write(evaluation()))
    agreed.write_bytes(write(baseline()))
    first = decide(candidate, agreed)
    candidate.write_bytes(candidate.read_bytes() + b"\n")
    second = decide(candidate, agreed)
    assert first.inputs.baseline_sha256 == second.inputs.baseline_sha256
    assert first.inputs.evaluation_sha256 != second.inputs.evaluation_sha256
    assert first.rows == second.rows


REPEAT = """
import hashlib, sys
from pathlib import Path
from lynxgate.decision.decide import decide
from lynxgate.reports.verdict_table import render_markdown, render_table
digests = set()
for _ in range(25):
    verdict = decide(Path(sys.argv[1]), Path(sys.argv[2]))
    text = render_markdown(verdict) + render_markdown(verdict, every=True) + render_table(verdict) + verdict.summary
    digests.add(hashlib.sha256(verdict.to_json() + text.encode()).hexdigest())
print(*digests)
"""


@pytest.mark.slow
def test_a_hundred_repetitions_under_other_seeds_locales_and_zones_give_the_same_bytes(tmp_path: Path) -> None:
    candidate, agreed = tmp_path / "candidate_eval.json", tmp_path / "eval_baseline.json"
    buckets = {f"bücket.{index}": {"n": 100, "correct": 60 + index % 30} for index in range(40)}
    worse = {name: {"n": 100, "correct": each["correct"] - 5} for name, each in reversed(buckets.items())}
    candidate.write_bytes(write(evaluation(worse)))
    agreed.write_bytes(write(baseline(buckets, policy={"buckets": {f"*{i}": {"tolerance_pp": i} for i in range(9)}})))
    found = set()
    for seed, locale, zone in (("0", "C", "UTC"), ("1", "C.UTF-8", "Asia/Tokyo"), ("2", "de_DE", "NZ"), ("77", "", "")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone}
        command = [sys.executable, "-c", REPEAT, str(candidate), str(agreed)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found |= set(done.stdout.split())
    assert len(found) == 1


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=20))
def test_any_bucket_name_a_document_may_have_survives_the_whole_way(name: str) -> None:
    try:
        verdict = judge(evaluation({name: {"accuracy": 0.5}}), baseline({name: {"accuracy": 0.5}}))
    except (CannotJudge, UnicodeEncodeError):
        return
    assert parse_verdict(verdict.to_json()).rows[0].bucket == name
    assert verdict.summary.isprintable()
