"""One case: strike a promotion with a fault, then let a reader, a rerun and others meet what it left.

After the fault, each on a copy of what it left: a reader looks; the same promotion is run again after the lease;
another one is promoted after the lease; the same one is run again while the lease may still run; another SHA asks for
the semver. Then everything is recovered, audited, and every invariant is checked over the whole story.

Many faults leave the same behind but for owners' names and the time. Each such state is followed once: what comes
after is a function of it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lynxgate.audit.verify import audit
from lynxgate.ports import RegistryStore, Tracking
from lynxgate.promotion.recovery import recover_all
from tests.faults import invariants
from tests.faults.catalogue import Call, Case, Fault
from tests.faults.invariants import Attempt, Look, take_look
from tests.faults.scene import NEW, OLD, OTHER, Cast, Try
from tests.promotion.workshop import leave_out_others, open_context

_CHANGING = re.compile(r'("(?:owner|at|previous|_comment)": ?)"[^"]*"')
_DEADLINE = re.compile(r'"deadline": ?"([^"]+)"')


class Paused(Protocol):
    """An owner that sleeps in the middle of a call."""

    def wake(self) -> Attempt:
        """Let it go on to its end."""
        ...


class Bench(Protocol):
    """A registry and a tracking server whose calls can be made to fail."""

    name: str
    cast: Cast
    first: bool
    store: RegistryStore
    later: RegistryStore
    tracking: Tracking

    def calls(self) -> list[Call]:
        """The calls of the promotion, by a dry run."""
        ...

    def save(self) -> Any:
        """Everything in the registry and the tracking server."""
        ...

    def restore(self, saved: Any) -> None:
        """Make it so again."""
        ...

    def strike(self, point: int, fault: Fault) -> tuple[Attempt, tuple[str | None, ...]]:
        """Run the promotion with the fault at that call; how it ended, and what a reader resolved meanwhile."""
        ...

    def pause(self, point: int) -> Paused | None:
        """Run the promotion until it sleeps in that call; `None` where the bench bounds a hang itself."""
        ...


@dataclass
class Result:
    """What became of one case."""

    case: Case
    new: bool = False
    known: bool = False
    attempts: Counter[int] = field(default_factory=Counter)
    checks: int = 0
    wrong: list[str] = field(default_factory=list)
    fault_exit: int = 0


def run_case(bench: Bench, base: Any, case: Case, met: set[str]) -> Result:
    """Run one case; ``met`` are the states that were followed already, and gets this one's."""
    result = Result(case)
    if case.fault is Fault.HANG:
        bench.restore(base)
        paused = bench.pause(case.call.point)
        if paused is not None:
            _meet_paused(bench, base, case, result, paused)
            return result
    _meet_struck(bench, base, case, result, met)
    return result


def plain_state(saved: Any, now: datetime) -> str:
    """What was saved, without the names of owners, the time, and the hashes over them."""
    text = _CHANGING.sub(r"\1*", repr(saved))
    return _DEADLINE.sub(lambda found: "alive" if now < datetime.fromisoformat(found[1]) else "over", text)


def _meet_struck(bench: Bench, base: Any, case: Case, result: Result, met: set[str]) -> None:
    bench.restore(base)
    old = None if bench.first else OLD
    before = take_look(bench.store, bench.tracking, frozenset({old}))
    attempt, polled = bench.strike(case.call.point, case.fault)
    result.fault_exit = attempt.exit
    struck = take_look(bench.store, bench.tracking, frozenset({old, NEW}), attempt=attempt, polled=polled)
    result.new = struck.production == NEW
    left = bench.save()
    state = plain_state(left, bench.store.now())
    result.known = state in met
    met.add(state)
    if result.known:
        _judge(result, [before, struck])
        return
    for follow in (_rerun, _promote_other, _rerun_at_once, _claim_with_other_sha, _only_recover):
        bench.restore(left)
        follow(bench, result, [before, struck])


