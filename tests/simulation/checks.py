"""What must hold after each step: the invariants of `tests.faults.invariants`, and what only many processes can break.

- An invariant runs after each step that changed what it reads (`AFTER`), on the look before and the look after.
- Production may only be what it was, or what that one step can have made it: the version whose commit it was, or the
  target of a rollback whose swap of `tags.json` it was. This holds `reader_sees_old_or_new` to "exactly old or new".
- At the end of a seed every invariant runs over a story of about twenty of its looks, and `audit` finds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lynxgate.promotion.run_tag import tag_key
from tests.faults import invariants
from tests.faults.invariants import Attempt, Invariant, Look
from tests.simulation.handles import LEASE_SECONDS
from tests.simulation.memory import MemoryStore, MemoryTracking
from tests.simulation.rewired import Code
from tests.simulation.scheduler import START

AFTER: Mapping[str, tuple[Invariant, ...]] = {
    "journal": (
        invariants.semver_names_one_sha,
        invariants.live_owner_is_left_alone,
        invariants.tags_are_carried_or_explained,
        invariants.reader_sees_old_or_new,
    ),
    "tags.json": (
        invariants.semver_names_one_sha,
        invariants.tags_are_carried_or_explained,
        invariants.reader_sees_old_or_new,
    ),
    "index": (
        invariants.semver_names_one_sha,
        invariants.index_holds_each_promotion_once,
        invariants.index_only_grows,
    ),
    "entries": (invariants.entries_never_change,),
    "attempt": (invariants.attempts_end_as_they_may, invariants.words_are_true),
}
NOT_AT_THE_END = (
    invariants.live_owner_is_left_alone,  # two looks that are not neighbours are by two clocks
    invariants.production_never_goes_backwards,  # a rollback moves it back
    invariants.doubt_blocks_no_other,  # another process may promote the same version meanwhile
)
AT_THE_END = tuple(invariant for invariant in invariants.ALL if invariant not in NOT_AT_THE_END)
LOOKS_AT_THE_END = 20


@dataclass(eq=False)
class Observer:
    """Watches one registry from outside of every process; ``wrong`` is what it found."""

    store: MemoryStore
    tracking: MemoryTracking
    code: Code
    wrong: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    productions: list[tuple[int, str | None]] = field(default_factory=lambda: [(0, None)])
    sealed: dict[str, int] = field(default_factory=dict)
    checks: int = 0

    def __post_init__(self) -> None:
        stored = self.store.read("registry.json")
        self.looks.append(
            Look(
                production=None,
                tags={},
                records={},
                lines=(),
                entries={},
                carried={},
                now=START,
                may_be=frozenset({None}),
                origin=hashlib.sha256(stored.data if stored else b"").hexdigest(),
            )
        )

    @property
    def look(self) -> Look:
        """The registry as it is."""
        return self.looks[-1]

    def see(self, key: str, step: int, now: datetime) -> None:
        """Look at what a step changed; ``now`` is the clock of the process whose step it was."""
        before = self.look
        kind = key.partition("/")[0].partition(" ")[0]
        after = replace(before, now=now, attempt=None, **self._read(kind, key))
        moved = self._find_moved(before, after, key)
        after = replace(
            after,
            carried=self._find_carried(after),
            production=self.code.find_production(self.store),
            may_be=frozenset({before.production, *moved}),
        )
        self.looks.append(after)
        self._check(AFTER.get(kind, ()), [before, after])
        if after.production != before.production:
            self.productions.append((step, after.production))
        self._check_sealed(before, after)

    def see_tracking(self) -> None:
        """Look at the tags of the runs again, which another registry's processes change too."""
        self.looks[-1] = replace(self.look, carried=self._find_carried(self.look))

    def see_end(self, attempt: Attempt, now: datetime) -> None:
        """Look at what an attempt left that has just ended."""
        look = replace(self.look, attempt=attempt, now=now)
        # What a promotion reports is compared with its version; no other command has one.
        self._check(AFTER["attempt"] if attempt.semver.startswith("v") else AFTER["attempt"][:1], [look])

    def see_read(self, production: str | None, first: int) -> None:
        """Compare what a reader resolved since step ``first`` with what was in production since then."""
        before = [name for step, name in self.productions if step < first][-1:]
        since = [name for step, name in self.productions if step >= first]
        self.checks += 1
        if production not in (*before, *since):
            self.wrong.append(f"reader_sees_old_or_new: a reader resolved {production}, and there was {before + since}")

    def see_tombstone(self, sha: str, step: int) -> None:
        """Expect that a bundle is never promoted nor in production from here on."""
        self.sealed.setdefault(sha, step)
        self._check_sealed(self.look, self.look)

    def settle(self, now: datetime) -> None:
        """Check the whole story, when everything is recovered."""
        stride = max(1, len(self.looks) // LOOKS_AT_THE_END)
        # May-be is about one step; over a longer one it is what it was, or what is committed.
        story = [replace(look, may_be=frozenset({look.production})) for look in self.looks[-1::-stride][::-1]]
        self._check(AT_THE_END, [*story, replace(story[-1], now=now, ended=True)])

    def _read(self, kind: str, key: str) -> dict[str, Any]:
        if kind == "index":
            return {"lines": tuple(self.store.lines())}
        stored = self.store.read(key)
        data = b"" if stored is None else stored.data
        match kind:
            case "journal":
                semver = key.removeprefix("journal/").removesuffix(".json")
                return {"records": {**self.look.records, semver: json.loads(data)}}
            case "tags.json":
                return {"tags": json.loads(data)}
            case "entries":
                return {"entries": {**self.look.entries, key: data}}
        return {}

    def _find_carried(self, look: Look) -> dict[str, str | None]:
        return {
            semver: self.tracking.read_tag(record["mlflow_run_id"], tag_key(semver))
            for semver, record in look.records.items()
        }

    @staticmethod
    def _find_moved(before: Look, after: Look, key: str) -> tuple[str, ...]:
        """What production may be by this one step."""
        if key == "tags.json":
            target = after.tags["production"]
            rollback = after.records.get(target, {}).get("rollback") if target else None
            return (target,) if rollback and rollback["production_before"] == before.tags.get("production") else ()
        return tuple(
            semver
            for semver in after.records
            if key == f"journal/{semver}.json" and _is_committed(after, semver) and not _is_committed(before, semver)
        )

    def _check(self, chosen: tuple[Invariant, ...], story: list[Look]) -> None:
        self.checks += len(chosen)
        self.wrong += [f"{invariant.__name__}: {wrong}" for invariant in chosen for wrong in invariant(story)]

    def _check_sealed(self, before: Look, after: Look) -> None:
        for semver, record in after.records.items() if self.sealed else ():
            since = self.sealed.get(record["canonical_sha"])
            if since is None:
                continue
            if _is_committed(after, semver) and not _is_committed(before, semver):
                self.wrong.append(f"tombstones_hold: {semver} is promoted, and tombstoned since step {since}")
            if after.production == semver:
                self.wrong.append(f"tombstones_hold: {semver} is in production, and tombstoned since step {since}")


def _is_committed(look: Look, semver: str) -> bool:
    record = look.records.get(semver, {})
    return record.get("state") == "promoted" or (record.get("state") == "pending" and bool(record.get("event")))


SETTLED_SECONDS = 60 * LEASE_SECONDS  # by then every lease is over, by whatever clock
