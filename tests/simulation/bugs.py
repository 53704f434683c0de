"""Bugs that the simulator must find: each is one rule of the protocol left out, in a copy of the code or in the store.

They are planted through `World`: no bug is ever in the code that other tests run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.run_tag import TagAnswer, TagState, read_tag_state
from lynxgate.promotion.steps import take_over, undo
from lynxgate.registry.compare_and_swap import change_tags
from lynxgate.registry.layout import TAGS_KEY
from lynxgate.registry.record import Record, State, VersionedRecord
from tests.simulation.handles import Weather
from tests.simulation.memory import MemoryStore
from tests.simulation.world import World

# Servers that lose most replies about tags, and processes that sleep before they swap: where rules that are left out
# show soonest. Any change of the code under test gives every seed another run: `Bug.within` is ten times what it took,
# or more.
STORM = Weather(tracking_fault=0.6, pause=0.05, sleep=0.4)


@dataclass(frozen=True)
class Bug:
    """A bug, and the number of seeds from 1 on within which the simulator finds it."""

    name: str
    within: int
    replacements: Mapping[Any, Any] = field(default_factory=dict)
    store: type[MemoryStore] = MemoryStore

    def plant(self, seed: int) -> World:
        """The world of a seed with the bug in it."""
        return World(seed, dict(self.replacements), self.store, weather=STORM)


class LastWriterWins(MemoryStore):
    """A store that ignores which version of `tags.json` a swap expects."""

    def replace(self, key: str, data: bytes, expected: str) -> str:
        found = self.read(key)
        return super().replace(key, data, found.version if found and key == TAGS_KEY else expected)


class AppendsAnywhere(MemoryStore):
    """A store whose index takes an event under a number that is taken."""

    def append(self, number: int, line: bytes) -> None:
        del number
        super().append(len(list(self.lines())) + 1, line)


def take_over_without_a_fence(context: PromotionContext, versioned: VersionedRecord) -> VersionedRecord:
    """Make a record ours, and leave `tags.json` to what its former owner may still have in hand."""
    return context.journal.take_over(versioned)


def undo_without_a_guard(
    context: PromotionContext, versioned: VersionedRecord, state: State, note: str
) -> VersionedRecord:
    """Change `tags.json` back without checking that the record is still ours."""
    record = versioned.record
    change_tags(
        context.store,
        context.journal.owner,
        lambda tags: tags.without_version(record.semver, record.production_before),
        lambda: None,
    )
    return context.journal.advance(versioned, state=state, note=note)


def believe_the_silent(context: PromotionContext, record: Record) -> TagAnswer:
    """Take the tag for set where MLflow does not answer."""
    answer = read_tag_state(context, record)
    return TagAnswer(TagState.PRESENT) if answer.state is TagState.UNKNOWN else answer


BUGS = (
    Bug("a store without compare-and-swap on tags.json", 100, store=LastWriterWins),
    Bug("an index that takes a number twice", 50, store=AppendsAnywhere),
    Bug("a takeover that does not rewrite tags.json", 400, {take_over: take_over_without_a_fence}),
    Bug("an undo that does not check the record", 400, {undo: undo_without_a_guard}),
    Bug("a silent tracking server taken for a yes", 100, {read_tag_state: believe_the_silent}),
)
