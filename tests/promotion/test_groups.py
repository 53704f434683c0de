"""Where groups of examples decide, promotion and audit take the comparison's decision, from what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lynxgate.audit.verify import audit
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups, read_groups
from lynxgate.errors import Exit, IntegrityFailure
from lynxgate.promotion.examine import NotPassed, Request
from lynxgate.promotion.promote import Ending, promote
from minieval.contract.digests import digest_bytes
from minieval.contract.outcome_bits import pack_outcomes
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import DEV, Candidate, Workshop

VERBS, TENSES = 200, 4
ROWS = VERBS * TENSES


def write_rows(path: Path, *, grouped: bool = True) -> Groups:
    rows = [
        {"id": f"r{index}", "prompt": "p", "expected": "x", "buckets": ["tense.past"]}
        | ({"group": f"verb {index // TENSES}"} if grouped else {})
        for index in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_groups(path)


def prepare(workshop: Workshop, groups: Groups, *, lost_verbs: int, declared: bool = True) -> Candidate:
    """A candidate that lost whole verbs, and the baseline that had them right, under `noninferior` at 2.8 pp."""
    made = workshop.candidate("a")
    figures = [measured([True] * ROWS), measured([index >= lost_verbs * TENSES for index in range(ROWS)])]
    named: dict[str, Any] = {"dvc_md5": groups.eval_set.dvc_md5, "sha256": groups.eval_set.sha256}
    agreed = {
        "schema": "lynxgate.baseline/1", "status": "active", "eval_set": "set.jsonl",
        "eval_set_dvc_hash": named["dvc_md5"], "eval_set_sha256": named["sha256"],
        "policy": {"rule": "noninferior", "tolerance_pp": 2.8},
        "aggregate": figures[0], "buckets": {"tense.past": figures[0]},
    }  # fmt: skip
    evaluation = {
        "schema": "minieval.evaluation/1", "candidate": {"canonical_sha": made.sha, "mlflow_run_id": made.run_id},
        "eval_set": {**named, "rows": ROWS} | ({"groups": groups.count} if declared and groups.shared else {}),
        "aggregate": figures[1], "buckets": {"tense.past": figures[1]},
    }  # fmt: skip
    return replace(made, evaluation=json.dumps(evaluation).encode(), baseline=json.dumps(agreed).encode())


def measured(outcomes: list[bool]) -> dict[str, Any]:
    return {"n": len(outcomes), "correct": sum(outcomes), "outcomes": pack_outcomes(outcomes)}


def ask(candidate: Candidate, groups: Groups | None) -> Request:
    return replace(candidate.request("v0.1.0"), groups=groups)


def stored(workshop: Workshop, candidate: Candidate) -> tuple[Path, Any]:
    (path,) = (workshop.folder / "registry/entries" / candidate.sha / "evidence").iterdir()
    return path, json.loads(path.read_bytes())


def test_promotion_and_audit_take_the_comparisons_decision(workshop: Workshop) -> None:
    workshop.open_registry()
    groups = write_rows(workshop.folder / "set.jsonl")
    candidate = prepare(workshop, groups, lost_verbs=1)
    verdict, _, _ = decide_bytes(candidate.evaluation, candidate.baseline, groups=groups)
    assert promote(ask(candidate, groups), workshop.context(), workshop.tracking, DEV).ending is Ending.PROMOTED
    _, statement = stored(workshop, candidate)
    predicate = statement["predicate"]
    assert predicate["verdict"] == json.loads(verdict.to_json())
    assert predicate["verdict"]["inputs"]["groups_sha256"] == digest_bytes(predicate["documents"]["groups"].encode())
    assert predicate["verdict"]["rows"][0]["evidence"]["groups"] == VERBS
    assert "verb" not in predicate["documents"]["groups"]
    assert audit(workshop.store, workshop.tracking).findings == ()


def test_what_groups_leave_in_doubt_is_not_promoted_and_writes_nothing(workshop: Workshop) -> None:
    workshop.open_registry()
    groups = write_rows(workshop.folder / "set.jsonl")
    candidate = prepare(workshop, groups, lost_verbs=3, declared=False)
    assert decide_bytes(candidate.evaluation, candidate.baseline)[0].passed
    before = snapshot(workshop.folder / "registry")
    with pytest.raises(NotPassed, match=f"in {VERBS} groups of examples") as refusal:
        promote(ask(candidate, groups), workshop.context(), workshop.tracking, DEV)
    assert refusal.value.exit is Exit.CANNOT_JUDGE
    assert snapshot(workshop.folder / "registry") == before


def test_groups_cannot_be_left_out_or_be_those_of_another_eval_set(workshop: Workshop) -> None:
    workshop.open_registry()
    groups = write_rows(workshop.folder / "set.jsonl")
    candidate = prepare(workshop, groups, lost_verbs=1)
    with pytest.raises(NotPassed, match="give the eval set with --eval-set") as refusal:
        promote(ask(candidate, None), workshop.context(), workshop.tracking, DEV)
    assert refusal.value.exit is Exit.CANNOT_JUDGE
    other = write_rows(workshop.folder / "other.jsonl", grouped=False)
    with pytest.raises(IntegrityFailure, match="the eval set given is on"):
        promote(ask(candidate, other), workshop.context(), workshop.tracking, DEV)


def test_evidence_of_an_eval_set_without_groups_is_what_it_was(workshop: Workshop) -> None:
    workshop.open_registry()
    candidate = prepare(workshop, groups := write_rows(workshop.folder / "set.jsonl", grouped=False), lost_verbs=1)
    promote(ask(candidate, groups), workshop.context(), workshop.tracking, DEV)
    path, statement = stored(workshop, candidate)
    assert statement["predicate"]["documents"].keys() == {"evaluation", "baseline"}
    assert b"groups" not in path.read_bytes()


@pytest.mark.parametrize("forgery", ["apart", "left out", "another order", "not theirs"])
def test_an_auditor_sees_groups_that_were_changed(workshop: Workshop, forgery: str) -> None:
    workshop.open_registry()
    groups = write_rows(workshop.folder / "set.jsonl")
    candidate = prepare(workshop, groups, lost_verbs=1, declared=False)
    promote(ask(candidate, groups), workshop.context(), workshop.tracking, DEV)
    path, statement = stored(workshop, candidate)
    documents = statement["predicate"]["documents"]
    tree = json.loads(documents["groups"])
    match forgery:
        case "apart":
            tree["aggregate"] = tree["buckets"]["tense.past"] = list(range(ROWS))
        case "another order":
            tree["buckets"]["tense.past"].reverse()
        case "not theirs":
            tree["eval_set"]["sha256"] = "0" * 64
    documents["groups"] = json.dumps(tree)
    if forgery == "left out":
        del documents["groups"]
    path.write_text(json.dumps(statement))
    problems = [finding.problem for finding in audit(workshop.store, None).findings]
    expected = "the eval set given is on" if forgery == "not theirs" else "does not follow from the documents in it"
    assert any(expected in problem for problem in problems), problems
