"""What a promotion refuses, having written nothing, and what it writes when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lynxgate.errors import CannotJudge, Exit, GateError, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.promotion.authorization import Authority, authorise
from lynxgate.promotion.examine import NotPassed
from lynxgate.promotion.promote import Ending, promote
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.events import Event
from lynxgate.registry.layout import Tags, create_registry, read_tags
from lynxgate.registry.record import State
from lynxgate.registry.resolve import find_production
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from tests.promotion.workshop import (
    CI,
    DEV,
    Candidate,
    DirectoryTracking,
    Workshop,
    with_documents,
    write_evaluation,
)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its bytes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_promotes_and_says_what_it_followed(workshop: Workshop) -> None:
    a, b = workshop.candidate("a"), workshop.candidate("b")
    assert workshop.promote(a, "v0.3.0").production_before is None
    receipt = workshop.promote(b, "v0.3.1")
    assert (receipt.ending, receipt.canonical_sha, receipt.production_before) == (Ending.PROMOTED, b.sha, "v0.3.0")
    assert read_tags(workshop.store).tags == Tags.model_validate(
        {"production": "v0.3.1", "semver": {"v0.3.0": a.sha, "v0.3.1": b.sha}}
    )
    assert workshop.tracking.read_tag(b.run_id, tag_key("v0.3.1")) == b.sha
    events = [parse_document(line, Event, where="index") for line in workshop.store.lines()]
    assert [(event.number, event.semver) for event in events] == [(1, "v0.3.0"), (2, "v0.3.1")]


def test_again_is_already_promoted_and_writes_nothing(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")
    workshop.promote(candidate, "v0.3.0")
    before = snapshot(workshop.folder)
    assert workshop.promote(candidate, "v0.3.0").ending is Ending.ALREADY
    assert snapshot(workshop.folder) == before


def test_already_promoted_holds_when_the_baseline_has_moved_on(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")
    workshop.promote(candidate, "v0.3.0")
    moved = replace(candidate, baseline=b"{}")
    assert workshop.promote(moved, "v0.3.0").ending is Ending.ALREADY


def test_one_bundle_may_carry_several_semvers(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")
    workshop.promote(candidate, "v0.3.0")
    workshop.promote(candidate, "v0.3.1")
    assert dict(read_tags(workshop.store).tags.semver) == {"v0.3.0": candidate.sha, "v0.3.1": candidate.sha}


def other_bundle(workshop: Workshop, candidate: Candidate) -> Candidate:
    return replace(candidate, bundle=workshop.candidate("other").bundle)


def overwrite_artifact(workshop: Workshop, candidate: Candidate) -> Candidate:
    (workshop.tracking.root / candidate.run_id / "model" / "weights.json").write_text("{}")
    return candidate


def without(field: str) -> Callable[[Workshop, Candidate], Candidate]:
    def change(_: Workshop, candidate: Candidate) -> Candidate:
        tree = json.loads(candidate.evaluation)
        del tree["candidate"][field]
        return replace(candidate, evaluation=json.dumps(tree).encode())

    return change


def regress(_: Workshop, candidate: Candidate) -> Candidate:
    return replace(candidate, evaluation=write_evaluation(candidate.sha, candidate.run_id, correct=92))


def other_evaluation(workshop: Workshop, candidate: Candidate) -> Candidate:
    return replace(candidate, evaluation=workshop.candidate("other").evaluation)


def report_only(workshop: Workshop, candidate: Candidate) -> Candidate:
    return replace(candidate, baseline=workshop.candidate("a", status="report-only").baseline)


def stale_eval_set(_: Workshop, candidate: Candidate) -> Candidate:
    return replace(candidate, baseline=candidate.baseline.replace(b"a" * 32, b"b" * 32))


@pytest.mark.parametrize(
    ("change", "error", "code", "words"),
    [
        (regress, NotPassed, Exit.REGRESSION, "tense.past"),
        (other_evaluation, IntegrityFailure, Exit.INTEGRITY, "the evaluation is of"),
        (without("canonical_sha"), IntegrityFailure, Exit.INTEGRITY, "an unnamed bundle"),
        (without("mlflow_run_id"), CannotJudge, Exit.CANNOT_JUDGE, "--run-id"),
        (other_bundle, IntegrityFailure, Exit.INTEGRITY, "fetch it again"),
        (overwrite_artifact, IntegrityFailure, Exit.INTEGRITY, "changed: weights.json"),
        (report_only, Refused, Exit.REFUSED, "report-only"),
        (stale_eval_set, IntegrityFailure, Exit.INTEGRITY, "b" * 32),
    ],
)
def test_a_refusal_has_written_nothing(
    workshop: Workshop,
    change: Callable[[Workshop, Candidate], Candidate],
    error: type[GateError],
    code: Exit,
    words: str,
) -> None:
    workshop.promote(workshop.candidate("first"), "v0.3.0")
    candidate = change(workshop, workshop.candidate("a"))
    before = snapshot(workshop.folder)
    with pytest.raises(error, match=words) as refusal:
        workshop.promote(candidate, "v0.3.1")
    assert refusal.value.exit is code
    assert snapshot(workshop.folder) == before


def test_a_semver_belongs_to_one_sha_for_ever(workshop: Workshop) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    other = workshop.candidate("b")
    before = snapshot(workshop.folder)
    with pytest.raises(Refused, match="for ever"):
        workshop.promote(other, "v0.3.0")
    assert snapshot(workshop.folder) == before


@pytest.mark.parametrize("semver", ["v0.2.9", "v0.3.0"])
def test_production_only_goes_up(workshop: Workshop, semver: str) -> None:
    workshop.promote(workshop.candidate("a"), "v0.10.0")
    with pytest.raises(Refused, match=r"not greater than v0\.10\.0"):
        workshop.promote(workshop.candidate("b"), semver)


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({"LYNX_ENV": "dev"}, Authority.DEV),
        ({"LYNX_ENV": "dev", "GITHUB_ACTIONS": "true"}, Authority.DEV),
        ({"GITHUB_ACTIONS": "true"}, Authority.CI),
        ({"GITHUB_ACTIONS": "true", "LYNX_ENV": "ci"}, Authority.CI),
        ({}, None),
        ({"LYNX_ENV": "ci"}, None),
        ({"GITLAB_CI": "true"}, Authority.CI),
        ({"CIRCLECI": "true"}, Authority.CI),
        ({"JENKINS_URL": "https://jenkins.example/"}, Authority.CI),
        ({"GITHUB_ACTIONS": "false"}, None),
        ({"GITLAB_CI": "false", "CIRCLECI": "", "JENKINS_URL": ""}, None),
        ({"CI": "true"}, None),
        ({"LYNX_ENV": "prod", "GITHUB_ACTIONS": "true"}, None),
        ({"LYNX_ENV": "DEV"}, None),
    ],
)
def test_there_is_no_third_path(environ: dict[str, str], allowed: Authority | None) -> None:
    if allowed is None:
        with pytest.raises(Refused, match="LYNX_ENV"):
            authorise(environ)
    else:
        assert authorise(environ) is allowed


def test_dev_writes_only_to_a_dev_registry_and_ci_only_to_production(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")
    with pytest.raises(Refused, match="registry init"):
        promote(candidate.request("v0.3.0"), workshop.context(), workshop.tracking, CI)
    create_registry(workshop.store, Environment.PRODUCTION)
    with pytest.raises(Refused, match="registry for production"):
        promote(candidate.request("v0.3.0"), workshop.context(), workshop.tracking, DEV)
    promote(candidate.request("v0.3.0"), workshop.context(), workshop.tracking, CI)
    with pytest.raises(Refused, match="is a registry for production"):
        create_registry(workshop.store, Environment.DEV)


@pytest.mark.parametrize(
    ("found", "minimum", "reason"),
    [
        ("bwrap", None, None),
        ("process", None, "made under isolation 'process'"),
        ("external", None, "made under isolation 'external'"),
        ("vm", None, "made under isolation 'vm'"),
        (None, None, "names no isolation"),
        ("process", "process", None),
        ("external", "external", None),
        ("external", "process", "not promoted"),
        ("process", "bwrap", "not promoted"),
    ],
)
def test_production_takes_only_what_was_evaluated_under_bwrap_unless_the_policy_allows_less(
    workshop: Workshop, found: str | None, minimum: str | None, reason: str | None
) -> None:
    made = workshop.candidate("a")
    evaluation, baseline = json.loads(made.evaluation), json.loads(made.baseline)
    evaluation["evaluator"]["isolation"] = found
    if minimum is not None:
        baseline["policy"]["min_isolation"] = minimum
    made = with_documents(made, evaluation=json.dumps(evaluation).encode(), baseline=json.dumps(baseline).encode())
    create_registry(workshop.store, Environment.PRODUCTION)
    before = snapshot(workshop.folder / "registry")
    if reason is None:
        assert promote(made.request("v0.3.0"), workshop.context(), workshop.tracking, CI).semver == "v0.3.0"
        return
    with pytest.raises((Refused, NotPassed), match=reason):
        promote(made.request("v0.3.0"), workshop.context(), workshop.tracking, CI)
    assert snapshot(workshop.folder / "registry") == before


def test_the_lock_of_a_models_environment_is_bound_to_its_evaluation(workshop: Workshop) -> None:
    made, lock = workshop.candidate("a"), b"mlflow==3.0 \\\n    --hash=sha256:00\n"
    evaluation = json.loads(made.evaluation)
    found = {"interpreter": "model", "requirements": 1, "lock_sha256": digest_bytes(lock)}
    built = {"schema": "minieval.evaluation/2", "model_environment": found}
    named = with_documents(made, evaluation=json.dumps({**evaluation, **built}).encode())
    create_registry(workshop.store, Environment.DEV)
    before = snapshot(workshop.folder / "registry")
    for candidate, given, error in (
        (named, None, CannotJudge),
        (named, b"another", IntegrityFailure),
        (made, lock, IntegrityFailure),
    ):
        request = replace(candidate.request("v0.3.0"), model_lock=given)
        with pytest.raises(error, match="lock"):
            promote(request, workshop.context(), workshop.tracking, DEV)
        assert snapshot(workshop.folder / "registry") == before
    promote(replace(named.request("v0.3.0"), model_lock=lock), workshop.context(), workshop.tracking, DEV)
    (evidence,) = (workshop.folder / "registry" / "entries").rglob("evidence/*.json")
    documents = json.loads(evidence.read_bytes())["predicate"]["documents"]
    assert documents["model_lock"] == lock.decode()


def test_a_registry_of_the_older_format_takes_no_new_promotion(workshop: Workshop) -> None:
    first, second = workshop.candidate("a"), workshop.candidate("b")
    workshop.promote(first, "v0.3.0")
    mark = workshop.folder / "registry" / "registry.json"
    mark.write_text(json.dumps({"schema": "lynxgate.registry/1", "environment": "dev"}))
    before = snapshot(workshop.folder / "registry")
    with pytest.raises(Refused, match="start a new registry"):
        workshop.promote(second, "v0.3.1")
    assert workshop.promote(first, "v0.3.0").ending is Ending.ALREADY
    assert snapshot(workshop.folder / "registry") == before


def test_registry_and_evidence_name_the_format(workshop: Workshop) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    (evidence,) = (workshop.folder / "registry" / "entries").rglob("evidence/*.json")
    mark = json.loads((workshop.folder / "registry" / "registry.json").read_bytes())
    assert json.loads(evidence.read_bytes())["predicate"]["manifest_format"] == "lynxgate.manifest/2"
    assert mark["manifest_format"] == "lynxgate.manifest/2"


def test_a_dev_registry_takes_any_isolation(workshop: Workshop) -> None:
    made = workshop.candidate("a")
    evaluation = json.loads(made.evaluation)
    evaluation["evaluator"]["isolation"] = "process"
    workshop.promote(with_documents(made, evaluation=json.dumps(evaluation).encode()), "v0.3.0")


class FailingTracking(DirectoryTracking):
    """MLflow that fails at the tag in one of the ways that were measured."""

    def __init__(self, root: Path, way: str) -> None:
        super().__init__(root)
        self.way = way

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        if self.way == "refused":
            raise StoreFailure("403")
        if self.way in ("applied, answer lost", "applied, then unreachable"):
            super().set_tag(run_id, key, value)
        raise OutcomeUnknown("500")

    def read_tag(self, run_id: str, key: str) -> str | None:
        if self.way.endswith("unreachable"):
            raise StoreFailure("no connection")
        return super().read_tag(run_id, key)


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ("refused", State.ROLLED_BACK),
        ("not applied, answer lost", State.IN_DOUBT),
        ("unreachable", State.IN_DOUBT),
        ("applied, then unreachable", State.IN_DOUBT),
    ],
)
def test_when_mlflow_does_not_carry_the_tag_everything_is_undone(workshop: Workshop, way: str, state: State) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    candidate = workshop.candidate("b")
    failing = FailingTracking(workshop.tracking.root, way)
    tags, index = read_tags(workshop.store).tags, list(workshop.store.lines())
    with pytest.raises(StoreFailure, match=r"v0\.3\.1 is not promoted; production is v0\.3\.0 as before"):
        promote(candidate.request("v0.3.1"), workshop.context(tracking=failing), failing, DEV)
    assert (read_tags(workshop.store).tags, list(workshop.store.lines())) == (tags, index)
    held = workshop.context().journal.read("v0.3.1")
    assert held is not None
    assert held.record.state is state
    with pytest.raises(Refused, match="for ever"):
        workshop.promote(workshop.candidate("c"), "v0.3.1")
    assert workshop.promote(candidate, "v0.3.1").ending is Ending.PROMOTED
    assert find_production(workshop.store) == "v0.3.1"


def test_a_lost_answer_is_no_failure_when_the_tag_is_there(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")
    failing = FailingTracking(workshop.tracking.root, "applied, answer lost")
    receipt = promote(candidate.request("v0.3.0"), workshop.context(tracking=failing), failing, DEV)
    assert receipt.ending is Ending.PROMOTED


def test_an_owner_that_lost_its_record_stops(workshop: Workshop) -> None:
    """A paused owner wakes after another has settled its promotion: it neither commits nor undoes anything."""
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    candidate = workshop.candidate("b")

    class Sleeper(DirectoryTracking):
        def set_tag(self, run_id: str, key: str, value: str) -> None:
            settled = recover_all(workshop.context(workshop.later))
            assert [record.state for record in settled] == [State.ROLLED_BACK]
            super().set_tag(run_id, key, value)

    sleeper = Sleeper(workshop.tracking.root)
    with pytest.raises(Refused, match="another process"):
        promote(candidate.request("v0.3.1"), workshop.context(tracking=sleeper), sleeper, DEV)
    assert find_production(workshop.store) == "v0.3.0"
    assert workshop.promote(candidate, "v0.3.1").ending is Ending.PROMOTED


def test_a_higher_version_that_wins_meanwhile_is_not_overtaken(workshop: Workshop) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    slow, fast = workshop.candidate("b"), workshop.candidate("c")

    class Overtaken(DirectoryTracking):
        downloads = 0

        def download(self, run_id: str, destination: Path, progress: object = None, name: str | None = None) -> None:
            self.downloads += 1
            if self.downloads == 2:  # after the claim, before tags.json
                workshop.promote(fast, "v0.3.2")
            super().download(run_id, destination, name=name)

    tracking = Overtaken(workshop.tracking.root)
    with pytest.raises(Refused, match=r"production moved from v0\.3\.0 to v0\.3\.2"):
        promote(slow.request("v0.3.1"), workshop.context(tracking=tracking), tracking, DEV)
    assert find_production(workshop.store) == "v0.3.2"
    assert "v0.3.1" not in read_tags(workshop.store).tags.semver


def test_artifacts_overwritten_after_the_claim_are_found(workshop: Workshop) -> None:
    candidate = workshop.candidate("a")

    class Moved(DirectoryTracking):
        downloads = 0

        def download(self, run_id: str, destination: Path, progress: object = None, name: str | None = None) -> None:
            self.downloads += 1
            if self.downloads == 2:
                overwrite_artifact(workshop, candidate)
            super().download(run_id, destination, name=name)

    tracking = Moved(workshop.tracking.root)
    with pytest.raises(IntegrityFailure, match=r"changed: weights\.json"):
        promote(candidate.request("v0.3.0"), workshop.context(tracking=tracking), tracking, DEV)
    assert find_production(workshop.store) is None
