"""A process's own handle on the registry and the tracking server: each call is a step, and may fail.

What may happen to a call that changes something (`Fault`), each as a real client sees it:
refused before it; done and the answer lost; lost on its way; delayed, so that it happens later or never and the client
has long been told that the outcome is unknown; duplicated, so that it happens again later; retried below the client,
which gets the second answer. A process may crash before or after any call, or be paused in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from lynxgate.errors import GateError, OutcomeUnknown, StoreFailure
from lynxgate.ports import AliasedVersion, Progress, RunFacts, RunModel, Stored
from lynxgate.registry.layout import TAGS_KEY
from tests.simulation.memory import MemoryStore, MemoryTracking
from tests.simulation.scheduler import Crash, Process, Scheduler

T = TypeVar("T")
LEASE_SECONDS = 60.0


class Fault(StrEnum):
    """What happens to a call."""

    REFUSED = "refused"
    ANSWER_LOST = "done, answer lost"
    REQUEST_LOST = "lost on its way"
    DELAYED = "delayed"
    DUPLICATED = "duplicated"
    RETRIED = "done twice, second answer"


FAULTS = tuple(Fault)


@dataclass(frozen=True)
class Weather:
    """How often, of all calls, something happens."""

    fault: float = 0.0  # of a call to the registry
    tracking_fault: float = 0.0  # of one to the tracking server
    crash: float = 0.0
    pause: float = 0.0  # before a change; before a reading a quarter of it
    leap: float = 0.0  # of the clock, by up to two leases
    sleep: float = 0.0  # before a swap of `tags.json`: a pause and a leap at once, so that the lease is over

    @classmethod
    def draw(cls, scheduler: Scheduler) -> Weather:
        """The weather of a seed."""
        choose = scheduler.random.choice
        return cls(
            fault=choose((0.0, 0.02, 0.06, 0.15)),
            tracking_fault=choose((0.0, 0.1, 0.5)),
            crash=choose((0.0, 0.005, 0.02)),
            pause=choose((0.0, 0.03, 0.12)),
            leap=choose((0.0, 0.004, 0.015)),
            sleep=choose((0.0, 0.1, 0.3)),
        )


@dataclass(frozen=True)
class Step:
    """One call as it went, for the report on a seed that fails."""

    number: int
    elapsed: float
    process: str
    call: str
    happened: str = ""

    def __str__(self) -> str:
        happened = f" [{self.happened}]" if self.happened else ""
        return f"{self.number:4} {self.elapsed:8.1f} s  {self.process:12} {self.call}{happened}"


@dataclass(eq=False)
class Network:
    """Between the processes and what they call; knows what is still on its way, and what was changed by whom."""

    scheduler: Scheduler
    weather: Weather
    changed: Callable[[str, str, Process], None]  # called with the place and the key of each change
    on_its_way: list[tuple[int, Process, str, Callable[[], object]]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def ask(self, process: Process, name: str, call: Callable[[], T], *, tracking: bool = False) -> T:
        """A call that only reads."""
        self._pass(process, self.weather.pause / 4)
        happened, chance = "", self.scheduler.random.random()
        if chance < self.weather.crash:
            self._note(process, name, "crash")
            raise Crash
        if chance > 1 - self._rate(tracking) / 4:
            happened = "refused"
        self._note(process, name, happened)
        if happened:
            raise StoreFailure(f"{name}: refused by the simulation")
        return call()

    def tell(self, process: Process, place: str, name: str, key: str, call: Callable[[], T]) -> T:
        """A call that changes something."""

        def change() -> T:
            result = call()
            self.changed(place, key, process)
            return result

        self._pass(process, self.weather.pause, self.weather.sleep if key == TAGS_KEY else 0.0)
        shown = f"{name} {place} {key}"
        draw = self.scheduler.random.random
        if draw() < self.weather.crash:
            self._note(process, shown, "crash before")
            raise Crash
        fault = FAULTS[int(draw() * len(FAULTS))] if draw() < self._rate(place == MemoryTracking.location) else None
        crashes = draw() < self.weather.crash
        self._note(process, shown, f"{fault or 'done'}, then crash" if crashes else fault or "")
        try:
            return self._strike(process, shown, fault, change)
        finally:
            if crashes:
                raise Crash

    def say(self, process: Process, text: str) -> None:
        """Note what a process begins or ends."""
        self._note(process, text, "")

    def deliver(self, *, everything: bool = False) -> None:
        """Let what was delayed happen, if it is due; ``everything``, due or not."""
        if not self.on_its_way:
            return
        due = [each for each in self.on_its_way if everything or each[0] <= self.scheduler.step]
        for each in due:
            self.on_its_way.remove(each)
            _, process, shown, change = each
            self._note(process, shown, "arrives late")
            _try(change)

    def _strike(self, process: Process, shown: str, fault: Fault | None, change: Callable[[], T]) -> T:
        unknown = OutcomeUnknown(f"{shown}: no answer in the simulation")
        match fault:
            case None:
                return change()
            case Fault.REFUSED:
                raise StoreFailure(f"{shown}: refused by the simulation")
            case Fault.ANSWER_LOST:
                _try(change)
                raise unknown
            case Fault.REQUEST_LOST:
                raise unknown
            case Fault.DELAYED:
                self._send_later(process, shown, change)
                raise unknown
            case Fault.DUPLICATED:
                self._send_later(process, shown, change)
                return change()
            case Fault.RETRIED:
                _try(change)
                return change()

    def _send_later(self, process: Process, shown: str, change: Callable[[], object]) -> None:
        due = self.scheduler.step + 1 + int(self.scheduler.random.random() ** 2 * 150)
        self.on_its_way.append((due, process, shown, change))

    def _rate(self, tracking: bool) -> float:
        return self.weather.tracking_fault if tracking else self.weather.fault

    def _pass(self, process: Process, pause: float, sleep: float = 0.0) -> None:
        """Wait for the process's next turn, which may be long in coming."""
        draw = self.scheduler.random.random
        chance = draw()
        pauses = chance < pause
        if pauses:
            process.until_step = self.scheduler.step + 5 + int(draw() * 80)
        if chance > 1 - self.weather.leap or (pauses and draw() < 0.4):
            self.scheduler.elapsed += draw() * 2 * LEASE_SECONDS
        if draw() < sleep:
            process.until_step = self.scheduler.step + 30 + int(draw() * 90)
            self.scheduler.elapsed += LEASE_SECONDS
        self.scheduler.wait()

    def _note(self, process: Process, call: str, happened: str) -> None:
        self.steps.append(Step(self.scheduler.step, self.scheduler.elapsed, process.name, call, happened))


