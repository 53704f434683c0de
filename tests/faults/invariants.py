"""What must hold whatever happens to a promotion, each as one function over the story of a registry.

A story is a series of looks at a registry and MLflow, each after one attempt (or none). The looks are taken from raw
bytes with the JSON module: these functions share no parsing with what they judge. Each yields what is wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from lynxgate.ports import RegistryStore, RunTags
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.resolve import find_production

KILLED = -9
BUG = 1


@dataclass(frozen=True)
class Attempt:
    """A promotion that was tried: its exit code (`KILLED`), its words, and the codes it may have ended with."""

    semver: str
    exit: int
    said: str
    allowed: frozenset[int] = frozenset({0, 3, 4, 5, 6, KILLED})


@dataclass(frozen=True)
class Look:
    """A registry at one moment, after ``attempt``; ``now`` is the clock that the attempt went by.

    ``polled`` is what a reader resolved again and again while the attempt ran; ``may_be`` is what production may
    be by now. ``ended`` says that everything that was left has been recovered.
    """

    production: str | None
    tags: Mapping[str, Any]
    records: Mapping[str, Mapping[str, Any]]
    lines: tuple[bytes, ...]
    entries: Mapping[str, bytes]
    carried: Mapping[str, str | None]
    now: datetime
    may_be: frozenset[str | None]
    attempt: Attempt | None = None
    polled: tuple[str | None, ...] = ()
    ended: bool = False
    origin: str = "0" * 64  # the SHA-256 of `registry.json`, which the first event names


Story = Sequence[Look]
Invariant = Callable[[Story], Iterator[str]]


def take_look(
    store: RegistryStore,
    tracking: RunTags,
    may_be: frozenset[str | None],
    *,
    attempt: Attempt | None = None,
    polled: tuple[str | None, ...] = (),
    ended: bool = False,
) -> Look:
    """Read everything there is."""
    records = {key.removeprefix("journal/").removesuffix(".json"): _tree(store, key) for key in store.keys("journal/")}
    tags = _tree(store, "tags.json")
    return Look(
        production=find_production(store),
        tags=tags,
        records=records,
        lines=tuple(store.lines()),
        entries={key: _bytes(store, key) for key in store.keys("entries/")},
        carried={
            semver: tracking.read_tag(records[semver]["mlflow_run_id"], tag_key(semver))
            for semver in {*records, *tags.get("semver", {})}
            if semver in records
        },
        now=store.now(),
        may_be=may_be,
        attempt=attempt,
        polled=polled,
        ended=ended,
        origin=hashlib.sha256(_bytes(store, "registry.json")).hexdigest(),
    )


def semver_names_one_sha(story: Story) -> Iterator[str]:
    """In records, tags and events, early and late, a semver never points to two SHAs."""
    named: dict[str, str] = {}
    for look in story:
        events = [(event["semver"], event["canonical_sha"]) for event in _events(look) if event.get("semver")]
        records = [(semver, record["canonical_sha"]) for semver, record in look.records.items()]
        for semver, sha in [*look.tags.get("semver", {}).items(), *records, *events]:
            if named.setdefault(semver, sha) != sha:
                yield f"{semver} is {named[semver][:8]} and {sha[:8]}"


def live_owner_is_left_alone(story: Story) -> Iterator[str]:
    """A record whose lease was running by the clock of whoever acted is still its owner's."""
    for before, after in pairwise(story):
        for semver, record in before.records.items():
            alive = is_unfinished(record) and after.now < datetime.fromisoformat(record["deadline"])
            if alive and after.records.get(semver, {}).get("owner") != record["owner"]:
                yield f"{semver} was taken from {record['owner']}, who had it until {record['deadline']}"


def tags_are_carried_or_explained(story: Story) -> Iterator[str]:
    """`tags.json` names only what MLflow carries, or what its record says is pending or in doubt."""
    for look in story:
        for semver, sha in look.tags.get("semver", {}).items():
            record = look.records.get(semver)
            if record is None:
                yield f"tags.json names {semver}, which has no record"
            elif look.carried.get(semver) != sha and record["state"] not in ("pending", "in-doubt"):
                yield f"tags.json names {semver}, MLflow has {look.carried.get(semver)}, record {record['state']}"


def index_holds_each_promotion_once(story: Story) -> Iterator[str]:
    """Events are numbered without a gap, each carries the hash of the one before, no semver is promoted twice."""
    for look in story:
        previous, promoted = look.origin, set()
        for number, (line, event) in enumerate(zip(look.lines, _events(look), strict=True), 1):
            if event["number"] != number:
                yield f"line {number} has the number {event['number']}"
            if event["previous"] != previous:
                yield f"the chain breaks at event {number}"
            if event["kind"] == "promoted" and event["semver"] in promoted:
                yield f"{event['semver']} is promoted twice"
            if event["kind"] == "promoted":
                promoted.add(event["semver"])
            previous = hashlib.sha256(line).hexdigest()


def index_only_grows(story: Story) -> Iterator[str]:
    """What an event said once, it says for ever."""
    for before, after in pairwise(story):
        if after.lines[: len(before.lines)] != before.lines:
            yield f"{len(before.lines)} events became others"


