"""Two processes whose steps meet where the simulator (`tests/simulation`) found that they must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lynxgate.adapters.local import DirectoryStore
from lynxgate.audit.history import read_last_events
from lynxgate.audit.verify import audit
from lynxgate.errors import IntegrityFailure, Refused
from lynxgate.ports import Stored
from lynxgate.promotion.promote import promote
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.rollback_steps import move_production
from lynxgate.promotion.run_tag import tag_key
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.compare_and_swap import put
from lynxgate.registry.layout import manifest_key, read_tags
from lynxgate.registry.record import Rollback, State, VersionedRecord
from lynxgate.registry.resolve import find_production
from lynxgate.registry.tombstone import Tombstone
from minieval.contract.bundle import read_manifest
from tests.promotion.workshop import DEV, Workshop


class MeetingStore(DirectoryStore):
    """A registry in which ``meet`` happens just before a key is read for the ``number``-th time."""

    def __init__(self, root: Path, key: str, number: int, meet: Callable[[], object]) -> None:
        super().__init__(root, patience=5)
        self._key, self._moment, self._meet = key, number, meet
        self._reads: Counter[str] = Counter()

    def read(self, key: str) -> Stored | None:
        self._reads[key] += 1
        if key == self._key and self._reads[key] == self._moment:
            self._meet()
        return super().read(key)


@pytest.fixture
def promoted(workshop: Workshop) -> Workshop:
    """A registry where v0.1.0 was followed by v0.2.0."""
    workshop.open_registry()
    workshop.promote(workshop.candidate("a"), "v0.1.0")
    workshop.promote(workshop.candidate("b"), "v0.2.0")
    return workshop


def begin_rollback(workshop: Workshop) -> VersionedRecord:
    """Another process begins to roll back to v0.1.0."""
    context = workshop.context()
    found = context.journal.read("v0.1.0")
    assert found is not None
    return context.journal.take_over(found, rollback=Rollback(production_before="v0.2.0").model_dump())


def move_and_pause(workshop: Workshop) -> None:
    """Another process moves production back to v0.1.0, and writes no event yet."""
    move_production(workshop.context(), begin_rollback(workshop), "v0.2.0")


def check_nothing_is_lost(workshop: Workshop) -> None:
    """After recovery an auditor finds nothing."""
    recover_all(workshop.context(workshop.later))
    assert audit(workshop.store, workshop.tracking).findings == ()


@pytest.mark.parametrize("begin", [begin_rollback, move_and_pause])
def test_a_rollback_leaves_one_to_the_same_version_to_its_owner(
    promoted: Workshop, begin: Callable[[Workshop], object]
) -> None:
    # The first reading looks for what is unfinished; the second one is what the rollback goes by.
    store = MeetingStore(promoted.folder / "registry", "journal/v0.1.0.json", 2, lambda: begin(promoted))
    with pytest.raises(Refused, match=r"v0\.1\.0 was changed by another process just now"):
        roll_back("v0.1.0", promoted.context(store), DEV)
    check_nothing_is_lost(promoted)


def test_a_promotion_waits_for_the_event_of_a_rollback(promoted: Workshop) -> None:
    # The third reading is the claim's, after the candidate was examined and nothing unfinished was found.
    store = MeetingStore(promoted.folder / "registry", "tags.json", 3, lambda: move_and_pause(promoted))
    with pytest.raises(Refused, match=r"v0\.1\.0 was put in production by another process just now"):
        promote(promoted.candidate("c").request("v0.3.0"), promoted.context(store), promoted.tracking, DEV)
    assert promoted.context().journal.read("v0.3.0") is None
    check_nothing_is_lost(promoted)


def test_a_tombstone_is_laid_while_production_is_being_finished(promoted: Workshop) -> None:
    context = promoted.context()
    found = context.journal.read("v0.2.0")
    assert found is not None
    context.journal.advance(found, state=State.PENDING)  # committed, and not closed
    assert tombstone(promoted.candidate("a").sha, "leaked rows", promoted.context(), DEV).written
    check_nothing_is_lost(promoted)


@pytest.mark.parametrize("first", ["rollback", "tombstone"])
def test_of_a_rollback_and_a_tombstone_at_the_same_moment_one_is_refused(promoted: Workshop, first: str) -> None:
    sha = promoted.candidate("a").sha
    key = f"tombstones/{sha}.json"
    if first == "rollback":
        # The tombstone is read first before it is created, then to be finished: by then the rollback has begun.
        store = MeetingStore(promoted.folder / "registry", key, 2, lambda: begin_rollback(promoted))
        with pytest.raises(Refused, match=r"is being put back into production as v0\.1\.0"):
            tombstone(sha, "leaked rows", promoted.context(store), DEV)
    else:
        # The rollback looks for a tombstone before it begins, and again afterwards.
        store = MeetingStore(
            promoted.folder / "registry", key, 2, lambda: put(promoted.store, key, laid(sha).to_bytes(), None)
        )
        with pytest.raises(Refused, match="is tombstoned: leaked rows"):
            roll_back("v0.1.0", promoted.context(store), DEV)
    assert find_production(promoted.store) == "v0.2.0"
    check_nothing_is_lost(promoted)


class Ended(BaseException):
    """The end of a process."""


def test_a_promotion_of_a_tombstoned_bundle_is_not_recovered_forward(promoted: Workshop) -> None:
    candidate = promoted.candidate("c")
    key = f"tombstones/{candidate.sha}.json"
    promoted.tracking.set_tag(candidate.run_id, tag_key("v0.3.0"), candidate.sha)  # of an attempt that was undone

    def lay_and_end() -> None:
        put(promoted.store, key, laid(candidate.sha).to_bytes(), None)
        raise Ended

    # The promotion looks for a tombstone before it begins, and again after `tags.json`.
    store = MeetingStore(promoted.folder / "registry", key, 2, lay_and_end)
    with pytest.raises(Ended):
        promote(candidate.request("v0.3.0"), promoted.context(store), promoted.tracking, DEV)
    assert read_tags(promoted.store).tags.production == "v0.3.0"
    check_nothing_is_lost(promoted)
    assert find_production(promoted.store) == "v0.2.0"
    found = promoted.context().journal.read("v0.3.0")
    assert found is not None
    assert (found.record.state, found.record.event) == (State.IN_DOUBT, None)


def laid(sha: str) -> Tombstone:
    """A tombstone as its process creates it."""
    return Tombstone(canonical_sha=sha, reason="leaked rows")


def test_a_registry_with_a_tombstone_alone_holds(workshop: Workshop) -> None:
    workshop.open_registry()
    candidate = workshop.candidate("a")
    # The manifest of a promotion that ended before its claim: the registry knows the bundle.
    workshop.store.create(manifest_key(candidate.sha), read_manifest(candidate.bundle).canonical_bytes())
    tombstone(candidate.sha, "leaked rows", workshop.context(), DEV)
    assert audit(workshop.store, workshop.tracking).findings == ()
    (workshop.folder / "registry" / "index.jsonl").unlink()
    with pytest.raises(IntegrityFailure, match="the index is empty"):
        read_last_events(workshop.store, 1)
