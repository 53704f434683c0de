"""SIGKILL before and after every call that changes something: what is left is the old state or the new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.errors import Refused
from lynxgate.promotion.promote import Ending
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.layout import read_tags
from lynxgate.registry.record import State
from lynxgate.registry.resolve import find_production
from tests.promotion.kills import Moment, kill_at, record_calls
from tests.promotion.workshop import Candidate, Workshop


def prepare(folder: Path, *, first: bool) -> Workshop:
    """A workshop where v0.3.0 is in production, unless the promotion under test is the ``first``."""
    workshop = Workshop(folder)
    workshop.open_registry()
    if not first:
        workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.candidate("b")
    workshop.candidate("c")
    return workshop


def copy(workshop: Workshop, folder: Path) -> Workshop:
    shutil.copytree(workshop.folder, folder)
    return Workshop(folder)


def check_reader(workshop: Workshop, candidate: Candidate, old: str | None) -> bool:
    """Check what a reader sees in between; whether it is the new state."""
    production = find_production(workshop.store)
    assert production in (old, "v0.3.1")
    for semver, sha in read_tags(workshop.store).tags.semver.items():
        held = workshop.context().journal.read(semver)
        assert held is not None
        assert held.record.canonical_sha == sha
        carried = workshop.tracking.read_tag(held.record.mlflow_run_id, tag_key(semver)) == sha
        assert carried or held.record.state in (State.PENDING, State.IN_DOUBT)
    if production == "v0.3.1":
        assert read_tags(workshop.store).tags.semver["v0.3.1"] == candidate.sha
    return production == "v0.3.1"


def check_ended(workshop: Workshop) -> None:
    """After recovery nothing is unfinished and an auditor finds nothing, and each promotion is in the index once."""
    recover_all(workshop.context(workshop.later))
    assert audit(workshop.store, workshop.tracking).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("first", [True, False], ids=["first promotion", "next promotion"])
def test_killed_anywhere_it_is_old_or_new_and_the_next_run_ends_it(memory: Path, first: bool, moment: Moment) -> None:
    base = prepare(memory / "base", first=first)
    old = None if first else "v0.3.0"
    trial = copy(base, memory / "trial")
    calls = record_calls(lambda: trial.promote(trial.candidate("b"), "v0.3.1"), trial.folder)
    assert len(calls) > 30
    endings = set()
    for point in range(len(calls)):
        killed = copy(base, memory / f"{point}")
        candidate = killed.candidate("b")
        assert kill_at(lambda: killed.promote(candidate, "v0.3.1"), killed.folder, point, moment), calls[point]  # noqa: B023
        was_new = check_reader(killed, candidate, old)
        endings.add(was_new)

        after_rerun = copy(killed, memory / f"{point}-rerun")
        receipt = after_rerun.promote(after_rerun.candidate("b"), "v0.3.1", later=True)
        assert receipt.ending in (Ending.PROMOTED, Ending.ALREADY)
        assert find_production(after_rerun.store) == "v0.3.1"
        check_ended(after_rerun)
        assert after_rerun.promote(after_rerun.candidate("b"), "v0.3.1").ending is Ending.ALREADY

        after_other = copy(killed, memory / f"{point}-other")
        after_other.promote(after_other.candidate("c"), "v0.3.2", later=True)
        assert find_production(after_other.store) == "v0.3.2"
        check_ended(after_other)

        after_recover = copy(killed, memory / f"{point}-recover")
        check_ended(after_recover)
        assert find_production(after_recover.store) in (old, "v0.3.1")
        if was_new:
            assert find_production(after_recover.store) == "v0.3.1"

        with_other_sha = killed.candidate("c")
        if killed.context().journal.read("v0.3.1") is not None:
            with pytest.raises(Refused):
                killed.promote(with_other_sha, "v0.3.1", later=True)
        for folder in (killed, after_rerun, after_other, after_recover):
            shutil.rmtree(folder.folder)
    assert endings == {True, False}
