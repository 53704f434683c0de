"""The eval set's ledger: what is counted, what is free, and what happens at the end of its life."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lynxgate.analysis.eval_set_life import gates_carried
from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.decision.baseline import Baseline, parse_baseline
from lynxgate.decision.effective_policy import digest_policy
from lynxgate.decision.statistics import Score, wilson
from lynxgate.decision.statistics.shelf_life import composed_life
from lynxgate.errors import CannotJudge, Refused
from lynxgate.ports import Store
from lynxgate.promotion.authorization import CI_VARIABLES
from lynxgate.promotion.eval_set_usage import EvalSetUsage, build_entry, count_gate, record_use
from lynxgate.promotion.examine import NotPassed
from lynxgate.promotion.promote import Ending, promote
from lynxgate.registry.environment import Environment
from minieval.contract.documents import parse_document
from minieval.contract.report import Evaluation
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import DEV, EVAL_SET, Candidate, Workshop

# 50 rows wrong on each side, so at most 100 of 1,000 disagree. The policy's confidence is 95 %, one-sided.
LIFE = composed_life(1000, 0.04, 0.05, wilson(Score(100, 1000), 0.9)[1], 1)


def counting(action: str = "refuse", **policy: Any) -> bytes:
    """A baseline over 1,000 rows whose policy counts: it carries `LIFE` gates."""
    figures = {"n": 1000, "correct": 950}
    tree = {
        "schema": "lynxgate.baseline/1", "status": "active", "eval_set": "e.jsonl", "eval_set_dvc_hash": EVAL_SET,
        "policy": {"rule": "point", "tolerance_pp": 4.0, "shelf_life": action, **policy},
        "aggregate": figures, "buckets": {"tense.past": figures},
    }  # fmt: skip
    return json.dumps(tree).encode()


def measured(sha: str, correct: int = 950, rows: int | None = 1000) -> bytes:
    figures = {"n": 1000, "correct": correct} if rows else {"accuracy": 0.95}
    tree = {
        "schema": "minieval.evaluation/1", "candidate": {"canonical_sha": sha, "mlflow_run_id": sha[:32]},
        "eval_set": {"dvc_md5": EVAL_SET}, "aggregate": figures, "buckets": {"tense.past": figures},
    }  # fmt: skip
    return json.dumps(tree).encode()


def counted(store: Store, sha: str, baseline: bytes) -> EvalSetUsage | None:
    evaluation = parse_document(measured(sha), Evaluation, where="e")
    return record_use(store, evaluation, parse_baseline(baseline))


def keys(store: Store) -> list[str]:
    return list(store.keys(""))


def test_each_question_is_counted_once_and_asking_again_is_free(workshop: Workshop) -> None:
    store = workshop.store
    first = counted(store, "1" * 64, counting())
    assert first == EvalSetUsage(1, LIFE, free=False)
    assert first is not None
    assert first.sentence == f"1 of {LIFE} allowed comparisons on this eval set used"
    before = snapshot(workshop.folder)
    again = counted(store, "1" * 64, counting())
    assert again == EvalSetUsage(1, LIFE, free=True)
    assert snapshot(workshop.folder) == before
    assert counted(store, "2" * 64, counting()) == EvalSetUsage(2, LIFE, free=False)
    # Another answer of the same bundle is counted: a sampled model can be asked until it is lucky.
    lucky = parse_document(measured("1" * 64, correct=951), Evaluation, where="e")
    assert record_use(store, lucky, parse_baseline(counting())) == EvalSetUsage(3, LIFE, free=False)
    # Other terms are another question; another layout of the same terms is not.
    assert counted(store, "1" * 64, counting(tolerance_pp=4.00)) == EvalSetUsage(3, LIFE, free=True)
    assert counted(store, "1" * 64, counting(min_isolation="process")) == EvalSetUsage(4, LIFE, free=False)
    (one, *_) = keys(store)
    assert one.startswith(f"gates/{EVAL_SET}/")
    assert len(keys(store)) == 4


def test_without_shelf_life_nothing_is_counted_and_nothing_written(workshop: Workshop) -> None:
    tree = json.loads(counting())
    del tree["policy"]["shelf_life"]
    assert counted(workshop.store, "1" * 64, json.dumps(tree).encode()) is None
    assert keys(workshop.store) == []


def test_the_end_of_life_refuses_new_questions_and_answers_old_ones(workshop: Workshop) -> None:
    store = workshop.store
    for number in range(LIFE):
        counted(store, f"{number:064x}", counting())
    with pytest.raises(Refused, match=rf"all {LIFE} allowed comparisons .* are used \({LIFE} were made\)"):
        counted(store, "f" * 64, counting())
    assert len(keys(store)) == LIFE
    assert counted(store, "0" * 64, counting()) == EvalSetUsage(LIFE, LIFE, free=True)
    over = counted(store, "f" * 64, counting("warn"))
    assert over == EvalSetUsage(LIFE + 1, LIFE, free=False)
    assert over is not None
    assert over.over
    assert "build a new eval set" in over.sentence


def test_a_life_follows_from_rows_tolerance_and_confidence() -> None:
    def policy(**changes: Any) -> Baseline:
        return parse_baseline(counting(**changes))

    assert LIFE == 6
    carried = partial(gates_carried, policy(tolerance_pp=2).policy, 5000, 0.05)
    # ln H = (n p h(epsilon / p) - ln(4 / delta)) / buckets = 13.41 / buckets
    assert carried(told=1) == 649_044
    assert [carried(told=told) for told in (5, 10, 20)] == [14, 3, 1]
    assert [gates_carried(policy(tolerance_pp=1).policy, n, 0.05, told=5) for n in (4000, 5000)] == [0, 1]
    with pytest.raises(CannotJudge, match="shelf_life counts gates by the overall tolerance, which is 0"):
        policy(overall_tolerance_pp=0)
    with pytest.raises(CannotJudge, match="shelf_life"):
        policy(action="maybe")


def test_what_cannot_be_counted_cannot_be_judged() -> None:
    agreed = parse_baseline(counting())
    nameless = Evaluation.model_validate({**json.loads(measured("1" * 64)), "candidate": {}})
    with pytest.raises(CannotJudge, match="the evaluation names no bundle"):
        build_entry(nameless, agreed)
    assert digest_policy(agreed.policy) == digest_policy(parse_baseline(counting()).policy)


def candidate(workshop: Workshop, name: str, action: str = "refuse", correct: int = 950) -> Candidate:
    made = workshop.candidate(name)
    return replace(made, evaluation=measured(made.sha, correct), baseline=counting(action))


def test_a_promotion_is_counted_unless_the_gate_counted_it(workshop: Workshop) -> None:
    workshop.open_registry(Environment.DEV)
    one = candidate(workshop, "a")
    counted(workshop.store, one.sha, counting())
    assert workshop.promote(one, "v0.1.0").ending is Ending.PROMOTED
    assert len(list(workshop.store.keys("gates/"))) == 1
    assert workshop.promote(candidate(workshop, "b"), "v0.2.0").ending is Ending.PROMOTED
    assert len(list(workshop.store.keys("gates/"))) == 2
    assert audit(workshop.store, workshop.tracking).findings == ()


def test_a_promotion_tells_how_worn_the_eval_set_is_each_time_it_is_asked(workshop: Workshop) -> None:
    workshop.open_registry(Environment.DEV)
    one, told = candidate(workshop, "a"), list[EvalSetUsage]()
    for _ in range(2):
        promote(one.request("v0.1.0"), workshop.context(), workshop.tracking, DEV, told.append)
    assert told == [EvalSetUsage(1, LIFE, free=False), EvalSetUsage(1, LIFE, free=True)]
    before = snapshot(workshop.folder / "registry")
    # Nothing is counted for what has been promoted under a policy that did not count.
    uncounted = workshop.candidate("b")
    workshop.promote(uncounted, "v0.2.0")
    assert promote(
        replace(candidate(workshop, "b"), bundle=uncounted.bundle).request("v0.2.0"),
        workshop.context(), workshop.tracking, DEV, told.append,
    ).ending is Ending.ALREADY  # fmt: skip
    assert told[2:] == [EvalSetUsage(2, LIFE, free=False)]
    assert {path for path in snapshot(workshop.folder / "registry") if "gates" in str(path)} == {
        path for path in before if "gates" in str(path)
    }
    broken = replace(one, evaluation=b"no document").request("v0.1.0")
    assert promote(broken, workshop.context(), workshop.tracking, DEV, told.append).ending is Ending.ALREADY
    assert len(told) == 3


def test_the_command_prints_it_first_and_the_receipt_last(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LYNX_ENV", "dev")
    monkeypatch.chdir(workshop.folder)
    workshop.open_registry(Environment.DEV)
    made = candidate(workshop, "a")
    (workshop.folder / "candidate_eval.json").write_bytes(made.evaluation)
    (workshop.folder / "eval_baseline.json").write_bytes(made.baseline)
    request = ["promote", "--canonical-sha", made.sha, "--semver", "v0.1.0", "--bundle", str(made.bundle)]
    workshop.promote(made, "v0.1.0")
    request += ["--registry", str(workshop.folder / "registry"), "--tracking-uri", "http://127.0.0.1:9"]
    assert run(request) == 0
    sentence = f"1 of {LIFE} allowed comparisons on this eval set used (this one was counted before)"
    assert capfd.readouterr().out == f"{sentence}\n\nalready promoted v0.1.0 {made.sha}\n"
    assert run([*request, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["wear"] == {"used": 1, "life": LIFE, "free": True}


@pytest.mark.slow
def test_a_gate_is_counted_by_itself_for_pipelines_that_only_compare(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A refused candidate is counted too, told in its comment, and the end of life refuses before the comparison."""
    monkeypatch.setenv("LYNX_ENV", "dev")
    monkeypatch.chdir(workshop.folder)
    registry = str(workshop.folder / "registry")
    (workshop.folder / "eval_baseline.json").write_bytes(counting())
    count = ["registry", "count-gate", "--registry", registry]
    (workshop.folder / "candidate_eval.json").write_bytes(measured("1" * 64, correct=909))
    assert run(count) == 0
    printed = capfd.readouterr().out
    # Models that may differ on 141 rows are allowed fewer comparisons.
    assert printed == "1 of 1 allowed comparisons on this eval set used\n"
    (workshop.folder / "counted").write_text(printed)
    assert run(["compare", "--output", "verdict.json"]) == 2
    told = ["--counted", "counted", "--exit-code", "2", "--head-sha", "a" * 40, "--dry-run"]
    for report in ("comment", "check"):
        capfd.readouterr()
        assert run(["ci", report, *told]) == 0
        assert "\n- 1 of 1 allowed comparisons on this eval set used\n" in capfd.readouterr().out
    assert run([*count, "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"used": 1, "life": 1, "free": True}
    for number in range(LIFE - 1):
        counted(workshop.store, f"{number:064x}", counting())
    (workshop.folder / "candidate_eval.json").write_bytes(measured("f" * 64))
    assert run(count) == 6
    assert "allowed comparisons on this eval set are used" in capfd.readouterr().err
    (workshop.folder / "candidate_eval.json").write_bytes(measured("e" * 64, correct=800))
    assert run(count) == 6
    assert "is too small for a comparison of two models that differ this much" in capfd.readouterr().err
    monkeypatch.delenv("LYNX_ENV")
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = snapshot(workshop.folder / "registry")
    assert run(count) == 6
    assert "go through CI" in capfd.readouterr().err
    assert snapshot(workshop.folder / "registry") == before
    tree = json.loads(counting())
    del tree["policy"]["shelf_life"]
    (workshop.folder / "eval_baseline.json").write_text(json.dumps(tree))
    assert run(count) == 0
    assert "the policy has no shelf_life" in capfd.readouterr().err


class NarrowStore:
    """A registry as the counting role has it, as docs/github.md grants it: anything else is an `AssertionError`."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.location = store.location

    def read(self, key: str) -> Any:
        assert key == "registry.json"
        return self._store.read(key)

    def keys(self, prefix: str) -> Any:
        assert prefix.startswith("gates/")
        return self._store.keys(prefix)

    def create(self, key: str, data: bytes) -> Any:
        assert key.startswith("gates/")
        return self._store.create(key, data)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def test_the_counting_role_is_enough_to_count(workshop: Workshop) -> None:
    workshop.open_registry(Environment.PRODUCTION)
    store: Any = NarrowStore(workshop.store)
    evaluation = parse_document(measured("1" * 64), Evaluation, where="e")
    for free in (False, True):
        wear = count_gate(store, {"GITHUB_ACTIONS": "true"}, evaluation, parse_baseline(counting()))
        assert wear == EvalSetUsage(1, LIFE, free=free)


def test_a_worn_out_eval_set_promotes_nothing_and_a_refusal_writes_nothing(workshop: Workshop) -> None:
    workshop.open_registry(Environment.DEV)
    for number in range(LIFE):
        counted(workshop.store, f"{number:064x}", counting())
    before = snapshot(workshop.folder / "registry")
    made = candidate(workshop, "a")
    with pytest.raises(Refused, match="allowed comparisons on this eval set are used"):
        workshop.promote(made, "v0.1.0")
    worse = candidate(workshop, "a", correct=800)
    with pytest.raises(NotPassed):
        promote(worse.request("v0.1.0"), workshop.context(), workshop.tracking, DEV)
    assert snapshot(workshop.folder / "registry") == before


def test_an_auditor_sees_an_entry_that_was_made_up(workshop: Workshop) -> None:
    workshop.open_registry(Environment.DEV)
    counted(workshop.store, "1" * 64, counting())
    (key,) = workshop.store.keys("gates/")
    path = workshop.folder / "registry" / key
    path.write_bytes(path.read_bytes().replace(b"1" * 64, b"2" * 64))
    assert [finding.place for finding in audit(workshop.store, None).findings] == [key]