def _rerun(bench: Bench, result: Result, story: list[Look]) -> None:
    _go_on(bench, result, story, attempt=Try(bench.cast.next, NEW), allowed=frozenset({0}), store=bench.later)
    # And once more: it is promoted already, and nothing is written.
    left = bench.save()
    attempt = Try(bench.cast.next, NEW).run(bench.store, bench.tracking, frozenset({0}))
    result.attempts[attempt.exit] += 1
    if attempt.exit != 0 or bench.save() != left:
        result.wrong.append(f"promoted already, and run again it wrote or failed: {attempt.said}")


def _promote_other(bench: Bench, result: Result, story: list[Look]) -> None:
    _go_on(bench, result, story, attempt=Try(bench.cast.other, OTHER), allowed=frozenset({0}), store=bench.later)


def _rerun_at_once(bench: Bench, result: Result, story: list[Look]) -> None:
    _go_on(bench, result, story, attempt=Try(bench.cast.next, NEW), allowed=frozenset({0, 6}), store=bench.store)


def _claim_with_other_sha(bench: Bench, result: Result, story: list[Look]) -> None:
    claimed = NEW in story[-1].records
    _go_on(
        bench,
        result,
        story,
        attempt=Try(bench.cast.other, NEW),
        allowed=frozenset({6} if claimed else {0}),
        store=bench.later,
    )


def _only_recover(bench: Bench, result: Result, story: list[Look]) -> None:
    _recover(bench, result, story)


def _go_on(
    bench: Bench, result: Result, story: list[Look], *, attempt: Try, allowed: frozenset[int], store: RegistryStore
) -> None:
    ended = attempt.run(store, bench.tracking, allowed)
    result.attempts[ended.exit] += 1
    may_be = story[-1].may_be | {attempt.semver}
    _recover(bench, result, [*story, take_look(store, bench.tracking, may_be, attempt=ended)])


def _recover(bench: Bench, result: Result, story: list[Look]) -> None:
    recover_all(open_context(bench.later, bench.tracking))
    story = [*story, take_look(bench.later, bench.tracking, story[-1].may_be, ended=True)]
    _judge(result, story)
    result.checks += 1
    # Other tests may use the tracking server too; the tags on the bench's own runs must be right.
    runs = (bench.cast.first.run_id, bench.cast.next.run_id, bench.cast.other.run_id)
    findings = leave_out_others(audit(bench.later, bench.tracking).findings, *runs)
    result.wrong += [f"audit: {found.place}: {found.problem}" for found in findings]


def _judge(result: Result, story: list[Look]) -> None:
    result.checks += len(invariants.ALL) * len(story)
    result.wrong += invariants.check(story)


def _meet_paused(bench: Bench, base: Any, case: Case, result: Result, paused: Paused) -> None:
    """Others find the owner asleep past its deadline; then it wakes, and goes on."""
    meetings: list[tuple[Try, RegistryStore, frozenset[int]]] = [
        (Try(bench.cast.next, NEW), bench.later, frozenset({0})),
        (Try(bench.cast.other, OTHER), bench.later, frozenset({0})),
        (Try(bench.cast.next, NEW), bench.store, frozenset({0, 6})),
    ]
    for number, (attempt, store, allowed) in enumerate(meetings):
        sleeping: Paused | None = paused
        if number:
            bench.restore(base)
            sleeping = bench.pause(case.call.point)
        assert sleeping is not None
        old = None if bench.first else OLD
        story = [take_look(bench.store, bench.tracking, frozenset({old, NEW}))]
        may_be = frozenset({old, NEW, attempt.semver})
        met = attempt.run(store, bench.tracking)
        result.attempts[met.exit] += 1
        # An owner that was stopped while it held the lock of a directory keeps everybody out, and they are told so.
        locked = "held the lock" in met.said
        met = Attempt(met.semver, met.exit, met.said, frozenset({5}) if locked else allowed)
        story.append(take_look(store, bench.tracking, may_be, attempt=met))
        woken = sleeping.wake()
        result.fault_exit = woken.exit
        story.append(take_look(bench.later, bench.tracking, may_be, attempt=woken))
        result.new = story[-1].production == NEW
        if locked:
            again = attempt.run(store, bench.tracking, frozenset({0}) | (allowed & {6}))
            result.attempts[again.exit] += 1
            story.append(take_look(store, bench.tracking, may_be, attempt=again))
        _recover(bench, result, story)