def entries_never_change(story: Story) -> Iterator[str]:
    """Manifest and evidence hash to their names, and are never changed nor lost."""
    for look in story:
        for key, data in look.entries.items():
            parts = key.split("/")
            name = parts[1] if parts[-1] == "manifest.json" else parts[-1].removesuffix(".json")
            if hashlib.sha256(data).hexdigest() != name:
                yield f"{key} hashes to something else"
    for before, after in pairwise(story):
        for key, data in before.entries.items():
            if after.entries.get(key) != data:
                yield f"{key} was changed"


def reader_sees_old_or_new(story: Story) -> Iterator[str]:
    """At every moment production resolves to a version it may be, committed, and whole."""
    for look in story:
        for production in dict.fromkeys((*look.polled, look.production)):
            if production not in look.may_be:
                yield f"a reader sees {production}, and it may be {sorted(map(str, look.may_be))}"
        if (semver := look.production) is not None:
            record = look.records.get(semver)
            if record is None or not (record["state"] == "promoted" or record.get("event")):
                yield f"a reader sees {semver}, which is not committed"
                continue
            sha = record["canonical_sha"]
            for key in (f"entries/{sha}/manifest.json", f"entries/{sha}/evidence/{record['evidence']}.json"):
                if key not in look.entries:
                    yield f"a reader sees {semver} without {key}"


def production_never_goes_backwards(story: Story) -> Iterator[str]:
    """Each production a reader ever resolved is at least the one before; nothing of this file rolls back."""
    resolved = [production for look in story for production in (*look.polled, look.production)]
    for before, after in pairwise(resolved):
        if _order(after) < _order(before):
            yield f"production went from {before} to {after}"


def doubt_blocks_no_other(story: Story) -> Iterator[str]:
    """Where no lease is running, a version that nothing was begun for can be promoted."""
    for before, after in pairwise(story):
        attempt = after.attempt
        if attempt is None or attempt.semver in before.records or attempt.exit == KILLED:
            continue
        unfinished = [record for record in before.records.values() if is_unfinished(record)]
        in_doubt = [semver for semver, record in before.records.items() if record["state"] == "in-doubt"]
        leases_over = all(datetime.fromisoformat(record["deadline"]) <= after.now for record in unfinished)
        if leases_over and (in_doubt or unfinished) and attempt.exit not in attempt.allowed:
            yield f"{attempt.semver} was blocked by what was left: {attempt.said}"


def attempts_end_as_they_may(story: Story) -> Iterator[str]:
    """An attempt ends with a code it may have, never with a bug, and is not silent about a failure."""
    for look in story:
        attempt = look.attempt
        if attempt is None:
            continue
        if attempt.exit == BUG or attempt.exit not in attempt.allowed:
            yield f"{attempt.semver} ended with {attempt.exit}: {attempt.said}"
        if attempt.exit not in (0, KILLED) and len(attempt.said) < 10:
            yield f"{attempt.semver} ended with {attempt.exit} and said {attempt.said!r}"


def words_are_true(story: Story) -> Iterator[str]:
    """Who was told of success finds it; who was told that it is not promoted does not."""
    for look in story:
        attempt = look.attempt
        if attempt is None:
            continue
        record = look.records.get(attempt.semver, {})
        committed = record.get("state") == "promoted" or bool(record.get("event"))
        if attempt.exit == 0 and not (committed and attempt.semver in look.tags.get("semver", {})):
            yield f"{attempt.semver} was called promoted, and is not"
        if "is not promoted; production is" in attempt.said and committed:
            yield f"{attempt.semver} was called not promoted, and is"


def nothing_is_left_unfinished(story: Story) -> Iterator[str]:
    """After recovery no record is pending, and every promoted one has its event."""
    for look in story:
        if not look.ended:
            continue
        told = {event["semver"] for event in _events(look) if event["kind"] == "promoted"}
        for semver, record in look.records.items():
            if is_unfinished(record):
                yield f"{semver} is still {record['state']}"
            if (record["state"] == "promoted") != (semver in told):
                yield f"{semver} is {record['state']} and {'has an' if semver in told else 'has no'} event"


ALL: tuple[Invariant, ...] = (
    semver_names_one_sha,
    live_owner_is_left_alone,
    tags_are_carried_or_explained,
    index_holds_each_promotion_once,
    index_only_grows,
    entries_never_change,
    reader_sees_old_or_new,
    production_never_goes_backwards,
    doubt_blocks_no_other,
    attempts_end_as_they_may,
    words_are_true,
    nothing_is_left_unfinished,
)


def check(story: Story) -> list[str]:
    """Everything that is wrong, each with the name of the invariant it breaks."""
    return [f"{invariant.__name__}: {wrong}" for invariant in ALL for wrong in invariant(story)]


def is_unfinished(record: Mapping[str, Any]) -> bool:
    """Whether something was begun on a record that is not ended."""
    return record["state"] == "pending" or bool(record.get("rollback"))


def _events(look: Look) -> list[dict[str, Any]]:
    return [json.loads(line) for line in look.lines]


def _order(semver: str | None) -> tuple[int, ...]:
    return () if semver is None else tuple(int(part) for part in semver.removeprefix("v").split("."))


def _tree(store: RegistryStore, key: str) -> dict[str, Any]:
    data = _bytes(store, key)
    tree: dict[str, Any] = json.loads(data) if data else {}
    return tree


def _bytes(store: RegistryStore, key: str) -> bytes:
    stored = store.read(key)
    return b"" if stored is None else stored.data
