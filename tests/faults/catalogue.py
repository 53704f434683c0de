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


def all_cases(calls: Iterable[Call]) -> list[Case]:
    """Each call with each fault."""
    return [Case(call, fault) for call in calls for fault in Fault]


def sample_cases(calls: Iterable[Call], size: int, seed: int) -> list[Case]:
    """The same ``size`` cases for the same calls and seed, every fault among them as often as every other."""
    chooser = random.Random(seed)
    known = list(calls)
    by_fault = [[Case(call, fault) for call in chooser.sample(known, len(known))] for fault in Fault]
    turns = [case for turn in zip(*by_fault, strict=True) for case in turn]
    return turns[:size]
