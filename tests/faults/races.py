"""Many processes that promote at the same moment, on a directory or a real S3 server.

Each is forked from a clean server that has imported everything, opens the registry for itself, waits for the others,
and promotes. What each ended with comes back in a file, so that one that was killed leaves none.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

from lynxgate.adapters.local import DirectoryStore
from lynxgate.adapters.s3 import S3Store
from lynxgate.ports import RegistryStore
from lynxgate.registry.resolve import find_production
from tests.faults.invariants import Attempt
from tests.faults.scene import LaterS3Store, Try, environment
from tests.promotion.workshop import DirectoryTracking, LaterStore

PATIENCE_SECONDS = 240  # 64 processes share two cores
_CHILDREN = multiprocessing.get_context("forkserver")
_CHILDREN.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Field:
    """Where the race is run: a registry, and the directory of runs; ``servers`` is what boto3 needs to know."""

    address: str
    runs: Path
    servers: Mapping[str, str]

    def open(self, *, later: bool = False) -> RegistryStore:
        """A handle of one's own; ``later`` is an hour ahead."""
        if self.address.startswith("s3://"):
            with environment(self.servers):
                return (LaterS3Store if later else S3Store)(self.address, read_seconds=60)
        return (LaterStore if later else DirectoryStore)(Path(self.address), patience=60)

    @property
    def tracking(self) -> DirectoryTracking:
        """The runs."""
        return DirectoryTracking(self.runs)


def race(field: Field, tries: Sequence[Try], folder: Path) -> tuple[list[Attempt], tuple[str | None, ...]]:
    """How each ended, and what a reader resolved again and again meanwhile."""
    folder.mkdir()
    start = _CHILDREN.Barrier(len(tries))
    reports = [folder / f"{number}.json" for number in range(len(tries))]
    children: list[ForkServerProcess] = []
    for attempt, report in zip(tries, reports, strict=True):
        child = _CHILDREN.Process(target=_run, args=(field, attempt, report, start))
        child.start()
        children.append(child)
    store, polled = field.open(), list[str | None]()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while any(child.is_alive() for child in children):
        assert time.monotonic() < give_up, "the race does not end"
        found = find_production(store)
        if not polled or polled[-1] != found:
            polled.append(found)
        time.sleep(0.02)
    assert [child.exitcode for child in children] == [0] * len(children)
    for child in children:
        child.close()
    ends = [json.loads(report.read_text()) for report in reports]
    return [Attempt(each.semver, code, said) for each, (code, said) in zip(tries, ends, strict=True)], tuple(polled)


def _run(field: Field, attempt: Try, report: Path, start: Barrier) -> None:
    store = field.open()
    start.wait(PATIENCE_SECONDS)
    ended = attempt.run(store, field.tracking)
    report.write_text(json.dumps([ended.exit, ended.said]))
