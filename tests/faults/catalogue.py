"""What can happen to one call of a promotion that touches the outside, and the cases that follow from it.

- A call is known by its number in a dry run of the same promotion, so the catalogue cannot forget one.
- `Fault` is what the table's columns are; every bench says what each means at its own calls.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What happens to one call."""

    KILL_BEFORE = "kill -9 before"
    KILL_AFTER = "kill -9 after"
    ERROR_BEFORE = "error before"
    ERROR_AFTER = "error after applying"
    HANG = "hang past the limit"
    LOST = "response lost"
    GONE = "lost, and all later calls fail"


KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)


@dataclass(frozen=True)
class Call:
    """One call of the dry run: where it goes, its number there from 0, and what it is, as ``fsync tags.json``."""

    place: str
    point: int
    name: str

    @property
    def kind(self) -> str:
        """What the table groups by."""
        return self.name.split(" ", 1)[0] if self.place == "directory" else self.name


@dataclass(frozen=True)
class Case:
    """One call and what happens to it."""

    call: Call
    fault: Fault


class Extent(Enum):
    """How many of the cases are run."""

    ALL = "all"
    PAIRS = "pairs"  # each kind of call with each fault, once
    KINDS = "kinds"  # each kind of call once, and each fault at least once


def choose_cases(calls: Iterable[Call], extent: Extent, seed: int) -> list[Case]:
    """Return the cases of that extent, always the same for the same calls and seed."""
    known = list(calls)
    if extent is Extent.ALL:
        return [Case(call, fault) for call in known for fault in Fault]
    chooser = random.Random(seed)
    kinds: dict[tuple[str, str], list[Call]] = {}
    for call in known:
        kinds.setdefault((call.place, call.kind), []).append(call)
    groups, faults = list(kinds.values()), list(Fault)
    if extent is Extent.PAIRS:
        return [Case(chooser.choice(group), fault) for group in groups for fault in faults]
    chooser.shuffle(groups)
    chooser.shuffle(faults)
    turns = range(max(len(groups), len(faults)))
    return [Case(chooser.choice(groups[turn % len(groups)]), faults[turn % len(faults)]) for turn in turns]
