"""The table of docs/evidence.md, "What `verify` finds": each cell is tried on a registry with signed history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lynxgate.adapters.dsse import DsseSigner, DsseVerifier
from lynxgate.audit.verify import audit
from lynxgate.promotion.promote import promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.events import Event, Head, Kind
from lynxgate.registry.layout import tombstone_key
from lynxgate.registry.tombstone import Tombstone
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document
from tests.promotion.workshop import DEV, Candidate, Workshop, with_documents
from tests.registry.test_evidence import make_key

DOCS = Path(__file__).parents[2] / "docs" / "evidence.md"
MODEL = "verbs"
WAYS = ("from the records", "with MLflow", "with `--public-key`", "with `--expect-head`")


@dataclass(frozen=True)
class Scene:
    """A signed history: v0.0.1 to v0.1.0, the first tombstoned, v0.2.0, v0.3.0, rolled back and tombstoned."""

    workshop: Workshop
    private: Path
    public: Path
    head: Head
    copy: Path  # of the registry, before v0.3.0

    @property
    def root(self) -> Path:
        return self.workshop.folder / "registry"

    def candidate(self, name: str) -> Candidate:
        found = self.workshop.candidate(name)
        baseline = json.loads(found.baseline)
        baseline["policy"]["registered_model"] = f"models:/{MODEL}"
        return with_documents(found, baseline=json.dumps(baseline).encode())

    def events(self) -> list[Event]:
        return [parse_document(line, Event, where="index") for line in self.workshop.store.lines()]

    def write(self, events: list[Event]) -> None:
        (self.root / "index.jsonl").write_bytes(b"".join(event.line() + b"\n" for event in events))

    def edit(self, key: str, old: str, new: str) -> None:
        path = self.root / key
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def scene(workshop: Workshop, tmp_path: Path) -> Scene:
    """The history, made by the gate with a key."""
    private, public = make_key(tmp_path)
    made = Scene(workshop, private, public, Head(1, "0" * 64), tmp_path / "copy")
    context = replace(workshop.context(), signer=DsseSigner(private))
    for name, semver in (("x", "v0.0.1"), ("a", "v0.1.0"), ("b", "v0.2.0"), ("c", "v0.3.0")):
        if name == "c":
            shutil.copytree(made.root, made.copy)
        promote(made.candidate(name).request(semver), context, workshop.tracking, DEV)
        if name == "a":
            tombstone(made.candidate("x").sha, "leaks names", context, DEV)
    roll_back("v0.2.0", context, DEV)
    tombstone(made.candidate("c").sha, "withdrawn", context, DEV)
    return replace(made, head=made.events()[-1].head)


def link(event: Event, before: Event) -> Event:
    """The event after ``before``, as a person without the key has to write it."""
    return event.model_copy(update={"number": before.number + 1, "previous": before.head.sha, "signature": None})


def remove_the_last_events(scene: Scene) -> None:
    events = scene.events()
    assert events[-1].kind is Kind.TOMBSTONED
    scene.write(events[:-1])
    (scene.root / tombstone_key(scene.candidate("c").sha)).unlink()


def undo_a_record(scene: Scene) -> None:
    scene.edit("journal/v0.3.0.json", '"promoted"', '"rolled-back"')
    tags = json.loads((scene.root / "tags.json").read_text())
    del tags["semver"]["v0.3.0"]
    (scene.root / "tags.json").write_text(json.dumps(tags, indent=2) + "\n")
    scene.workshop.tracking._tag(scene.candidate("c").run_id, "lynxgate.semver.v0.3.0").unlink()


def change_the_model(scene: Scene) -> None:
    scene.edit("journal/v0.1.0.json", f'"registered_model": "{MODEL}"', '"registered_model": "other"')


def invent_a_rollback(scene: Scene) -> None:
    events = scene.events()
    facts = {"kind": Kind.ROLLED_BACK, "semver": "v0.1.0", "production_before": "v0.2.0", "reason": None}
    invented = link(events[-1], events[-1]).model_copy(update={**facts, "canonical_sha": scene.candidate("a").sha})
    scene.write([*events, invented])
    scene.edit("tags.json", '"production": "v0.2.0"', '"production": "v0.1.0"')
    scene.workshop.tracking.set_alias(MODEL, scene.candidate("a").run_id, {})


def relabel(scene: Scene) -> None:
    scene.edit("registry.json", '"dev"', '"production"')


def rewrite_the_history(scene: Scene) -> None:
    """Without the first tombstone; every later event, record and tombstone is written again to fit."""
    *events, removed = scene.events()[:3]
    assert removed.kind is Kind.TOMBSTONED
    (scene.root / tombstone_key(removed.canonical_sha)).unlink()
    for event in scene.events()[3:]:
        now = link(event, events[-1])
        events.append(now)
        if now.kind is Kind.TOMBSTONED:
            path = scene.root / tombstone_key(now.canonical_sha)
            stone = parse_document(path.read_bytes(), Tombstone, where="tombstone")
            path.write_bytes(stone.with_changes(event=now.to_tree()).to_bytes())
        elif now.kind is Kind.PROMOTED:
            versioned = scene.workshop.context().journal.read(now.semver or "")
            assert versioned is not None
            path = scene.root / f"journal/{now.semver}.json"
            path.write_bytes(versioned.record.with_changes(event=now.to_tree()).to_bytes())
    scene.write(events)


def put_an_old_copy_back(scene: Scene) -> None:
    shutil.rmtree(scene.root)
    shutil.copytree(scene.copy, scene.root)


def unmake_a_promotion(scene: Scene) -> None:
    """The record looks as after an attempt that was undone, which may leave a tag."""
    events = scene.events()
    at = next(place for place, event in enumerate(events) if event.semver == "v0.3.0")
    scene.write(events[:at])
    (scene.root / tombstone_key(scene.candidate("c").sha)).unlink()
    versioned = scene.workshop.context().journal.read("v0.3.0")
    assert versioned is not None
    undone = versioned.record.with_changes(state="rolled-back", event=None)
    (scene.root / "journal/v0.3.0.json").write_bytes(undone.to_bytes())
    tags = json.loads((scene.root / "tags.json").read_text())
    del tags["semver"]["v0.3.0"]
    (scene.root / "tags.json").write_text(json.dumps(tags, indent=2) + "\n")


def remove_a_tag(scene: Scene) -> None:
    scene.workshop.tracking._tag(scene.candidate("b").run_id, "lynxgate.semver.v0.2.0").unlink()


def tag_another_run(scene: Scene) -> None:
    run = scene.candidate("y").run_id
    scene.workshop.tracking.set_tag(run, "lynxgate.semver.v0.2.0", scene.candidate("b").sha)


def tag_a_run_twice(scene: Scene) -> None:
    run, sha = scene.candidate("b").run_id, scene.candidate("b").sha
    scene.workshop.tracking.set_tag(run, "lynxgate.semver.v9.0.0", sha)


def move_the_alias(scene: Scene) -> None:
    scene.workshop.tracking.set_alias(MODEL, scene.candidate("a").run_id, {})


def roll_back_with_the_key(scene: Scene) -> None:
    roll_back("v0.1.0", replace(scene.workshop.context(), signer=DsseSigner(scene.private)), DEV)


ATTACKS: dict[str, Callable[[Scene], None]] = {
    "removes the last events, and what they were about": remove_the_last_events,
    "sets a promoted record to `rolled-back` and removes its tags": undo_a_record,
    "changes `registered_model` in a record": change_the_model,
    "adds a rollback and moves `tags.json` and the alias": invent_a_rollback,
    "relabels a dev registry as production": relabel,
    "removes an event from the middle and writes all later documents again to fit": rewrite_the_history,
    "puts the whole registry back as it was before a promotion": put_an_old_copy_back,
    "removes a promotion and everything after it, and leaves its record as `rolled-back`": unmake_a_promotion,
    "removes or changes the tag of a promotion": remove_a_tag,
    "sets a tag on another run": tag_another_run,
    "sets a second tag on a promoted run": tag_a_run_twice,
    "moves the alias of a registered model": move_the_alias,
    "signs an event": roll_back_with_the_key,
}


def read_table() -> dict[str, dict[str, bool]]:
    """The attacks of the page, and for each way of verifying whether the page claims that it is found."""
    found = {}
    for row in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 6 and cells[1] in ATTACKS:
            assert set(cells[2:]) <= {"found", "-"}, row
            found[cells[1]] = dict(zip(WAYS, (cell == "found" for cell in cells[2:]), strict=True))
    return found


def test_the_page_has_every_attack_and_way() -> None:
    assert list(read_table()) == list(ATTACKS)
    assert f"| a person with | who | {' | '.join(WAYS)} |" in DOCS.read_text()


def verify_in_every_way(scene: Scene) -> dict[str, bool]:
    store, tracking, verifier = scene.workshop.store, scene.workshop.tracking, DsseVerifier(scene.public)
    results = (
        audit(store, None),
        audit(store, tracking),
        audit(store, None, [verifier]),
        audit(store, None, expected_head=scene.head),
    )
    return dict(zip(WAYS, (bool(result.findings) for result in results), strict=True))


@pytest.mark.slow
def test_nothing_is_found_in_the_history_itself(scene: Scene) -> None:
    assert verify_in_every_way(scene) == dict.fromkeys(WAYS, False)
    assert audit(scene.workshop.store, None).head == scene.head
    assert digest_bytes(list(scene.workshop.store.lines())[-1]) == scene.head.sha


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.slow
def test_each_cell_is_as_the_page_claims(scene: Scene, attack: str) -> None:
    ATTACKS[attack](scene)
    assert verify_in_every_way(scene) == read_table()[attack]
