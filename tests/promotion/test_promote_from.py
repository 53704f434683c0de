"""From one registry to the next: the next decides again, and its evidence names the first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, IntegrityFailure, Refused, StoreFailure
from lynxgate.ports import Progress, RunModel
from lynxgate.promotion.promote import Ending, Receipt, promote
from lynxgate.promotion.promote_from import promote_from
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry, read_mark
from lynxgate.registry.resolve import find_production
from minieval.contract.digests import digest_bytes
from minieval.contract.exits import Exit
from tests.promotion.test_models import read_evidence
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import CI, DEV, DirectoryTracking, Workshop, with_documents, write_baseline

STAGING = Environment("staging")


@pytest.fixture
def staging(workshop: Workshop) -> Workshop:
    """A staging registry of the model wine with v0.1.0; beside it an empty production registry of that model."""
    staging = replace(workshop, registry="staging")
    create_registry(staging.store, STAGING, "wine")
    create_registry(workshop.store, Environment.PRODUCTION, "wine")
    stage(staging, "a", "v0.1.0")
    return staging


def stage(staging: Workshop, bundle: str, semver: str) -> str:
    """Promote a bundle to staging; return its SHA."""
    candidate = with_documents(staging.candidate(bundle), baseline=write_baseline(model="wine"))
    promote(candidate.request(semver), staging.context(), staging.tracking, CI)
    return candidate.sha


def move(staging: Workshop, workshop: Workshop, semver: str = "v0.1.0", environ: dict[str, str] = CI) -> Receipt:
    return promote_from(staging.store, semver, workshop.context(), workshop.tracking, environ)


def test_production_decides_again_and_names_staging(workshop: Workshop, staging: Workshop) -> None:
    sha = staging.candidate("a").sha
    receipt = move(staging, workshop)
    assert (receipt.ending, receipt.canonical_sha, receipt.production) == (Ending.PROMOTED, sha, "v0.1.0")
    first, second = read_evidence(staging, sha).predicate, read_evidence(workshop, sha).predicate
    assert second.documents == first.documents
    origin, mark = second.promotion.origin, read_mark(staging.store)
    assert origin is not None and mark is not None
    assert (origin.registry.id, origin.registry.environment) == (mark.id, "staging")
    last = staging.store.last()
    assert last is not None and origin.head == str(audit(staging.store, None).head)
    (evidence,) = (staging.folder / "staging/entries" / sha / "evidence").glob("*.json")
    assert origin.evidence == evidence.stem
    for each in (staging, workshop):
        assert audit(each.store, each.tracking).findings == ()
    tags = {tag.key for tag in workshop.tracking.find_tags("lynxgate.")}
    assert tags == {"lynxgate.staging.wine.v0.1.0", "lynxgate.semver.wine.v0.1.0"}


def test_the_lock_of_the_models_environment_moves_along(workshop: Workshop, staging: Workshop) -> None:
    made, lock = staging.candidate("b"), b"mlflow==3.0 \\\n    --hash=sha256:00\n"
    found = {"interpreter": "model", "requirements": 1, "lock_sha256": digest_bytes(lock)}
    built = {"schema": "minieval.evaluation/2", "model_environment": found}
    evaluation = json.dumps({**json.loads(made.evaluation), **built}).encode()
    candidate = with_documents(made, evaluation=evaluation, baseline=write_baseline(model="wine"))
    promote(replace(candidate.request("v0.2.0"), model_lock=lock), staging.context(), staging.tracking, CI)
    assert move(staging, workshop, "v0.2.0").ending is Ending.PROMOTED
    assert read_evidence(workshop, made.sha).predicate.documents.model_lock == lock.decode()


@pytest.mark.slow
def test_the_lineage_names_the_registry_before(
    workshop: Workshop, staging: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    move(staging, workshop)
    head, mark = audit(staging.store, None).head, read_mark(staging.store)
    assert mark is not None
    lineage = ["registry", "lineage", "v0.1.0", "--offline", "--registry"]
    assert run([*lineage, str(workshop.folder / "registry")]) == Exit.OK
    assert f"  promoted from  staging, registry {mark.id}, head {head}\n" in capfd.readouterr().out
    assert run([*lineage, str(workshop.folder / "registry"), "--json"]) == Exit.OK
    (found,) = json.loads(capfd.readouterr().out)
    assert found["promoted_from"]["head"] == str(head)
    assert run([*lineage, str(staging.folder / "staging"), "--json"]) == Exit.OK
    assert "promoted_from" not in capfd.readouterr().out


def test_the_same_again_changes_nothing(workshop: Workshop, staging: Workshop) -> None:
    move(staging, workshop)
    before = snapshot(workshop.folder)
    stage_head = staging.store.last()
    assert move(staging, workshop).ending is Ending.ALREADY
    assert snapshot(workshop.folder) == before
    assert staging.store.last() == stage_head


def test_each_environment_has_its_alias(workshop: Workshop) -> None:
    staging = replace(workshop, registry="staging")
    create_registry(staging.store, STAGING)
    create_registry(workshop.store, Environment.PRODUCTION)
    document = json.loads(write_baseline())
    document["policy"]["registered_model"] = "models:/tutor"
    for bundle, semver in (("a", "v0.1.0"), ("b", "v0.2.0")):
        candidate = with_documents(staging.candidate(bundle), baseline=json.dumps(document).encode())
        promote(candidate.request(semver), staging.context(), staging.tracking, CI)
    move(staging, workshop, "v0.1.0")
    runs = [workshop.tracking.read_alias("tutor", alias) for alias in ("staging", "production")]
    assert [None if each is None else each.run_id for each in runs] == [
        workshop.candidate("b").run_id,
        workshop.candidate("a").run_id,
    ]
    for each in (staging, workshop):
        assert audit(each.store, each.tracking).findings == ()


@pytest.mark.parametrize("environ", [{}, DEV, {"LYNX_ENV": "ci"}])
def test_staging_has_the_rules_of_production(workshop: Workshop, environ: dict[str, str]) -> None:
    create_registry(workshop.store, STAGING)
    candidate = workshop.candidate("a")
    with pytest.raises(Refused):
        promote(candidate.request("v0.1.0"), workshop.context(), workshop.tracking, environ)
    document = json.loads(candidate.evaluation)
    document["evaluator"]["isolation"] = "process"
    weak = with_documents(candidate, evaluation=json.dumps(document).encode())
    with pytest.raises(Refused, match="a registry for staging takes evaluations under bwrap"):
        promote(weak.request("v0.1.0"), workshop.context(), workshop.tracking, CI)
    assert find_production(workshop.store) is None


def test_a_laptop_does_not_promote_from_staging(workshop: Workshop, staging: Workshop) -> None:
    with pytest.raises(Refused, match="is a registry for production"):
        move(staging, workshop, environ=DEV)
    with pytest.raises(Refused, match="go through CI"):
        move(staging, workshop, environ={})


@pytest.mark.slow
def test_what_was_rolled_back_tombstoned_or_never_promoted_does_not_move(workshop: Workshop, staging: Workshop) -> None:
    with pytest.raises(CannotJudge, match=r"v0\.2\.0 is not promoted there"):
        move(staging, workshop, "v0.2.0")
    withdrawn = stage(staging, "b", "v0.2.0")
    roll_back("v0.1.0", staging.context(), CI)
    with pytest.raises(Refused, match=r"v0\.2\.0 was rolled back; v0\.1\.0 is in production there"):
        move(staging, workshop, "v0.2.0")
    stage(staging, "c", "v0.3.0")
    tombstone(withdrawn, "leaks names", staging.context(), CI)
    with pytest.raises(Refused, match="leaks names"):
        move(staging, workshop, "v0.2.0")
    assert find_production(workshop.store) is None
    move(staging, workshop, "v0.3.0")
    assert audit(workshop.store, workshop.tracking).findings == ()


def test_a_later_promotion_does_not_undo_a_rollback(workshop: Workshop, staging: Workshop) -> None:
    stage(staging, "b", "v0.2.0")
    roll_back("v0.1.0", staging.context(), CI)
    stage(staging, "c", "v0.3.0")
    with pytest.raises(Refused, match=r"v0\.2\.0 was rolled back; v0\.3\.0 is in production there"):
        move(staging, workshop, "v0.2.0")
    assert find_production(workshop.store) is None
    roll_back("v0.2.0", staging.context(), CI)  # people decided that it is good again
    with pytest.raises(Refused, match=r"v0\.3\.0 was rolled back"):
        move(staging, workshop, "v0.3.0")
    assert move(staging, workshop, "v0.2.0").production == "v0.2.0"


def test_the_model_belongs_to_the_next_registry_too(workshop: Workshop, staging: Workshop) -> None:
    other = replace(workshop, registry="grape")
    create_registry(other.store, Environment.PRODUCTION, "grape")
    before = snapshot(workshop.folder)
    with pytest.raises(Refused, match="registry of model grape, and this is model wine"):
        move(staging, other)
    with pytest.raises(Refused, match="are the same registry"):
        move(staging, staging)
    assert snapshot(workshop.folder) == before


def test_a_dev_registry_is_no_source(workshop: Workshop) -> None:
    source = replace(workshop, registry="laptop")
    source.promote(source.candidate("a"), "v0.1.0")
    create_registry(workshop.store, Environment.PRODUCTION)
    with pytest.raises(Refused, match="for dev, whose documents prove nothing"):
        move(source, workshop)
    with pytest.raises(CannotJudge, match="is not a registry"):
        move(replace(workshop, registry="nowhere"), workshop)


def test_forged_evidence_and_another_model_are_found(workshop: Workshop, staging: Workshop) -> None:
    sha = staging.candidate("a").sha
    weights = workshop.tracking.root / staging.candidate("a").run_id / "model/weights.json"
    honest = weights.read_bytes()
    weights.write_bytes(b"{}")
    with pytest.raises(IntegrityFailure, match=r"weights\.json"):
        move(staging, workshop)
    weights.write_bytes(honest)
    (evidence,) = (staging.folder / "staging/entries" / sha / "evidence").glob("*.json")
    evidence.write_bytes(evidence.read_bytes().replace(b'correct\\": 95', b'correct\\": 99'))
    with pytest.raises(IntegrityFailure, match="see lynxgate registry verify"):
        move(staging, workshop)
    assert find_production(workshop.store) is None


def test_a_promotion_that_is_not_in_the_index_does_not_move(workshop: Workshop, staging: Workshop) -> None:
    index = staging.folder / "staging/index.jsonl"
    index.write_bytes(b"")
    with pytest.raises(Refused, match="is not finished"):
        move(staging, workshop)


def test_an_interrupted_promotion_from_staging_is_ended_by_the_next(workshop: Workshop, staging: Workshop) -> None:
    """The tag of staging on the same run is no tag of production: what was not committed is undone, then done."""

    class Dead(DirectoryTracking):
        def set_tag(self, run_id: str, key: str, value: str) -> None:
            raise KeyboardInterrupt

        def download(
            self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
        ) -> None:
            super().download(run_id, destination, progress, name)

    tracking = Dead(workshop.tracking.root)
    with pytest.raises(KeyboardInterrupt):
        promote_from(staging.store, "v0.1.0", workshop.context(tracking=tracking), tracking, CI)
    assert find_production(workshop.store) is None
    later = workshop.context(workshop.later)
    receipt = promote_from(staging.store, "v0.1.0", later, workshop.tracking, CI)
    assert receipt.ending is Ending.PROMOTED
    assert audit(workshop.store, workshop.tracking).findings == ()


def test_the_command_names_what_is_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["registry", "promote-from", str(tmp_path), "--semver", "0.1"]) == Exit.USAGE
    assert run(["registry", "init", "--environment", "Staging", "--registry", str(tmp_path / "r")]) == Exit.USAGE
    assert "for example production, staging or dev" in capfd.readouterr().err
    options = ["--environment", "staging", "--model", "wine", "--registry", str(tmp_path / "r")]
    for done in ("created a registry", "is already a registry"):
        assert run(["registry", "init", *options]) == Exit.OK
        assert f"{done} for staging of model wine" in capfd.readouterr().out
    assert run(["registry", "init", "--environment", "staging", "--registry", str(tmp_path / "r")]) == Exit.REFUSED
    assert run(["registry", "list", "--registry", str(tmp_path / "r")]) == Exit.OK


def test_mlflow_that_fails_leaves_no_trace(workshop: Workshop, staging: Workshop) -> None:
    class Down(DirectoryTracking):
        def find_model(self, run_id: str, name: str | None = None) -> RunModel:
            raise StoreFailure(f"down for {run_id} {name}")

    before = snapshot(workshop.folder)
    with pytest.raises(StoreFailure, match="down for"):
        promote_from(staging.store, "v0.1.0", workshop.context(), Down(workshop.tracking.root), CI)
    assert snapshot(workshop.folder) == before
