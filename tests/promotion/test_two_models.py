"""A run with two models, both registered under one name, on a real MLflow: the alias follows the candidate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.verify import audit
from lynxgate.candidate.cache import Cache
from lynxgate.candidate.fetch import fetch
from lynxgate.errors import CannotJudge, StoreFailure, UsageFailure
from lynxgate.ports import RegisteredVersion
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import promote
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from tests.promotion.workshop import (
    DEV,
    Candidate,
    Workshop,
    leave_out_others,
    open_context,
    write_baseline,
    write_evaluation,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore")  # SQLAlchemy warns of what MLflow's own client does


@dataclass(frozen=True)
class Tracked:
    """A tracking database, and MLflow's own client of it."""

    uri: str
    experiment: str
    client: MlflowClient

    def log(self, run_id: str, name: str, bundle: Path) -> str:
        """Log a bundle as a model of the run; return the model's id."""
        model = self.client.create_logged_model(self.experiment, name=name, source_run_id=run_id)
        self.client.log_model_artifacts(model.model_id, str(bundle))
        self.client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def register(self, name: str, run_id: str, model_id: str) -> str:
        """Register a model of the run as MLflow's `log_model(registered_model_name=...)` does; return the version."""
        source = f"models:/{model_id}"
        return str(self.client.create_model_version(name, source, run_id=run_id, model_id=model_id).version)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    """One SQLite database for the module: its migrations take seconds."""
    import mlflow

    root = tmp_path_factory.mktemp("mlflow")
    uri, before = f"sqlite:///{root}/mlflow.db", mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)  # the model registry on SQLite looks models up at the process's own address
    client = mlflow.MlflowClient(tracking_uri=uri)
    try:
        yield Tracked(uri, client.create_experiment("two", artifact_location=str(root / "artifacts")), client)
    finally:
        mlflow.set_tracking_uri(before)


@dataclass(frozen=True)
class Scene:
    """A registry, a run with a draft and a candidate, and the model that both are registered as."""

    workshop: Workshop
    tracked: Tracked
    model: str
    run_id: str
    versions: dict[str, str]

    @property
    def candidate(self) -> Candidate:
        return self.workshop.candidate("b")

    @property
    def tracking(self) -> MlflowTracking:
        return MlflowTracking(self.tracked.uri)

    def promote(self) -> None:
        baseline = json.loads(write_baseline())
        baseline["policy"]["registered_model"] = f"models:/{self.model}"
        sha, evaluation = self.candidate.sha, write_evaluation(self.candidate.sha, self.run_id)
        request = Request(sha, "v0.3.0", evaluation, json.dumps(baseline).encode(), self.candidate.bundle)
        promote(request, open_context(self.workshop.store, self.tracking, tag_seconds=30), self.tracking, DEV)

    def aliased(self) -> str:
        return str(self.tracked.client.get_model_version_by_alias(self.model, "production").version)

    def problems(self) -> list[str]:
        found = leave_out_others(audit(self.workshop.store, self.tracking).findings, self.run_id)
        return [f"{each.place}: {each.problem}" for each in found]


@pytest.fixture
def scene(workshop: Workshop, tracked: Tracked, request: pytest.FixtureRequest) -> Scene:
    """`draft` is registered first: it has the lowest version of the run."""
    create_registry(workshop.store, Environment.DEV)
    client, model = tracked.client, f"tutor-{abs(hash(request.node.nodeid))}"
    run_id = client.create_run(tracked.experiment).info.run_id
    client.create_registered_model(model)
    versions = {
        name: tracked.register(model, run_id, tracked.log(run_id, name, workshop.candidate(bundle).bundle))
        for name, bundle in (("draft", "a"), ("model", "b"))
    }
    client.set_terminated(run_id, "FINISHED")
    return Scene(workshop, tracked, model, run_id, versions)


@pytest.mark.slow
def test_the_alias_goes_on_the_version_of_the_candidate(scene: Scene) -> None:
    scene.promote()
    assert scene.aliased() == scene.versions["model"]
    tags = {
        name: dict(scene.tracked.client.get_model_version(scene.model, version).tags)
        for name, version in scene.versions.items()
    }
    assert tags == {"draft": {}, "model": {tag_key("v0.3.0"): scene.candidate.sha}}
    assert scene.problems() == []


@pytest.mark.slow
def test_where_only_the_draft_is_registered_the_candidate_becomes_a_version(scene: Scene) -> None:
    scene.tracked.client.delete_model_version(scene.model, scene.versions["model"])
    scene.promote()
    found = scene.tracked.client.get_model_version_by_alias(scene.model, "production")
    assert found.version not in scene.versions.values()
    assert found.source == scene.tracking.find_model(scene.run_id).source
    assert scene.problems() == []


@pytest.mark.slow
def test_verify_finds_an_alias_on_another_model_of_the_same_run(scene: Scene) -> None:
    scene.promote()
    draft = scene.versions["draft"]
    scene.tracked.client.set_registered_model_alias(scene.model, "production", draft)
    absent, moved = sorted(scene.problems(), reverse=True)
    place = f"MLflow model {scene.model}: "
    assert moved.startswith(f"{place}its alias production is on version {draft}, whose source is 'models:/m-")
    assert moved.endswith(f"not the candidate of run {scene.run_id}")
    assert absent == f"{place}tag {tag_key('v0.3.0')} of version {draft} is absent, not {scene.candidate.sha}"


