"""A model of the promotion protocol, small enough to explore every interleaving of two owners and a reader.

One semver, one SHA. Each owner runs `promote`: claim or take over the record, point `tags.json`, set MLflow's tag,
commit, append the event, close. Any lease may be over at any moment (an owner may sleep for ever between two steps,
or die there: a state in which it never moves again is also explored), any answer of MLflow may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

PENDING, PROMOTED, ROLLED_BACK, IN_DOUBT = "pending", "promoted", "rolled-back", "in-doubt"


@dataclass(frozen=True)
class Shared:
    """What is outside the owners; a version changes with each write."""

    record: str | None = None
    committed: bool = False
    record_version: int = 0
    in_tags: bool = False
    tags_version: int = 0
    tag: bool = False
    events: int = 0  # the event's number is reserved in the record, so there is at most one

    @property
    def new(self) -> bool:
        """What a reader resolves: the new state, or the old."""
        return self.in_tags and self.committed


@dataclass(frozen=True)
class Owner:
    """Where an owner is: the step it takes next, the versions it holds, and the ending it is undoing towards."""

    step: str = "start"
    record_version: int = 0
    tags_version: int = 0
    then: str = ""

    def go(self, step: str, **changes: object) -> Owner:
        return replace(self, step=step, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Protocol:
    """The rules; leaving one out must show as a violation, or the model proves nothing."""

    guard: bool = True  # the record is checked between reading tags.json and swapping it
    fence: bool = True  # whoever takes over rewrites tags.json

    def moves(self, world: Shared, me: Owner) -> Iterator[tuple[Shared, Owner]]:
        """Every way the next step of one owner can go."""
        match me.step:
            case "start":
                yield from self._start(world, me)
            case "read tags" | "fence: read tags" | "undo: read tags":
                yield world, me.go(me.step.replace("read tags", "guard"), tags_version=world.tags_version)
            case "guard" | "fence: guard" | "undo: guard":
                ours = world.record_version == me.record_version or not self.guard
                yield world, me.go(me.step.replace("guard", "swap tags")) if ours else me.go("stopped")
            case "swap tags" | "fence: swap tags" | "undo: swap tags":
                yield self._swap_tags(world, me)
            case "set tag":
                yield replace(world, tag=True), me.go("look")
                yield world, me.go("look")
            case "look" | "fence: look":
                yield from self._look(world, me)
            case "commit":
                yield self._swap_record(world, me, "append", record=PENDING, committed=True)
            case "append":
                # A number is created once, and its event is a function of the record: writing it again changes nothing.
                yield replace(world, events=1), me.go("close")
            case "close":
                yield self._swap_record(world, me, "done", record=PROMOTED, committed=True)
            case "undo: close":
                yield self._swap_record(world, me, "stopped", record=me.then, committed=False)

    def _start(self, world: Shared, me: Owner) -> Iterator[tuple[Shared, Owner]]:
        if world.record in (None, ROLLED_BACK, IN_DOUBT):
            yield self._swap_record(
                world, me.go("start", record_version=world.record_version), "read tags", record=PENDING
            )
        elif world.record == PENDING:
            yield world, me.go("stopped")  # its owner is alive
            after = "fence: read tags" if self.fence else "fence: look"
            holding = me.go("start", record_version=world.record_version)
            yield self._swap_record(world, holding, after, record=PENDING, committed=world.committed)
        else:
            yield world, me.go("done")

    def _swap_record(
        self, world: Shared, me: Owner, step: str, *, record: str, committed: bool = False
    ) -> tuple[Shared, Owner]:
        if world.record_version != me.record_version:
            return world, me.go("stopped")
        version = world.record_version + 1
        after = replace(world, record=record, committed=committed, record_version=version)
        return after, me.go(step, record_version=version)

    @staticmethod
    def _swap_tags(world: Shared, me: Owner) -> tuple[Shared, Owner]:
        kind = me.step.removesuffix("swap tags")
        if world.tags_version != me.tags_version:
            return world, me.go(f"{kind}read tags")
        in_tags = {"": True, "undo: ": False, "fence: ": world.in_tags}[kind]
        after = {"": "set tag", "undo: ": "undo: close", "fence: ": "fence: look"}[kind]
        return replace(world, in_tags=in_tags, tags_version=world.tags_version + 1), me.go(after)

    @staticmethod
    def _look(world: Shared, me: Owner) -> Iterator[tuple[Shared, Owner]]:
        taken_over = me.step == "fence: look"
        if taken_over and world.committed:
            yield world, me.go("append")
            return
        if world.tag and (world.in_tags or not taken_over):
            yield world, me.go("commit")
        else:
            yield world, me.go("undo: read tags", then=IN_DOUBT if world.tag else ROLLED_BACK)
        yield world, me.go("undo: read tags", then=IN_DOUBT)  # MLflow does not say


def violations(protocol: Protocol, owners: int = 2, depth: int = 60) -> tuple[int, list[str]]:
    """Explore every reachable state; how many there are, and what is wrong in any of them."""
    start = (Shared(), tuple(Owner() for _ in range(owners)))
    seen, pending, wrong = {start}, [(start, 0)], set()
    while pending:
        (world, crew), steps = pending.pop()
        for number, me in enumerate(crew):
            for after, moved in protocol.moves(world, me):
                wrong |= set(_judge(world, after))
                state = (after, (*crew[:number], moved, *crew[number + 1 :]))
                if state not in seen and steps < depth and after.record_version < 9 and after.tags_version < 9:
                    seen.add(state)
                    pending.append((state, steps + 1))
    return len(seen), sorted(wrong)


def _judge(before: Shared, after: Shared) -> Iterator[str]:
    if after.events and not after.committed:
        yield "the index has a promotion that did not happen"
    if before.new and not after.new:
        yield "a reader saw the new state, and then the old one"
    if after.new and not after.tag:
        yield "a reader sees a promotion that MLflow does not carry"
    if after.in_tags and not after.tag and after.record not in (PENDING, IN_DOUBT):
        yield "tags.json names what neither MLflow carries nor a record says is pending"
    if after.in_tags and after.record in (ROLLED_BACK, IN_DOUBT):
        yield "tags.json names a promotion that was rolled back"
    if after.committed and not after.in_tags:
        yield "a promotion is committed that tags.json does not name"