def _try(change: Callable[[], object]) -> None:
    try:
        change()
    except GateError:
        return  # a condition was not met: nothing happened, and the answer is lost


@dataclass(frozen=True, eq=False)
class StoreHandle:
    """`lynxgate.ports.RegistryStore` as one process has it."""

    store: MemoryStore
    process: Process
    network: Network

    @property
    def location(self) -> str:
        return self.store.location

    def read(self, key: str) -> Stored | None:
        return self.network.ask(self.process, f"read {self.location} {key}", lambda: self.store.read(key))

    def create(self, key: str, data: bytes) -> str:
        return self.network.tell(self.process, self.location, "create", key, lambda: self.store.create(key, data))

    def replace(self, key: str, data: bytes, expected: str) -> str:
        return self.network.tell(
            self.process, self.location, "replace", key, lambda: self.store.replace(key, data, expected)
        )

    def keys(self, prefix: str) -> Iterator[str]:
        return self.network.ask(self.process, f"list {self.location} {prefix}", lambda: self.store.keys(prefix))

    def now(self) -> datetime:
        return self.network.scheduler.now(self.process.skew)

    def last(self, hint: int = 0) -> tuple[int, bytes] | None:
        return self.network.ask(self.process, f"last {self.location}", lambda: self.store.last(hint))

    def event(self, number: int) -> bytes | None:
        return self.network.ask(self.process, f"event {self.location} {number}", lambda: self.store.event(number))

    def lines(self) -> Iterator[bytes]:
        return self.network.ask(self.process, f"lines {self.location}", self.store.lines)

    def append(self, number: int, line: bytes) -> None:
        self.network.tell(
            self.process, self.location, "append", f"index {number}", lambda: self.store.append(number, line)
        )


@dataclass(frozen=True, eq=False)
class TrackingHandle:
    """`lynxgate.ports.Tracking` as one process has it."""

    tracking: MemoryTracking
    process: Process
    network: Network

    @property
    def location(self) -> str:
        return self.tracking.location

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        return self._ask(f"find_model {run_id[:8]}", lambda: self.tracking.find_model(run_id, name))

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        self._ask(f"download {run_id[:8]}", lambda: self.tracking.download(run_id, destination, progress, name))

    def read_facts(self, run_id: str) -> RunFacts:
        return self._ask(f"read_facts {run_id[:8]}", lambda: self.tracking.read_facts(run_id))

    def read_tag(self, run_id: str, key: str) -> str | None:
        return self._ask(f"read_tag {run_id[:8]} {key}", lambda: self.tracking.read_tag(run_id, key))

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.network.tell(
            self.process,
            self.location,
            "set_tag",
            f"{run_id[:8]} {key}",
            lambda: self.tracking.set_tag(run_id, key, value),
        )

    def set_alias(
        self, model: str, run_id: str, tags: Mapping[str, str], *, alias: str = "production", name: str | None = None
    ) -> None:
        self.network.tell(
            self.process,
            self.location,
            "set_alias",
            f"{model} {run_id[:8]}",
            lambda: self.tracking.set_alias(model, run_id, tags, alias=alias, name=name),
        )

    def read_alias(self, model: str, alias: str = "production", name: str | None = None) -> AliasedVersion | None:
        return self._ask(f"read_alias {model}", lambda: self.tracking.read_alias(model, alias, name))

    def _ask(self, name: str, call: Callable[[], T]) -> T:
        return self.network.ask(self.process, name, call, tracking=True)
