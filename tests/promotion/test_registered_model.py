"""The alias and version tags of a registered model, on a real server: carried, moved back, finished later, watched."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.verify import audit
from lynxgate.errors import Exit, StoreFailure
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import Ending, Receipt, promote
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.registry.resolve import find_production
from tests.fault_proxy import Fault, FaultProxy
from tests.promotion.workshop import DEV, Workshop, leave_out_others, open_context, write_baseline, write_evaluation
from tests.servers import MlflowServer, client_of, log_bundle

STEP_SECONDS, REQUEST_SECONDS = 4.0, 3
BUSY_SECONDS = 60  # what a busy machine may add


@dataclass(frozen=True)
class Scene:
    """A registry for a registered model of its own, two runs of two bundles, and a proxy before the server."""

    workshop: Workshop
    model: str
    runs: dict[str, str]
    server: MlflowServer
    proxy: FaultProxy
    step_seconds: float = STEP_SECONDS

    @property
    def direct(self) -> MlflowTracking:
        return MlflowTracking(self.server.url)

    def context(self) -> PromotionContext:
        store, tracking = self.workshop.store, MlflowTracking(self.proxy.url, timeout=REQUEST_SECONDS)
        return open_context(store, tracking, tag_seconds=self.step_seconds)

    def promote(self, name: str, semver: str) -> Receipt:
        candidate, run_id, context = self.workshop.candidate(name), self.runs[name], self.context()
        policy = f'"registered_model": "models:/{self.model}", "rule"'.encode()
        evaluation, baseline = write_evaluation(candidate.sha, run_id), write_baseline().replace(b'"rule"', policy)
        request = Request(candidate.sha, semver, evaluation, baseline, candidate.bundle)
        return promote(request, context, MlflowTracking(self.proxy.url, timeout=REQUEST_SECONDS), DEV)

    def problems(self) -> list[str]:
        found = leave_out_others(audit(self.workshop.store, self.direct).findings, *self.runs.values())
        return [f"{each.place}: {each.problem}" for each in found]

    def aliased_run(self) -> str | None:
        """The run of the version in production, which holds its candidate."""
        found = self.direct.read_alias(self.model)
        assert found is None or found.holds_candidate
        return None if found is None else found.run_id

    def versions(self) -> dict[str, dict[str, str]]:
        """The tags of each version of the model, by run."""
        found = client_of(self.server.url).search_model_versions(f"name='{self.model}'")
        return {str(each.run_id): dict(each.tags) for each in found}


@pytest.fixture
def scene(workshop: Workshop, mlflow_server: MlflowServer, fault_proxy: FaultProxy) -> Scene:
    """See `Scene`."""
    create_registry(workshop.store, Environment.DEV)
    runs = {name: log_bundle(mlflow_server.url, workshop.candidate(name).bundle) for name in ("a", "b")}
    return Scene(workshop, f"tutor-{uuid.uuid4().hex[:8]}", runs, mlflow_server, fault_proxy)


def test_promote_points_it_rollback_moves_it_and_verify_watches_it(scene: Scene) -> None:
    scene.promote("a", "v0.3.0")
    assert scene.aliased_run() == scene.runs["a"]
    scene.promote("b", "v0.3.1")
    assert scene.aliased_run() == scene.runs["b"]
    shas = {name: scene.workshop.candidate(name).sha for name in scene.runs}
    assert scene.versions() == {
        scene.runs["a"]: {tag_key("v0.3.0"): shas["a"]},
        scene.runs["b"]: {tag_key("v0.3.1"): shas["b"]},
    }
    assert scene.problems() == []
    roll_back("v0.3.0", scene.context(), DEV)
    assert scene.aliased_run() == scene.runs["a"]
    assert scene.problems() == []
    client = client_of(scene.server.url)
    version = next(
        each for each in client.search_model_versions(f"name='{scene.model}'") if each.run_id == scene.runs["b"]
    )
    client.set_registered_model_alias(scene.model, "production", version.version)
    assert scene.problems() == [
        f"MLflow model {scene.model}: its alias production is on run {scene.runs['b']}, not on {scene.runs['a']}"
    ]
    client.delete_registered_model_alias(scene.model, "production")
    assert scene.problems() == [
        f"MLflow model {scene.model}: its alias production is on run none, not on {scene.runs['a']}"
    ]


def test_the_same_bundle_twice_has_one_version_with_two_tags(scene: Scene) -> None:
    scene.promote("a", "v0.3.0")
    scene.promote("a", "v0.3.1")
    assert {key: set(tags) for key, tags in scene.versions().items()} == {
        scene.runs["a"]: {tag_key("v0.3.0"), tag_key("v0.3.1")}
    }


ALIAS = "registered-models/alias"
CALLS = [ALIAS, "model-versions/set-tag", "model-versions/create", "registered-models/create"]


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.FORBIDDEN])
@pytest.mark.heavy
def test_a_failing_alias_leaves_the_promotion_standing_and_the_next_run_completes_it(
    scene: Scene, fault: Fault, path: str
) -> None:
    scene.proxy.fail(fault, path=path)
    with pytest.raises(StoreFailure, match=r"v0\.3\.0 is promoted, but a later step failed") as failure:
        scene.promote("a", "v0.3.0")
    assert failure.value.exit is Exit.UNAVAILABLE
    assert find_production(scene.workshop.store) == "v0.3.0"
    assert scene.direct.read_tag(scene.runs["a"], tag_key("v0.3.0")) == scene.workshop.candidate("a").sha
    assert scene.aliased_run() is None
    scene.proxy.clear()
    assert scene.promote("a", "v0.3.0").ending is Ending.ALREADY
    assert scene.aliased_run() == scene.runs["a"]
    assert scene.problems() == []


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.HANG_AFTER, Fault.DROP_BEFORE])
def test_an_answer_that_is_lost_once_is_tried_again(scene: Scene, fault: Fault) -> None:
    for path in CALLS:
        scene.proxy.fail(fault, path=path, times=1, seconds=20)
    assert replace(scene, step_seconds=30.0).promote("a", "v0.3.0").ending is Ending.PROMOTED
    assert scene.aliased_run() == scene.runs["a"]
    assert scene.problems() == []


def test_recover_finishes_it(scene: Scene) -> None:
    scene.proxy.fail(Fault.FORBIDDEN, path=ALIAS)
    with pytest.raises(StoreFailure, match="is promoted"):
        scene.promote("a", "v0.3.0")
    assert any("unfinished" in problem for problem in scene.problems())
    scene.proxy.clear()
    assert [record.semver for record in recover_all(scene.context())] == ["v0.3.0"]
    assert scene.aliased_run() == scene.runs["a"]
    assert scene.problems() == []


def test_a_rollback_whose_alias_fails_stands_and_is_finished(scene: Scene) -> None:
    scene.promote("a", "v0.3.0")
    scene.promote("b", "v0.3.1")
    scene.proxy.fail(Fault.FORBIDDEN, path=ALIAS)
    with pytest.raises(StoreFailure, match=r"production is v0\.3\.0 again, but a later step failed"):
        roll_back("v0.3.0", scene.context(), DEV)
    assert find_production(scene.workshop.store) == "v0.3.0"
    assert scene.aliased_run() == scene.runs["b"]
    scene.proxy.clear()
    assert roll_back("v0.3.0", scene.context(), DEV)[0].semver == "v0.3.0"
    assert scene.aliased_run() == scene.runs["a"]
    assert scene.problems() == []


def test_an_account_that_may_not_make_models_adds_versions_to_one(scene: Scene) -> None:
    client_of(scene.server.url).create_registered_model(scene.model)
    scene.proxy.fail(Fault.FORBIDDEN, path="registered-models/create")
    assert scene.promote("a", "v0.3.0").ending is Ending.PROMOTED
    assert scene.aliased_run() == scene.runs["a"]


def test_a_model_that_an_older_client_logged_is_registered_too(scene: Scene) -> None:
    """It is among the artifacts of its run, which has no LoggedModel."""
    client = client_of(scene.server.url)
    run_id = log_bundle(scene.server.url, scene.workshop.candidate("a").bundle, models=0, status=None)
    client.log_artifacts(run_id, str(scene.workshop.candidate("a").bundle), "model")
    client.set_terminated(run_id, "FINISHED")
    older = replace(scene, runs={"a": run_id})
    assert older.promote("a", "v0.3.0").ending is Ending.PROMOTED
    assert scene.aliased_run() == run_id


@pytest.mark.slow
@pytest.mark.parametrize("path", ["runs/set-tag", ALIAS])
def test_a_server_that_hangs_is_given_up_in_the_stated_time(scene: Scene, path: str) -> None:
    """The step's seconds and two requests; the rest of a promotion took its time when nothing failed."""
    started = time.monotonic()
    scene.promote("a", "v0.3.0")
    healthy = time.monotonic() - started
    scene.proxy.fail(Fault.HANG_BEFORE, path=path, seconds=300)
    started = time.monotonic()
    with pytest.raises(StoreFailure, match=f"no answer within {REQUEST_SECONDS} s"):
        scene.promote("b", "v0.3.1")
    assert time.monotonic() - started < STEP_SECONDS + 2 * REQUEST_SECONDS + 2 * healthy + BUSY_SECONDS


def test_alias_of_another_workshop_is_not_touched(scene: Scene, tmp_path: Path) -> None:
    """A registry moves only the alias of the model that its own policy names."""
    other = replace(scene, workshop=Workshop(tmp_path / "other"), model=f"{scene.model}-other")
    create_registry(other.workshop.store, Environment.DEV)
    scene.promote("a", "v0.3.0")
    other.promote("b", "v0.1.0")
    assert scene.aliased_run() == scene.runs["a"]
    assert other.aliased_run() == scene.runs["b"]
