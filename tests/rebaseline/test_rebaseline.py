"""Numbers move; layout, comments, status and policy do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.errors import CannotJudge, Refused, UsageFailure
from lynxgate.jsonedit import REMOVED, edit
from lynxgate.rebaseline.activate import activate
from lynxgate.rebaseline.create import init_baseline
from lynxgate.rebaseline.move import Rebaselined, rebaseline
from lynxgate.reports.rebaseline_table import render_moves
from minieval.contract.outcome_bits import pack_outcomes
from tests.samples import (
    AFTER,
    FIXTURES,
    MODEL,
    OLDER_MODEL,
    RUN,
    baseline,
    evaluation,
    judge,
    parse_agreed,
    parse_evaluation,
    write,
)

BY_HAND = b"""{
  "_comment": "reviewed by \\u00e9mile", "schema": "lynxgate.baseline/1",
  "status":   "active",
  "eval_set": "data/eval.jsonl", "eval_set_dvc_hash": "00000000000000000000000000000000",
  "source": {"semver": "v0.2.0", "canonical_sha": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"},
  "policy": { "rule": "point", "tolerance_pp": 2.00, "_comment": ["why", 2] },

  "buckets": {
    "z.last": {"n": 10, "_comment_z": "few rows", "correct": 9, "accuracy": 0.9},
    "a.first": {
        "accuracy": 0.50
    }
  }
}
"""
MEASURED = {"a.first": {"accuracy": 0.75}, "z.last": {"n": 10, "correct": 8, "accuracy": 0.8}}


def move(data: bytes, tree: Any, **options: Any) -> Rebaselined:
    return rebaseline(data, parse_evaluation(tree), **options)


def test_only_the_numbers_differ_byte_for_byte() -> None:
    moved = move(BY_HAND, evaluation(MEASURED), semver="v0.3.0", is_promoted=True)
    expected = (
        BY_HAND.replace(b"0" * 32, b"a" * 32)
        .replace(b'"v0.2.0"', b'"v0.3.0"')
        .replace(b"d" * 64 + b'"', MODEL.encode() + b'", "mlflow_run_id": "' + RUN.encode() + b'"')
        .replace(b'"correct": 9, "accuracy": 0.9', b'"correct": 8, "accuracy": 0.8')
        .replace(b"0.50", b"0.75")
        .replace(b"    }\n  }\n}", b'    }\n  },\n\n  "eval_set_sha256": "' + b"b" * 64 + b'"\n}')
    )
    assert moved.data.decode() == expected.decode()
    assert [move.place[-1] for move in moved.moves] == [
        "eval_set_dvc_hash", "eval_set_sha256", "canonical_sha", "semver", "mlflow_run_id", "a.first", "z.last",
    ]  # fmt: skip


def test_the_rebaselined_candidate_passes_at_no_tolerance_and_moves_nothing_twice() -> None:
    moved = move(write(baseline()), evaluation(), semver="v0.3.1")
    agreed = json.loads(moved.data)
    assert judge(evaluation(), agreed, "0").passed
    again = move(moved.data, evaluation(), semver="v0.3.1")
    assert (again.data, again.moves) == (moved.data, ())


@pytest.mark.parametrize("status", ["active", "report-only"])
def test_status_and_policy_are_never_touched(status: str) -> None:
    tree = baseline(
        status=status, policy={"buckets": {"spelling.*": {"tier": "advisory"}}, "overall_tolerance_pp": 1.5}
    )
    after = json.loads(move(write(tree), evaluation()).data)
    assert (after["status"], after["policy"]) == (status, tree["policy"])
    assert list(after) == list(tree)


def test_a_bucket_is_removed_only_when_named() -> None:
    less = {name: each for name, each in AFTER.items() if name != "spelling.doubling"}
    with pytest.raises(Refused, match=r"has no bucket 'spelling.doubling'; evaluate it, or name"):
        move(write(baseline()), evaluation(less))
    moved = move(write(baseline()), evaluation(less), remove=["spelling.doubling"])
    assert list(json.loads(moved.data)["buckets"]) == list(less)
    with pytest.raises(UsageFailure, match=r"tense\.third_person"):
        move(write(baseline()), evaluation(), remove=["tense.third_person"])
    text = render_moves(moved)
    assert text.startswith("Buckets: 2 moved, 0 added, 1 removed.")
    assert "| `spelling.doubling` | `88.00 %` | `none` |" in text


def test_new_buckets_are_added_in_the_layout_of_the_others() -> None:
    before = {"b": {"n": 3, "correct": 3}}
    now = {"a": {"n": 3, "correct": 2}, "b": {"n": 3, "correct": 3}, "c": {"accuracy": 0.5}}
    data = write(baseline(before))
    after = move(data, evaluation(now)).data
    assert json.loads(after)["buckets"] == {
        "b": {"n": 3, "correct": 3}, "a": {"n": 3, "correct": 2, "accuracy": 0.6667}, "c": {"accuracy": 0.5},
    }  # fmt: skip
    assert after.decode() == json.dumps(json.loads(after), indent=2)


def test_outcomes_come_along_and_leave_with_the_counts() -> None:
    bits = pack_outcomes([True, False, True])
    counted = evaluation({"x": {"n": 3, "correct": 2, "outcomes": bits}})
    first = move(write(baseline({"x": {"accuracy": 1}})), counted, accept=["x"])
    assert json.loads(first.data)["buckets"]["x"] == {"accuracy": 0.6667, "n": 3, "correct": 2, "outcomes": bits}
    second = move(first.data, evaluation({"x": {"accuracy": 0.5}}), accept=["x"])
    assert json.loads(second.data)["buckets"]["x"] == {"accuracy": 0.5}


def test_a_semver_is_removed_when_the_model_changes() -> None:
    same = evaluation(candidate={"canonical_sha": OLDER_MODEL})
    other, unknown = evaluation(), evaluation(candidate={})
    assert json.loads(move(write(baseline()), same).data)["source"]["semver"] == "v0.3.0"
    assert json.loads(move(write(baseline()), other).data)["source"] == {"canonical_sha": MODEL, "mlflow_run_id": RUN}
    assert json.loads(move(write(baseline()), unknown).data)["source"] == {}
    assert json.loads(move(write(baseline()), other, semver="v0.4.0").data)["source"]["semver"] == "v0.4.0"


def test_a_baseline_can_be_activated_once_placeholders_are_filled_in() -> None:
    data = (FIXTURES / "baseline-1-report-only.json").read_bytes()
    with pytest.raises(CannotJudge, match="placeholder"):
        activate(data)
    measured = evaluation({"x": {"accuracy": 0.9}, "y": {"n": 3, "correct": 2}}, aggregate={"accuracy": 0.8})
    filled = move(data, measured, semver="v0.1.0").data
    assert json.loads(filled)["status"] == "report-only"
    active = activate(filled)
    assert active == filled.replace(b'"report-only"', b'"active"')
    assert activate(active) == active
    assert judge(measured, json.loads(active)).passed


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"buckets": {"tens.*": {"min": 0.1}}}, "matches no bucket"),
        ({"buckets": {"*": {"tier": "advisory"}}}, "advisory"),
    ],
)
def test_a_baseline_that_could_not_be_enforced_cannot_be_activated(policy: Any, said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        activate(write(baseline(status="report-only", policy=policy)))


def test_a_first_baseline_is_report_only_and_holds_what_was_measured() -> None:
    tree = evaluation(aggregate={"n": 2278, "correct": 2235})
    data = init_baseline(parse_evaluation(tree), semver="v0.1.0")
    agreed = parse_agreed(json.loads(data))
    assert (agreed.status, agreed.source.semver, list(agreed.buckets)) == ("report-only", "v0.1.0", list(AFTER))
    assert judge(tree, json.loads(activate(data)), "0").passed
    assert data.decode() == json.dumps(json.loads(data), indent=2) + "\n"
    nameless = parse_evaluation(evaluation(eval_set={"dvc_md5": "a" * 32}))
    with pytest.raises(UsageFailure, match="--eval-set"):
        init_baseline(nameless)
    assert parse_agreed(json.loads(init_baseline(nameless, eval_set="d"))).eval_set == "d"


def test_globs_left_without_a_bucket_are_pointed_out() -> None:
    data = write(baseline({"x": {"accuracy": 1}, "y": {"accuracy": 1}}, policy={"buckets": {"y": {"min": 0.1}}}))
    moved = move(data, evaluation({"x": {"accuracy": 1}}), remove=["y"])
    assert moved.idle_globs == ("y",)
    assert "`y` matches no bucket or metric any more" in render_moves(moved)


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
objects = st.recursive(
    st.dictionaries(st.text("ab", max_size=2), scalars | st.lists(scalars, max_size=2), max_size=4),
    lambda inner: st.dictionaries(st.text("ab", max_size=2), scalars | inner, max_size=4),
    max_leaves=12,
)
LAYOUTS: list[Callable[[Any], str]] = [
    json.dumps,
    lambda tree: json.dumps(tree, indent=2),
    lambda tree: json.dumps(tree, separators=(",", ":")),
    lambda tree: json.dumps(tree, indent="\t", separators=(" ,", "  :")),
]


@given(objects, st.dictionaries(st.text("abc", max_size=2), scalars | st.just(REMOVED)), st.sampled_from(LAYOUTS))
@pytest.mark.slow
def test_an_edit_gives_the_same_values_in_any_layout(tree: Any, changes: Any, layout: Callable[[Any], str]) -> None:
    edited = json.loads(edit(layout(tree), {(key,): value for key, value in changes.items()}))
    expected = {key: value for key, value in {**tree, **changes}.items() if value is not REMOVED}
    assert edited == expected
    assert list(edited) == list(expected)


@given(objects, st.sampled_from(LAYOUTS), st.data())
@pytest.mark.slow
def test_an_edit_deep_down_leaves_everything_else(tree: Any, layout: Callable[[Any], str], data: st.DataObject) -> None:
    path, node = [], tree
    while inner := [key for key, value in node.items() if isinstance(value, dict)]:
        path.append(data.draw(st.sampled_from(inner)))
        node = node[path[-1]]
    text = layout(tree)
    assert edit(text, {}) == text
    edited = json.loads(edit(text, {(*path, "new"): {"x": [1]}}))
    node["new"] = {"x": [1]}
    assert edited == tree


def test_a_path_through_nothing_is_a_bug() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        edit("{}", {("nowhere", "x"): 1})


LOWER = {
    **AFTER,
    "tense.past_participle": {"n": 679, "correct": 569},
    "tense.third_person": {"n": 1599, "correct": 1500},
}
BOTH = ["tense.past_participle", "tense.third_person"]


def test_an_active_baseline_moves_only_to_what_passes_or_to_regressions_that_are_named() -> None:
    data = write(baseline())
    with pytest.raises(
        Refused, match=r"would refuse it: tense\.past_participle: -9\.28 pp.* \(and 1 more\).*--from prod"
    ):
        move(data, evaluation(LOWER))
    with pytest.raises(Refused, match=r"would refuse it: tense\.third_person"):
        move(data, evaluation(LOWER), accept=BOTH[:1])
    with pytest.raises(UsageFailure, match=r"--accept-regression 'spelling\.doubling'"):
        move(data, evaluation(LOWER), accept=[*BOTH, "spelling.doubling"])
    moved = move(data, evaluation(LOWER), accept=BOTH)
    assert json.loads(moved.data)["source"]["_comment_accepted_regressions"] == (
        "tense.past_participle: -9.28 pp, and the tolerance is 2.0 pp; "
        "tense.third_person: -6.00 pp, and the tolerance is 2.0 pp"
    )
    text = render_moves(moved)
    assert "The gate says of it: " in text and "Accepted regressions: " in text
    # The same again moves nothing, and the next move to what passes drops the note.
    assert move(moved.data, evaluation(LOWER)).data == moved.data
    assert "accepted" not in move(moved.data, evaluation()).data.decode()


def test_what_was_promoted_and_a_report_only_baseline_move_without_acceptance() -> None:
    promoted = move(write(baseline()), evaluation(LOWER), is_promoted=True)
    assert (promoted.accepted, (promoted.gate or "").startswith("failed: tense.past_participle")) == ((), True)
    free = move(write(baseline(status="report-only")), evaluation(LOWER))
    assert (free.gate, free.accepted) == (None, ())
    with pytest.raises(UsageFailure, match="regress"):
        move(write(baseline(status="report-only")), evaluation(LOWER), accept=BOTH)


def test_another_eval_set_hides_no_fall() -> None:
    """The gate would not compare (exit 4); a fall of the figures is to be accepted all the same."""
    elsewhere = {"eval_set": {"path": "data/eval.jsonl", "dvc_md5": "f" * 32}}
    with pytest.raises(Refused, match=r"tense\.past_participle: -9\.28 pp"):
        move(write(baseline()), evaluation(LOWER, **elsewhere))
    assert (move(write(baseline()), evaluation(**elsewhere)).gate or "").startswith(
        "not compared (exit 4): not the same"
    )
    accepted = move(write(baseline()), evaluation(LOWER, **elsewhere), accept=BOTH)
    assert [each.partition(":")[0] for each in accepted.accepted] == BOTH


def test_a_smaller_n_hides_no_fall() -> None:
    fewer = {**AFTER, "tense.past_participle": {"n": 600, "correct": 400}}
    with pytest.raises(Refused, match=r"tense\.past_participle: -26\.41 pp"):
        move(write(baseline()), evaluation(fewer))


def test_what_no_acceptance_replaces_is_refused() -> None:
    strict = write(baseline(policy={"min_isolation": "bwrap"}))
    with pytest.raises(Refused, match="does not move to it: isolation: the policy requires bwrap"):
        move(strict, evaluation())
    sealed = {"evaluator": {"name": "minieval", "version": "1", "isolation": "bwrap"}}
    assert move(strict, evaluation(**sealed)).moves


def test_a_metric_that_regresses_is_named_too() -> None:
    metrics = {"bundle_bytes": {"value": 100, "direction": "lower", "machine": False}}
    data = write(baseline(metrics=metrics, policy={"metrics": {"*": {"max_pct": 10}}}))
    heavier = evaluation(metrics={"bundle_bytes": {"value": 200}})
    with pytest.raises(Refused, match="would refuse it: bundle_bytes: 100 -> 200"):
        move(data, heavier)
    assert move(data, heavier, accept=["bundle_bytes"]).accepted
