"""Opening a store by its address, and many processes that write to one at the same moment."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lynxgate.errors import Conflict
from lynxgate.ports import RegistryStore

_barrier: multiprocessing.synchronize.Barrier
_CHILDREN = multiprocessing.get_context("forkserver")  # one process imports boto3, and the others are its copies
_CHILDREN.set_forkserver_preload([__name__, "lynxgate.adapters.s3"])

T = TypeVar("T")

_in_memory: dict[str, RegistryStore] = {}  # of this process alone: no process can race for them


@dataclass(frozen=True)
class Place:
    """The address of a registry; S3 takes the rest from the environment."""

    address: str

    def open(self) -> RegistryStore:
        """A new handle, as another process would have it."""
        if self.address.startswith("s3://"):
            from lynxgate.adapters.s3 import S3Store

            return S3Store(self.address)
        if self.address.startswith("memory:"):
            # Every handle is the same object: it has no state of its own that another handle could miss.
            from tests.simulation.memory import MemoryStore

            return _in_memory.setdefault(self.address, MemoryStore(self.address))
        from lynxgate.adapters.local import DirectoryStore

        return DirectoryStore(Path(self.address))


@dataclass(frozen=True)
class Racer:
    """One of the processes of a race."""

    place: Place
    name: int
    rounds: int


def race(place: Place, writers: int, rounds: int, run: Callable[[Racer], T]) -> list[T]:
    """What ``run`` returned in each of ``writers`` processes, which wait for each other where it calls `wait`."""
    with _CHILDREN.Pool(writers, _begin, (_CHILDREN.Barrier(writers), dict(os.environ))) as pool:
        return pool.map(run, [Racer(place, name, rounds) for name in range(writers)], chunksize=1)


def wait() -> None:
    """Until every process of the race is here."""
    _barrier.wait(timeout=120)


def create_each_round(racer: Racer) -> list[bool]:
    """In each round, try to create the same key; whether it was us."""
    store = racer.place.open()
    won = []
    for number in range(racer.rounds):
        wait()
        won.append(_succeeds(lambda key=f"journal/v0.0.{number}.json": store.create(key, _name(racer))))  # type: ignore[misc]
    return won


def count_up(racer: Racer) -> int:
    """Add one to the same number, ``rounds`` times, by compare-and-swap; how many swaps were lost."""
    store = racer.place.open()
    lost = 0
    wait()
    for _ in range(racer.rounds):
        while True:
            found = store.read("tags.json")
            assert found is not None
            try:
                store.replace("tags.json", b"%d" % (int(found.data) + 1), found.version)
                break
            except Conflict:
                lost += 1
    return lost


def append_each_round(racer: Racer) -> list[int]:
    """Append ``rounds`` events, each at whatever number is free; those numbers."""
    store = racer.place.open()
    numbers: list[int] = []
    wait()
    while len(numbers) < racer.rounds:
        last = store.last(numbers[-1] if numbers else 0)
        number = last[0] + 1 if last else 1
        if _succeeds(lambda at=number: store.append(at, b'{"number":%d,"by":%d}' % (at, racer.name))):  # type: ignore[misc]
            numbers.append(number)
    return numbers


def _succeeds(write: Callable[[], object]) -> bool:
    try:
        write()
    except Conflict:
        return False
    return True


def _name(racer: Racer) -> bytes:
    return b"writer %d" % racer.name


def _begin(barrier: multiprocessing.synchronize.Barrier, environment: dict[str, str]) -> None:
    """In a new process: take what it cannot inherit, since its parent is the fork server."""
    global _barrier  # noqa: PLW0603 - how a pool's processes are given something that cannot be pickled
    _barrier = barrier
    os.environ.update(environment)
