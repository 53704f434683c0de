"""Metrics on the way to production: the promotion takes the decision again, and so does the audit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lynxgate.audit.verify import audit
from lynxgate.promotion.examine import NotPassed
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import Candidate, Workshop, with_documents
from tests.registry.test_evidence import flaws, statement_of

NOT_FOLLOWING = "the verdict in it does not follow from the documents in it"


def guard(candidate: Candidate, latency: float = 10.0, fingerprint: str = "here") -> Candidate:
    """The candidate under a baseline that guards a latency of 10 ms, having measured ``latency``."""
    evaluation: dict[str, Any] = json.loads(candidate.evaluation)
    evaluation["metrics"] = {"latency_ms": {"value": latency, "unit": "ms", "direction": "higher"}}
    evaluation["environment"] = {"fingerprint": fingerprint}
    baseline: dict[str, Any] = json.loads(candidate.baseline)
    baseline["metrics"] = {"latency_ms": {"value": 10, "unit": "ms", "direction": "lower", "machine": True}}
    baseline["environment"] = {"fingerprint": "here"}
    baseline["policy"]["metrics"] = {"latency_ms": {"max_ratio": 1.25, "warn_max_ratio": 1.1}}
    return with_documents(candidate, evaluation=json.dumps(evaluation).encode(), baseline=json.dumps(baseline).encode())


@pytest.mark.parametrize(("latency", "fingerprint"), [(12.6, "here"), (10.0, "there")])
def test_a_promotion_is_refused_for_a_metric_and_writes_nothing(
    workshop: Workshop, latency: float, fingerprint: str
) -> None:
    candidate = guard(workshop.candidate("a"), latency, fingerprint)
    before = snapshot(workshop.folder)
    with pytest.raises(NotPassed, match="latency_ms"):
        workshop.promote(candidate, "v0.3.1")
    assert snapshot(workshop.folder) == before


def test_a_warning_is_promoted_and_stays_in_the_evidence(workshop: Workshop) -> None:
    workshop.promote(guard(workshop.candidate("a"), 12.5), "v0.3.1")
    assert audit(workshop.store, workshop.tracking).findings == ()
    (row,) = statement_of(workshop)["predicate"]["verdict"]["metrics"]
    assert (row["outcome"], row["direction"]) == ("held", "lower")
    assert row["warning"] == "10 -> 12.5 ms: worse by a ratio of 1.25, and warn_max_ratio is 1.1"


def test_evidence_with_an_altered_metric_is_found(workshop: Workshop) -> None:
    workshop.promote(guard(workshop.candidate("b"), 12.5), "v0.3.1")
    statement = statement_of(workshop)
    assert flaws(workshop, statement) == []
    verdict = statement["predicate"]["verdict"]
    verdict["metrics"][0]["reason"] = "other words"
    assert flaws(workshop, statement) == [NOT_FOLLOWING]
    for gate in (statement["predicate"]["gate"], verdict["gate"]):
        gate["version"] = "0.0.1"
    assert flaws(workshop, statement) == []  # other words of another version, the same decision
    verdict["metrics"][0]["candidate"] = "1.0"
    assert flaws(workshop, statement) == [NOT_FOLLOWING]
    verdict["metrics"][0].update(candidate="12.5", outcome="regressed")
    assert flaws(workshop, statement) == [NOT_FOLLOWING]
    del verdict["metrics"]
    assert flaws(workshop, statement) == [NOT_FOLLOWING]


def test_evidence_with_a_slower_evaluation_does_not_pass(workshop: Workshop) -> None:
    workshop.promote(guard(workshop.candidate("b")), "v0.3.1")
    statement = statement_of(workshop)
    slow = guard(workshop.candidate("b"), 20.0)
    statement["predicate"]["documents"]["evaluation"] = slow.evaluation.decode()
    assert "the documents in it do not pass" in flaws(workshop, statement)
