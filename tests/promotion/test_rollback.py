"""Rollback and tombstones: the one way down, and bundles that stay out; whole when killed anywhere."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, Exit, Refused
from lynxgate.promotion.promote import Ending, promote
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.events import Event
from lynxgate.registry.layout import read_tags
from lynxgate.registry.record import Record
from lynxgate.registry.resolve import find_production
from minieval.contract.documents import parse_document
from tests.promotion.kills import Moment, kill_at, record_calls
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import DEV, Candidate, DirectoryTracking, Workshop

MODEL = b'"registered_model": "models:/tutor", "rule"'


@pytest.fixture
def promoted(workshop: Workshop) -> Workshop:
    """v0.3.0 (bundle a), then v0.3.1 (bundle b) in production."""
    return prepare(workshop)


def prepare(workshop: Workshop) -> Workshop:
    workshop.promote(aliased(workshop.candidate("a")), "v0.3.0")
    workshop.promote(aliased(workshop.candidate("b")), "v0.3.1")
    return workshop


def aliased(candidate: Candidate) -> Candidate:
    """The candidate under a policy that names a registered model."""
    return replace(candidate, baseline=candidate.baseline.replace(b'"rule"', MODEL))


def back(workshop: Workshop, target: str = "v0.3.0", *, later: bool = False) -> tuple[Record, str | None]:
    return roll_back(target, workshop.context(workshop.later if later else workshop.store), DEV)


def kinds(workshop: Workshop) -> list[str]:
    return [parse_document(line, Event, where="index").kind.value for line in workshop.store.lines()]


def holds(workshop: Workshop) -> bool:
    return audit(workshop.store, workshop.tracking).findings == ()


def test_a_version_below_one_that_was_promoted_is_refused(promoted: Workshop) -> None:
    """After a rollback too: a number below v0.4.0 would look as if it had come before."""
    candidate = promoted.candidate("c")
    promoted.promote(candidate, "v0.4.0")
    roll_back("v0.3.0", promoted.context(), DEV)
    later = promoted.candidate("d")
    before = snapshot(promoted.folder)
    with pytest.raises(Refused, match=r"v0\.3\.9 is lower than v0\.4\.0, which was promoted before"):
        promoted.promote(later, "v0.3.9")
    assert snapshot(promoted.folder) == before
    assert promoted.promote(later, "v0.4.1").production_before == "v0.3.0"


def test_an_unknown_bundle_is_not_tombstoned(promoted: Workshop) -> None:
    unknown = promoted.candidate("never promoted").sha
    before = snapshot(promoted.folder)
    with pytest.raises(CannotJudge, match="has no bundle"):
        tombstone(unknown, "leaks names", promoted.context(), DEV)
    assert snapshot(promoted.folder) == before


@pytest.mark.parametrize("options", [[], ["--all"]])
def test_an_index_that_was_removed_is_not_an_empty_registry(
    promoted: Workshop, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["registry", "list", "--registry", str(promoted.folder / "registry"), *options]
    assert run(command) == Exit.OK
    index = promoted.folder / "registry" / "index.jsonl"
    index.write_bytes(index.read_bytes().splitlines(keepends=True)[0])
    assert run(command) == Exit.INTEGRITY
    index.unlink()
    capsys.readouterr()
    assert run(command) == Exit.INTEGRITY
    assert "the index ends at event 0" in capsys.readouterr().err


def test_rolls_back_with_an_event_and_deletes_nothing(promoted: Workshop) -> None:
    before = set(snapshot(promoted.folder / "registry"))
    record, came_from = back(promoted)
    assert (record.semver, came_from) == ("v0.3.0", "v0.3.1")
    assert find_production(promoted.store) == "v0.3.0"
    assert set(read_tags(promoted.store).tags.semver) == {"v0.3.0", "v0.3.1"}
    assert kinds(promoted) == ["promoted", "promoted", "rolled-back"]
    aliased_version = promoted.tracking.read_alias("tutor")
    assert aliased_version is not None
    assert aliased_version.run_id == promoted.candidate("a").run_id
    assert before <= set(snapshot(promoted.folder / "registry"))
    assert holds(promoted)


def test_again_is_already_there_and_writes_nothing(promoted: Workshop) -> None:
    back(promoted)
    before = snapshot(promoted.folder)
    assert back(promoted)[1] is None
    assert snapshot(promoted.folder) == before


def test_after_a_rollback_production_goes_up_again(promoted: Workshop) -> None:
    back(promoted)
    again = promoted.promote(promoted.candidate("b"), "v0.3.1")
    assert (again.ending, again.production) == (Ending.ALREADY, "v0.3.0")
    assert again.line == f"already promoted v0.3.1 {promoted.candidate('b').sha}, in production: v0.3.0"
    assert find_production(promoted.store) == "v0.3.0"
    promoted.promote(aliased(promoted.candidate("b")), "v0.3.2")
    assert find_production(promoted.store) == "v0.3.2"
    assert holds(promoted)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [("v0.2.0", CannotJudge, "never promoted"), ("v0.3.1", Refused, "is higher than")],
)
def test_only_to_a_lower_promoted_version(promoted: Workshop, target: str, error: type[Exception], words: str) -> None:
    back(promoted)
    before = snapshot(promoted.folder)
    with pytest.raises(error, match=words):
        back(promoted, target)
    assert snapshot(promoted.folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_a_rollback_has_happened_or_not(memory: Path, moment: Moment) -> None:
    base = prepare(Workshop(memory / "base"))
    trial = Workshop(Path(shutil.copytree(base.folder, memory / "trial")))
    calls = record_calls(lambda: back(trial), trial.folder)
    endings = set()
    for point, call in enumerate(calls):
        killed = Workshop(Path(shutil.copytree(base.folder, memory / f"{point}")))
        assert kill_at(lambda: back(killed), killed.folder, point, moment), call  # noqa: B023
        production = find_production(killed.store)
        endings.add(production)
        recovered = Workshop(Path(shutil.copytree(killed.folder, memory / f"{point}-recover")))
        recover_all(recovered.context(recovered.later))
        assert find_production(recovered.store) == production
        assert holds(recovered), call
        rerun = Workshop(Path(shutil.copytree(killed.folder, memory / f"{point}-rerun")))
        back(rerun, later=True)
        assert kinds(rerun) == ["promoted", "promoted", "rolled-back"]
        assert holds(rerun), call
        other = Workshop(Path(shutil.copytree(killed.folder, memory / f"{point}-other")))
        other.promote(aliased(other.candidate("c")), "v0.4.0", later=True)
        recover_all(other.context(other.later))
        assert find_production(other.store) == "v0.4.0"
        assert holds(other), call
    assert endings == {"v0.3.0", "v0.3.1"}


def test_what_was_tombstoned_since_is_refused_and_not_already_promoted(promoted: Workshop) -> None:
    back(promoted)
    tombstone(promoted.candidate("b").sha, "leaks names", promoted.context(), DEV)
    before = snapshot(promoted.folder)
    with pytest.raises(Refused, match="is tombstoned: leaks names"):
        promoted.promote(promoted.candidate("b"), "v0.3.1")
    assert snapshot(promoted.folder) == before


def test_a_version_that_another_one_followed_is_named_with_it(promoted: Workshop) -> None:
    again = promoted.promote(promoted.candidate("a"), "v0.3.0")
    assert (again.ending, again.production) == (Ending.ALREADY, "v0.3.1")
    assert promoted.promote(promoted.candidate("b"), "v0.3.1").line.endswith(promoted.candidate("b").sha)


def test_a_tombstoned_bundle_is_never_promoted_again(promoted: Workshop) -> None:
    a, b = promoted.candidate("a"), promoted.candidate("b")
    with pytest.raises(Refused, match="roll back first"):
        tombstone(b.sha, "leaks names", promoted.context(), DEV)
    stone = tombstone(a.sha, "leaks names", promoted.context(), DEV)
    assert stone.reason == "leaks names"
    assert tombstone(a.sha, "another reason", promoted.context(), DEV).reason == "leaks names"
    assert kinds(promoted) == ["promoted", "promoted", "tombstoned"]
    for attempt in (lambda: promoted.promote(a, "v0.3.5"), lambda: back(promoted)):
        with pytest.raises(Refused, match="leaks names"):
            attempt()
    assert holds(promoted)


def test_a_tombstone_laid_while_its_bundle_is_promoted_stops_it(promoted: Workshop) -> None:
    candidate = promoted.candidate("c")

    class Tombstoner(DirectoryTracking):
        downloads = 0

        def download(self, run_id: str, destination: Path, progress: object = None, name: str | None = None) -> None:
            self.downloads += 1
            if self.downloads == 2:  # after the claim
                tombstone(candidate.sha, "found out just now", promoted.context(), DEV)
            super().download(run_id, destination, name=name)

    tracking = Tombstoner(promoted.tracking.root)
    with pytest.raises(Refused, match="found out just now"):
        promote(candidate.request("v0.3.2"), promoted.context(tracking=tracking), tracking, DEV)
    assert find_production(promoted.store) == "v0.3.1"
    assert holds(promoted)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_a_tombstone_has_one_event(memory: Path, moment: Moment) -> None:
    base = prepare(Workshop(memory / "base"))
    sha = base.candidate("a").sha

    def lay(workshop: Workshop) -> None:
        tombstone(sha, "withdrawn", workshop.context(), DEV)

    trial = Workshop(Path(shutil.copytree(base.folder, memory / "trial")))
    calls = record_calls(lambda: lay(trial), trial.folder)
    for point, call in enumerate(calls):
        killed = Workshop(Path(shutil.copytree(base.folder, memory / f"{point}")))
        assert kill_at(lambda: lay(killed), killed.folder, point, moment), call  # noqa: B023
        recover_all(killed.context(killed.later))
        assert holds(killed), call
        lay(killed)
        assert kinds(killed) == ["promoted", "promoted", "tombstoned"]
        assert holds(killed), call
