"""Groups of examples decide under the rules that require proof: a group is one unit of evidence."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynxgate.analysis.calibrate import calibrate
from lynxgate.analysis.planned_row import chance_of_falling
from lynxgate.cli.app import run
from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.decide import decide_bytes_again
from lynxgate.decision.groups import Groups, find_groups, parse_groups, read_groups
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.statistics.units import Unit, units_beyond
from lynxgate.decision.verdict import BucketStatistics, Method, Row, Verdict
from lynxgate.errors import CannotJudge, Exit, IntegrityFailure
from minieval.contract.documents import parse_document
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation
from minieval.data.labels import read_labels
from tests.samples import baseline, evaluation, write

Bits = Sequence[bool]
GUARD = {"rule": "guard", "tolerance_pp": 3.0, "overall_tolerance_pp": 2.0}


def write_rows(path: Path, groups: Sequence[str | None], buckets: Callable[[int], list[str]] = lambda _: ["a"]) -> Path:
    rows = [
        {"id": f"r{index}", "prompt": "p", "expected": "x", "buckets": buckets(index)}
        | ({} if group is None else {"group": group})
        for index, group in enumerate(groups)
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def measured(outcomes: Bits) -> dict[str, Any]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def documents(of: Groups, before: Bits, now: Bits, policy: Any = GUARD, /, **identity: Any) -> tuple[bytes, bytes]:
    """An evaluation and a baseline of one bucket `a` with all rows."""
    named = {"dvc_md5": of.eval_set.dvc_md5, "sha256": of.eval_set.sha256, **identity}
    old, new = measured(before), measured(now)
    agreed = baseline({"a": old}, aggregate=old, policy=policy)
    agreed |= {"eval_set_dvc_hash": named["dvc_md5"], "eval_set_sha256": named["sha256"]}
    return write(evaluation({"a": new}, aggregate=new, eval_set=named)), write(agreed)


def judge(groups: Groups | None, pair: tuple[bytes, bytes]) -> Verdict:
    return decide_bytes_again(*pair, groups=groups)[0]  # the rules alone: examples are of any kind here


def numbered(numbers: Sequence[int]) -> Groups:
    first = {group: index for index, group in enumerate(dict.fromkeys(numbers))}
    tidy = [first[group] for group in numbers]
    source = {"dvc_md5": "a" * 32, "sha256": "b" * 64}
    return Groups.model_validate({"eval_set": source, "aggregate": tidy, "buckets": {"a": tidy}})


def rows_of(verdict: Verdict) -> tuple[Row, ...]:
    assert verdict.aggregate is not None
    return (verdict.aggregate, *verdict.rows)


def evidence_of(row: Row) -> BucketStatistics:
    assert row.evidence is not None
    return row.evidence


EXAMPLES = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(EXAMPLES, st.sampled_from(["guard", "noninferior"]), st.sampled_from([1, 3]), st.data())
@pytest.mark.slow
def test_a_gain_more_never_hurts_and_a_loss_more_never_helps(
    examples: list[tuple[int, bool, bool]], rule: str, cap: int, data: st.DataObject
) -> None:
    groups = numbered([group for group, _, _ in examples])
    before, now = [before for _, before, _ in examples], [now for _, _, now in examples]
    wrong = [index for index, right in enumerate(now) if not right]
    if not wrong or not groups.shared:
        return
    index = data.draw(st.sampled_from(wrong))
    better = [*now[:index], True, *now[index + 1 :]]
    policy = {**GUARD, "rule": rule, "group_cap": cap}
    worse, raised = (rows_of(judge(groups, documents(groups, before, each, policy))) for each in (now, better))
    for one, other in zip(worse, raised, strict=True):
        assert float(evidence_of(other).p_within or 0) <= float(evidence_of(one).p_within or 0)
        assert float(evidence_of(other).p_beyond or 0) >= float(evidence_of(one).p_beyond or 0)
        order = [Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.HELD]
        assert order.index(one.outcome) <= order.index(other.outcome)


def test_two_groups_without_a_disagreement_prove_nothing() -> None:
    """Version 1 of the rule proved 2 groups of 50 rows within 5 pp, with p .0138."""
    numbers = [index // 50 for index in range(100)]
    policy = {"rule": "noninferior", "tolerance_pp": 5}
    pair = documents(numbered(numbers), [True] * 100, [True] * 100, policy)
    (_, row) = rows_of(judge(numbered(numbers), pair))
    assert (row.outcome, evidence_of(row).p_within) == (Outcome.INCONCLUSIVE, "0.902501")  # .95^2, rounded up
    assert "2 groups are too few: without a difference it takes 59" in row.reason
    assert decide_bytes_again(*pair, groups=numbered(numbers), version=1)[0].rows[0].outcome is Outcome.HELD


@pytest.mark.parametrize("gains", [0, 40])
def test_gains_in_one_group_do_not_refuse_what_passes_without_them(gains: int) -> None:
    """99 groups, 3 pp, no loss: under version 1 the gains of one group widened the variance until nothing passed."""
    numbers = [0] * 40 + [group for group in range(1, 99) for _ in range(4)]
    before = [index >= gains for index in range(len(numbers))]
    pair = documents(numbered(numbers), before, [True] * len(numbers), {"rule": "noninferior", "tolerance_pp": 3})
    (_, row) = rows_of(judge(numbered(numbers), pair))
    assert row.outcome is Outcome.HELD


def test_the_cap_on_groups_weighs_them_as_the_independent_code_does() -> None:
    """20 rows with 4 losses and 79 groups of 5 without a change, cap 20, 10 pp: p .129156."""
    numbers = [0] * 20 + [group for group in range(1, 80) for _ in range(5)]
    now = [index >= 4 for index in range(len(numbers))]
    policy = {"rule": "noninferior", "tolerance_pp": 10, "group_cap": 20}
    (_, row) = rows_of(judge(numbered(numbers), documents(numbered(numbers), [True] * len(now), now, policy)))
    found = evidence_of(row)
    assert (found.p_within, found.p_within_theorem) == ("0.129156", "0.290726")
    assert row.reason.endswith("(in 80 groups of examples, of which each counts as its rows, at most 20)")


@pytest.mark.parametrize("key", ["group_cap", "proof"])
def test_the_rule_point_refuses_keys_that_have_no_effect_on_it(key: str) -> None:
    value = {"group_cap": 3, "proof": "theorem"}[key]
    with pytest.raises(CannotJudge, match=f"`{key}` has no effect"):
        parse_baseline(write(baseline({"a": measured([True])}, policy={"rule": "point", key: value})))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
@pytest.mark.slow
def test_rows_that_are_groups_of_their_own_change_nothing(examples: list[tuple[bool, bool]]) -> None:
    groups = numbered(range(len(examples)))
    pair = documents(groups, [before for before, _ in examples], [now for _, now in examples])
    assert not groups.shared
    assert judge(groups, pair).to_json() == judge(None, pair).to_json()


def test_an_eval_set_without_groups_changes_nothing_byte_for_byte(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "set.jsonl", [None] * 40)
    groups = read_groups(path)
    pair = documents(groups, [True] * 40, [index > 1 for index in range(40)])
    assert judge(groups, pair).to_json() == judge(None, pair).to_json()
    assert b"groups" not in judge(groups, pair).to_json()
    assert read_labels(path).identity.groups is None


def test_point_ignores_groups() -> None:
    groups = numbered([index // 4 for index in range(40)])
    pair = documents(groups, [True] * 40, [index > 1 for index in range(40)], {"rule": "point"}, groups=10)
    assert judge(groups, pair).to_json() == judge(None, pair).to_json()


def test_losses_that_come_in_one_group_prove_less_than_scattered_ones() -> None:
    """60 groups of 10; twelve groups lost whole, or the same losses one or more in every group."""
    numbers = [index // 10 for index in range(600)]
    groups = numbered(numbers)
    clumped = [group >= 12 for group in numbers]
    scattered = [index % 5 > 0 for index in range(600)]
    assert sum(clumped) == sum(scattered)
    (_, lumps) = rows_of(judge(groups, documents(groups, [True] * 600, clumped)))
    (_, spread) = rows_of(judge(groups, documents(groups, [True] * 600, scattered)))
    coins = units_beyond(Counter({Unit(-1.0): 12, Unit(0.0): 48}), 0.03).gaffke
    assert float(evidence_of(lumps).p_beyond or 0) == pytest.approx(coins, abs=2e-6)
    assert evidence_of(lumps).method is evidence_of(spread).method is Method.UNITS
    assert evidence_of(lumps).groups == 60
    assert float(evidence_of(spread).p_beyond or 0) < float(evidence_of(lumps).p_beyond or 0)
    assert lumps.reason.endswith("(in 60 groups of examples, of which each counts once)")


def test_groups_make_a_proof_inconclusive_and_name_the_groups_needed() -> None:
    """20 losses and 10 gains of 500 are within 5 pp; not when they are two whole groups of 10, and one, of 50."""
    numbers = [index // 10 for index in range(500)]
    groups = numbered(numbers)
    before = [group != 2 for group in numbers]
    now = [group not in (0, 1) for group in numbers]
    pair = documents(groups, before, now, {**GUARD, "rule": "noninferior", "tolerance_pp": 5.0})
    (_, alone), (_, grouped) = rows_of(judge(None, pair)), rows_of(judge(groups, pair))
    assert (alone.outcome, grouped.outcome) == (Outcome.HELD, Outcome.INCONCLUSIVE)
    settled = evidence_of(grouped).units_to_settle
    assert settled is not None
    assert settled > 50
    assert evidence_of(grouped).examples_to_settle is None
    assert f"about {settled} groups would settle it" in grouped.reason
    assert judge(groups, pair).exit is Exit.CANNOT_JUDGE


def test_one_group_proves_nothing() -> None:
    single = numbered([0] * 300)
    for now in ([True] * 300, [False] * 300):
        (_, row) = rows_of(judge(single, documents(single, [True] * 300, now)))
        assert row.outcome is Outcome.INCONCLUSIVE
        assert evidence_of(row).groups == evidence_of(row).units == 1


def test_only_buckets_in_which_examples_share_a_group_are_tested_by_groups(tmp_path: Path) -> None:
    """Each verb once in each tense: the tenses have independent examples, all rows together have not."""
    path = write_rows(
        tmp_path / "set.jsonl", [f"verb {index // 2}" for index in range(400)], lambda index: [f"tense {index % 2}"]
    )
    groups = read_groups(path)
    side = measured([True] * 200)
    agreed = baseline({"tense 0": side, "tense 1": side}, aggregate=measured([True] * 400), policy=GUARD)
    named = {"dvc_md5": groups.eval_set.dvc_md5, "sha256": groups.eval_set.sha256, "groups": 200}
    agreed |= {"eval_set_dvc_hash": named["dvc_md5"], "eval_set_sha256": named["sha256"]}
    tree = evaluation({"tense 0": side, "tense 1": side}, aggregate=measured([True] * 400), eval_set=named)
    verdict = judge(groups, (write(tree), write(agreed)))
    assert [evidence_of(row).method for row in rows_of(verdict)] == [Method.UNITS, Method.PAIRED, Method.PAIRED]
    assert [each.reason for each in verdict.conditions if each.name == "groups"] == [
        "the rows come in 200 groups, which the tests respect"
    ]
    assert verdict.inputs.groups_sha256 == groups.sha256
    assert verdict.passed


def test_groups_prove_nothing_without_outcomes() -> None:
    groups = numbered([index // 2 for index in range(600)])
    evaluated, agreed = documents(groups, [True] * 600, [True] * 600)
    tree = json.loads(agreed)
    del tree["buckets"]["a"]["outcomes"]
    (_, row) = rows_of(judge(groups, (evaluated, json.dumps(tree).encode())))
    assert (row.outcome, evidence_of(row).method) == (Outcome.INCONCLUSIVE, Method.UNPAIRED)
    assert "its examples are in groups, which prove nothing without the outcomes of both sides" in row.reason


def test_an_evaluation_with_groups_is_not_judged_without_them() -> None:
    groups = numbered([index // 2 for index in range(600)])
    pair = documents(groups, [True] * 600, [True] * 600, groups=300)
    refused = judge(None, pair)
    assert refused.exit is Exit.CANNOT_JUDGE
    assert refused.reasons == (
        "groups: the rows come in 300 groups, which rule guard must know: give the eval set with --eval-set",
    )
    assert judge(groups, pair).passed


def test_groups_of_another_eval_set_are_an_integrity_failure() -> None:
    groups = numbered([index // 2 for index in range(10)])
    pair = documents(groups, [True] * 10, [True] * 10, dvc_md5="f" * 32)
    with pytest.raises(IntegrityFailure, match=f"the eval set given is on DVC md5 {'a' * 32}"):
        judge(groups, pair)
    with pytest.raises(IntegrityFailure, match="the eval set given is on"):
        judge(groups, documents(groups, [True] * 10, [True] * 10, {"rule": "point"}, sha256="f" * 64))
    with pytest.raises(IntegrityFailure, match="12 rows in bucket 'a', and the eval set with the same hash has 10"):
        judge(groups, documents(groups, [True] * 12, [True] * 12))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aggregate": [1, 0]}, "numbered from 0"),
        ({"aggregate": [0, 2]}, "numbered from 0"),
        ({"aggregate": []}, "aggregate"),
        ({"buckets": {"a": [1]}}, "a group that the eval set does not have"),
        ({"eval_set": {"dvc_md5": "a" * 32}}, "sha256"),
        ({"names": ["walk"]}, "names"),
    ],
)
def test_stored_groups_are_numbers_in_order_and_nothing_else(change: dict[str, Any], reason: str) -> None:
    tree = json.loads(numbered([0, 0]).data)
    assert parse_groups(json.dumps(tree).encode()) == numbered([0, 0])
    with pytest.raises(CannotJudge, match=reason):
        parse_groups(json.dumps({**tree, **change}).encode())


def test_groups_have_no_names_and_follow_from_the_eval_set_alone(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "set.jsonl", ["walk", None, "walk", "see", None])
    groups, labels = read_groups(path), read_labels(path)
    assert groups.aggregate == groups.buckets["a"] == (0, 1, 0, 2, 3)
    assert groups == find_groups(labels)
    assert (groups.eval_set.dvc_md5, groups.eval_set.sha256) == (labels.identity.dvc_md5, labels.identity.sha256)
    assert b"walk" not in groups.data
    assert labels.identity.groups == groups.count == 4


@pytest.mark.parametrize(("size", "blocked"), [(600, 10), (1, 0)])
@pytest.mark.slow
def test_calibrate_draws_and_judges_whole_groups(tmp_path: Path, size: int, blocked: int) -> None:
    """Of one group alone no copy is ever proved; of rows that are their own groups every one."""
    labels = read_labels(write_rows(tmp_path / "set.jsonl", [f"g{index // size}" for index in range(600)]))
    outcomes = [index > 1 for index in range(600)], [index < 598 for index in range(600)]
    pair = documents(find_groups(labels), *outcomes)
    measured_on = parse_document(pair[0], Evaluation, where="e"), parse_baseline(pair[1])
    found = calibrate(*measured_on, labels, drop=None, repetitions=10, seed=1)
    assert (found.blocked_equal.correct, found.blocked_equal.n) == (blocked, 10)


@pytest.mark.slow
def test_calibrate_keeps_the_sizes_of_buckets_under_point(tmp_path: Path) -> None:
    """The rate of blocked equal models is the exact one; with drawn bucket sizes it was 66.5 % where 52.8 % is."""
    sizes = {"a": 20, "b": 60, "c": 220}
    names = [name for name, n in sizes.items() for _ in range(n)]
    labels = read_labels(write_rows(tmp_path / "set.jsonl", [None] * len(names), lambda index: [names[index]]))
    before = [index % 10 != 3 for index in range(len(names))]
    now = [index % 10 != 7 for index in range(len(names))]
    sides = []
    for bits in (before, now):
        inside = {name: [bit for bit, each in zip(bits, names, strict=True) if each == name] for name in sizes}
        sides.append({name: measured(each) for name, each in inside.items()})
    identity = {"dvc_md5": labels.identity.dvc_md5, "sha256": labels.identity.sha256}
    agreed = baseline(sides[0], aggregate=measured(before), policy={"rule": "point", "tolerance_pp": 3})
    agreed |= {"eval_set_dvc_hash": identity["dvc_md5"], "eval_set_sha256": identity["sha256"]}
    evaluated = write(evaluation(sides[1], aggregate=measured(now), eval_set=identity))
    measured_on = parse_document(evaluated, Evaluation, where="e"), parse_baseline(write(agreed))
    found = calibrate(*measured_on, labels, drop=None, repetitions=1500, seed=1)
    stays = math.prod(1 - chance_of_falling(n, Fraction(3, 100), 0.2) for n in sizes.values())
    assert found.blocked_equal.correct / 1500 == pytest.approx(1 - stays, abs=0.05)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents of a candidate that lost two whole groups: within 5 pp if examples were independent."""
    monkeypatch.chdir(tmp_path)
    numbers = [index // 10 for index in range(500)]
    groups = read_groups(write_rows(tmp_path / "set.jsonl", [f"g{number}" for number in numbers]))
    policy = {**GUARD, "rule": "noninferior", "tolerance_pp": 5.0, "overall_tolerance_pp": 5.0}
    before, now = [number != 2 for number in numbers], [number not in (0, 1) for number in numbers]
    (tmp_path / "candidate_eval.json").write_bytes(documents(groups, before, now, policy)[0])
    (tmp_path / "eval_baseline.json").write_bytes(documents(groups, before, now, policy)[1])
    return tmp_path


@pytest.mark.slow
def test_compare_replay_and_explain_agree_on_groups(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare"]) == Exit.OK
    assert run(["compare", "--eval-set", "set.jsonl", "--output", "verdict.json"]) == Exit.CANNOT_JUDGE
    assert "(in 50 groups of examples, of which each counts once)" in capsys.readouterr().err
    assert run(["replay", "verdict.json", "--eval-set", "set.jsonl"]) == Exit.OK
    assert "verdict.json: the same, byte for byte" in capsys.readouterr().out
    assert run(["replay", "verdict.json"]) == Exit.CANNOT_JUDGE
    assert "respects the groups of its eval set; name the eval set with --eval-set" in capsys.readouterr().err
    assert run(["explain", "verdict.json", "--bucket", "a", "--eval-set", "set.jsonl"]) == Exit.OK
    told = capsys.readouterr().out
    assert "pp (90 % interval, units)" in told
    assert "decides nothing" not in told
    write_rows(place / "other.jsonl", ["g"] * 500)
    for command in (["compare"], ["replay", "verdict.json"]):
        assert run([*command, "--eval-set", "other.jsonl"]) == Exit.INTEGRITY
        assert "the eval set given is on DVC md5" in capsys.readouterr().err
    stored = json.loads((place / "verdict.json").read_text())
    stored["inputs"]["groups_sha256"] = "0" * 64
    (place / "verdict.json").write_text(json.dumps(stored))
    assert run(["replay", "verdict.json", "--eval-set", "set.jsonl"]) == Exit.INTEGRITY
    assert "names groups 000" in capsys.readouterr().err
