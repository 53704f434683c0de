"""Promotion with a real MLflow server behind a proxy that fails before or after the server applied the tag."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.verify import audit
from lynxgate.errors import StoreFailure
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import Ending, Receipt, promote
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry, read_tags
from lynxgate.registry.record import State
from lynxgate.registry.resolve import find_production
from tests.fault_proxy import Fault, FaultProxy
from tests.promotion.kills import kill_at, record_calls
from tests.promotion.workshop import (
    DEV,
    LaterStore,
    Workshop,
    leave_out_others,
    open_context,
    write_baseline,
    write_evaluation,
)
from tests.servers import MlflowServer, wait_until

TAG_SECONDS = 4.0
HANG_SECONDS = 240  # of a server that hangs: half of it is more than a busy machine adds to a time-out


@dataclass(frozen=True)
class Scene:
    """A registry with v0.3.0 in production, and a real run whose model is to become v0.3.1."""

    workshop: Workshop
    request: Request
    run_id: str
    proxy: FaultProxy
    server: MlflowServer

    def promote(self, *, later: bool = False) -> Receipt:
        tracking = MlflowTracking(self.proxy.url, timeout=3)
        store = LaterStore(self.workshop.folder / "registry") if later else self.workshop.store
        context = open_context(store, tracking, tag_seconds=TAG_SECONDS)
        return promote(self.request, context, tracking, DEV)

    def tag(self) -> str | None:
        return MlflowTracking(self.server.url).read_tag(self.run_id, tag_key("v0.3.1"))


@pytest.fixture
def scene(
    workshop: Workshop,
    fresh_run: tuple[str, str],
    logged_model: tuple[str, str, Path],
    fault_proxy: FaultProxy,
    mlflow_server: MlflowServer,
) -> Scene:
    """See `Scene`; v0.3.0 itself was promoted over the directory of runs."""
    create_registry(workshop.store, Environment.DEV)
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    run_id, sha = fresh_run
    request = Request(sha, "v0.3.1", write_evaluation(sha, run_id), write_baseline(), logged_model[2])
    return Scene(workshop, request, run_id, fault_proxy, mlflow_server)


def test_promotes_on_a_real_server(scene: Scene) -> None:
    assert scene.promote().ending is Ending.PROMOTED
    assert scene.tag() == scene.request.canonical_sha
    assert scene.promote().ending is Ending.ALREADY


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.HANG_AFTER])
def test_applied_and_the_answer_lost_is_a_promotion(scene: Scene, fault: Fault) -> None:
    scene.proxy.fail(fault, path="runs/set-tag", seconds=HANG_SECONDS)
    assert scene.promote().ending is Ending.PROMOTED
    assert scene.tag() == scene.request.canonical_sha
    assert find_production(scene.workshop.store) == "v0.3.1"


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.FORBIDDEN, State.ROLLED_BACK),
        (Fault.UNAUTHORIZED, State.ROLLED_BACK),
        (Fault.ERROR_BEFORE, State.IN_DOUBT),
        (Fault.DROP_BEFORE, State.IN_DOUBT),
        (Fault.HANG_BEFORE, State.IN_DOUBT),
    ],
)
def test_not_applied_is_undone_in_bounded_time_and_the_next_run_promotes(
    scene: Scene, fault: Fault, state: State
) -> None:
    scene.proxy.fail(fault, path="runs/set-tag", seconds=HANG_SECONDS)
    started = time.monotonic()
    with pytest.raises(StoreFailure, match=r"is not promoted; production is v0\.3\.0 as before"):
        scene.promote()
    assert time.monotonic() - started < HANG_SECONDS / 2
    held = scene.workshop.context().journal.read("v0.3.1")
    assert held is not None
    assert held.record.state is state
    assert find_production(scene.workshop.store) == "v0.3.0"
    assert set(read_tags(scene.workshop.store).tags.semver) == {"v0.3.0"}
    assert scene.tag() is None
    scene.proxy.clear()
    assert scene.promote().ending is Ending.PROMOTED


def test_first_tries_fail_and_a_later_one_carries(scene: Scene) -> None:
    scene.proxy.fail(Fault.ERROR_BEFORE, path="runs/set-tag", times=2)
    assert scene.promote().ending is Ending.PROMOTED


def test_a_tag_that_lands_after_we_gave_up_harms_nothing(scene: Scene) -> None:
    rule = scene.proxy.fail(Fault.LATE, path="runs/set-tag", seconds=HANG_SECONDS)
    with pytest.raises(StoreFailure, match="stray tag"):
        scene.promote()
    assert scene.tag() is None
    rule.released.set()
    wait_until(lambda: scene.tag() is not None)
    assert find_production(scene.workshop.store) == "v0.3.0"
    scene.proxy.clear()
    assert scene.promote().ending is Ending.PROMOTED


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_tag_of_a_real_server(scene: Scene, moment: str) -> None:
    """SIGKILL at each write after `tags.json` names the semver: with and without the tag on the real server."""
    folder = scene.workshop.folder / "registry"
    probe = Workshop(scene.workshop.folder / "probe")
    probe.promote(probe.candidate("a"), "v0.3.0")
    calls = record_calls(lambda: probe.promote(probe.candidate("b"), "v0.3.1"), probe.folder / "registry")
    last = len(calls) - 1
    named = next(i for i, call in enumerate(calls) if call.startswith("replace") and "tags.json" in call)
    point = named if moment == "before" else last
    assert kill_at(scene.promote, folder, point, "after")
    old_or_new = find_production(scene.workshop.store)
    assert old_or_new == ("v0.3.0" if moment == "before" else "v0.3.1")
    scene.promote(later=True)
    assert find_production(scene.workshop.store) == "v0.3.1"
    elsewhere = scene.workshop.candidate("a").run_id  # v0.3.0's run is in the directory of runs, not on the server
    everything = audit(scene.workshop.store, MlflowTracking(scene.server.url)).findings
    findings = leave_out_others(everything, scene.run_id)
    assert [finding for finding in findings if elsewhere not in finding.place] == []