@pytest.mark.slow
def test_verify_finds_a_version_whose_tag_names_another_bundle(scene: Scene) -> None:
    scene.promote()
    version, key = scene.versions["model"], tag_key("v0.3.0")
    scene.tracked.client.set_model_version_tag(scene.model, version, key, "0" * 64)
    assert scene.problems() == [
        f"MLflow model {scene.model}: tag {key} of version {version} is {'0' * 64}, not {scene.candidate.sha}"
    ]


@pytest.mark.slow
def test_a_server_that_registers_another_source_is_an_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own client, with the server's reply altered."""
    from mlflow import MlflowClient

    create = MlflowClient.create_model_version

    def elsewhere(self: MlflowClient, *arguments: object, **options: object) -> object:
        made = create(self, *arguments, **options)
        made._source = "models:/m-another"
        return made

    scene.tracked.client.delete_model_version(scene.model, scene.versions["model"])
    monkeypatch.setattr(MlflowClient, "create_model_version", elsewhere)
    with pytest.raises(StoreFailure, match=r"v0\.3\.0 is promoted, but a later step failed: MLflow registered version"):
        scene.promote()


def test_the_database_that_only_an_option_names(scene: Scene) -> None:
    """MLflow's store looks a model up in the process's default; a promotion makes the database it is given that."""
    import mlflow

    default = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{scene.workshop.folder}/elsewhere.db")
    elsewhere = mlflow.get_tracking_uri()
    try:
        # No version of the run is registered yet: one has to be made, and its model looked up.
        MlflowTracking(scene.tracked.uri).set_alias(f"{scene.model}-new", scene.run_id, {"a": "b"})
        assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == elsewhere
    finally:
        mlflow.set_tracking_uri(default)
    found = scene.tracking.read_alias(f"{scene.model}-new")
    assert found is not None and found.holds_candidate and found.tags == {"a": "b"}


@pytest.mark.slow
def test_a_model_is_promoted_by_its_name(scene: Scene, tmp_path: Path) -> None:
    """The other model of the run, by name: download, alias and evidence are about it, also for an auditor."""
    draft = scene.workshop.candidate("a")
    baseline = json.loads(write_baseline())
    baseline["policy"]["registered_model"] = f"models:/{scene.model}"
    request = Request(
        draft.sha,
        "v0.3.0",
        write_evaluation(draft.sha, scene.run_id),
        json.dumps(baseline).encode(),
        draft.bundle,
        logged_model="draft",
    )
    promote(request, open_context(scene.workshop.store, scene.tracking, tag_seconds=30), scene.tracking, DEV)
    assert scene.aliased() == scene.versions["draft"]
    assert scene.problems() == []
    fetched = fetch(scene.tracking, scene.run_id, tmp_path / "b", Cache(tmp_path / "cache"), logged_model="draft")
    assert fetched.canonical_sha == draft.sha


def test_a_name_that_the_run_does_not_have_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=r"has no model 'wine' \(it has 'draft', 'model'\)"):
        fetch(scene.tracking, scene.run_id, tmp_path / "b", Cache(tmp_path / "cache"), logged_model="wine")
    assert not (tmp_path / "b").exists()


def test_the_only_model_of_a_run_may_have_the_usual_name(scene: Scene, tmp_path: Path) -> None:
    run_id = scene.tracked.client.create_run(scene.tracked.experiment).info.run_id
    scene.tracked.log(run_id, "model", scene.candidate.bundle)
    scene.tracked.client.set_terminated(run_id, "FINISHED")
    found = fetch(scene.tracking, run_id, tmp_path / "b", Cache(tmp_path / "cache"), logged_model="wine")
    assert found.canonical_sha == scene.candidate.sha


def test_a_registered_model_stands_for_one_model_of_one_run(scene: Scene) -> None:
    client, tracking = scene.tracked.client, scene.tracking
    for name, version in scene.versions.items():
        assert tracking.resolve(f"models:/{scene.model}/{version}") == RegisteredVersion(version, scene.run_id, name)
    client.set_registered_model_alias(scene.model, "candidate", scene.versions["draft"])
    found = tracking.resolve(f"models:/{scene.model}@candidate")
    # What was resolved is pinned by run and name: the alias may move on.
    client.set_registered_model_alias(scene.model, "candidate", scene.versions["model"])
    assert found == RegisteredVersion(scene.versions["draft"], scene.run_id, "draft")
    assert tracking.find_model(found.run_id, found.logged_model).source != tracking.find_model(scene.run_id).source


@pytest.mark.parametrize("reference", ["models:/absent/1", "models:/{model}/99", "models:/{model}@absent"])
def test_a_registered_model_that_does_not_exist(scene: Scene, reference: str) -> None:
    with pytest.raises(CannotJudge, match="check name, version and alias"):
        scene.tracking.resolve(reference.format(model=scene.model))


@pytest.mark.parametrize(
    "reference", ["wine/1", "models:/wine", "models:/wine/01", "models:/wine@", "models:/../x/1", "models:/m-1/2\n"]
)
def test_what_is_no_registered_model(scene: Scene, reference: str) -> None:
    with pytest.raises(UsageFailure, match="use models:/name/7 or models:/name@alias"):
        scene.tracking.resolve(reference)
