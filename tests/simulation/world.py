"""One seed: a few processes with two registries and one tracking server, for so many steps, and then the reckoning.

Each process does one thing after another: it promotes, rolls back, tombstones, recovers or reads. When it crashes, it
comes back as another process with a name of its own.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lynxgate.decision.decide import decide_bytes
from lynxgate.errors import GateError
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.examine import ExpectedProduction, Request
from lynxgate.registry.environment import Environment
from lynxgate.registry.events import Promotion
from lynxgate.registry.evidence import build_evidence
from lynxgate.registry.evidence_check import find_flaws
from lynxgate.registry.layout import REGISTRY_KEY
from minieval.contract.bundle import read_manifest
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document, pretty_json
from minieval.contract.manifest import FORMAT, File, Manifest
from tests.faults import invariants
from tests.faults.invariants import BUG, KILLED, Attempt
from tests.promotion.workshop import CI, DEV, write_baseline, write_evaluation
from tests.simulation.checks import SETTLED_SECONDS, Observer
from tests.simulation.handles import LEASE_SECONDS, Network, Step, StoreHandle, TrackingHandle, Weather
from tests.simulation.memory import MemoryStore, MemoryTracking
from tests.simulation.rewired import Code, rewire
from tests.simulation.scheduler import Crash, Process, Scheduler

STEPS = 500
PROCESSES = 4
CANDIDATES = "abcdefghijkl"
FRESH = "z"  # promoted once, at the end
TAG_SECONDS = 2.0
# How often a process promotes, rolls back, tombstones, recovers and reads: one of these a seed.
WEIGHTS = ((60, 10, 3, 15, 12), (45, 10, 2, 40, 3), (50, 24, 14, 8, 4))
ALLOWED = frozenset({0, 5, 6, KILLED})  # 4 would be a report of damage, and nothing is damaged here
Replacements = dict[Any, Any]


@dataclass(frozen=True)
class Candidate:
    """A bundle, its run, and its evaluation."""

    sha: str
    run_id: str
    evaluation: bytes
    manifest: Manifest


@lru_cache(maxsize=32)
def make_candidate(name: str) -> Candidate:
    """A candidate that is the same in every seed."""
    file = File(path="MLmodel", size=len(name), sha256=digest_bytes(name.encode()))
    manifest = Manifest(files=(file,))
    sha = manifest.canonical_sha
    return Candidate(sha, sha[:32], write_evaluation(sha, sha[:32]), manifest)


@dataclass(frozen=True, eq=False)
class Site:
    """One registry with what writes to it: the environment, the baseline, and who watches it."""

    store: MemoryStore
    environ: dict[str, str]
    baseline: bytes
    observer: Observer


@dataclass(frozen=True)
class Ended:
    """How a seed went; ``wrong`` is empty when everything held."""

    seed: int
    steps: int
    checks: int
    wrong: tuple[str, ...]
    endings: Counter[str]
    transcript: tuple[Step, ...]


@dataclass(eq=False)
class World:
    """Everything of one seed. ``replacements`` and ``make_store`` are where bugs are planted."""

    seed: int
    replacements: Replacements = field(default_factory=dict)
    make_store: Callable[..., MemoryStore] = MemoryStore
    steps: int = STEPS
    weather: Weather | None = None  # drawn from the seed

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.seed)
        self.tracking = MemoryTracking(
            {each.run_id: each.manifest for each in map(make_candidate, (*CANDIDATES, FRESH))}
        )
        self.code = code_for(self.scheduler, self.tracking, self.replacements)
        self.network = Network(self.scheduler, self.weather or Weather.draw(self.scheduler), self._see)
        self.skew = self.scheduler.random.choice((0.0, 0.0, 0.5 * LEASE_SECONDS, 3 * LEASE_SECONDS))
        self.weights = self.scheduler.random.choice(WEIGHTS)
        self.endings: Counter[str] = Counter()
        self.sites = [
            self._make_site("production", Environment.PRODUCTION, CI, "tutor"),
            self._make_site("dev", Environment.DEV, DEV, self.scheduler.random.choice((None, "tutor-dev"))),
        ]
        self.born = 0

    def run(self) -> Ended:
        """Run the seed until its steps are used up or something is wrong."""
        for _ in range(PROCESSES):
            self._start_process()
        while self.scheduler.step < self.steps and not self.wrong:
            self.scheduler.turn()
            self.network.deliver()
        self.scheduler.end()
        if not self.wrong:
            self._settle()
        return Ended(
            self.seed,
            self.scheduler.step,
            sum(site.observer.checks for site in self.sites),
            tuple(self.wrong),
            self.endings,
            tuple(self.network.steps),
        )

    @property
    def wrong(self) -> list[str]:
        """What any observer found."""
        return [
            f"{site.store.location}: {wrong}" for site in self.sites for wrong in dict.fromkeys(site.observer.wrong)
        ]

    def _make_site(self, name: str, kind: Environment, environ: dict[str, str], model: str | None) -> Site:
        store = self.make_store(name, self.scheduler.now)
        # As `create_registry` does, but a seed replays only with an id of its own.
        mark = {
            "schema": "lynxgate.registry/2",
            "environment": str(kind),
            "id": digest_bytes(name.encode())[:32],
            "manifest_format": FORMAT,
        }
        store.create(REGISTRY_KEY, pretty_json(mark))
        return Site(store, environ, make_baseline(model), Observer(store, self.tracking, self.code))

    def _see(self, place: str, key: str, process: Process) -> None:
        for site in self.sites:
            if place == site.store.location:
                site.observer.see(key, self.scheduler.step, self.scheduler.now(process.skew))
            elif place == self.tracking.location:
                site.observer.see_tracking()

    def _start_process(self) -> None:
        self.born += 1
        skew = (self.scheduler.random.random() * 2 - 1) * self.skew
        process = Process(f"process {self.born}", skew)
        self.scheduler.start(process, lambda: self._live(process))

    def _live(self, process: Process) -> None:
        """One thing after another; after a crash, another process takes this one's place."""
        jobs = (self._promote, self._roll_back, self._tombstone, self._recover, self._read)
        try:
            while True:
                site = self.scheduler.random.choice(self.sites)
                (job,) = self.scheduler.random.choices(jobs, self.weights)
                job(process, site)
                self.scheduler.sleep(self.scheduler.random.random() * 2)
        except Crash:
            if process in self.scheduler.processes:
                self.scheduler.processes.remove(process)
                self._start_process()

    def _context(self, process: Process, site: Site) -> PromotionContext:
        store = StoreHandle(site.store, process, self.network)
        journal = self.code.journal(store, process.name, timedelta(seconds=LEASE_SECONDS))
        tracking = TrackingHandle(self.tracking, process, self.network)
        return PromotionContext(store, journal, tracking, TAG_SECONDS, self.scheduler.sleep)

    def _promote(self, process: Process, site: Site) -> None:
        choose = self.scheduler.random.choice
        candidate, semver = make_candidate(choose(CANDIDATES)), self._choose_semver(site)
        record = site.observer.look.records.get(semver)
        if record is not None and choose((True, True, False)):
            (candidate,) = (each for each in map(make_candidate, CANDIDATES) if each.sha == record["canonical_sha"])
        against = ExpectedProduction(site.observer.look.production) if choose((True, False)) else None
        self._attempt_promotion(process, site, candidate, semver, against)

    def _attempt_promotion(
        self, process: Process, site: Site, candidate: Candidate, semver: str, against: ExpectedProduction | None = None
    ) -> Attempt:
        context = self._context(process, site)
        request = Request(
            candidate.sha, semver, candidate.evaluation, site.baseline, Path(candidate.run_id), against=against
        )
        return self._attempt(
            process,
            site,
            f"promote {semver} {candidate.sha[:8]}",
            lambda: self.code.promote(request, context, context.tracking, site.environ).ending,
            semver=semver,
        )

    def _roll_back(self, process: Process, site: Site) -> None:
        known = sorted(site.observer.look.records, key=_order)
        target = self.scheduler.random.choice(known) if known else "v0.0.1"
        self._attempt(
            process,
            site,
            f"roll back to {target}",
            lambda: self.code.roll_back(target, self._context(process, site), site.environ),
            allowed=ALLOWED | {3},
        )

    def _tombstone(self, process: Process, site: Site) -> None:
        under_way = [
            record["canonical_sha"]
            for record in site.observer.look.records.values()
            if invariants.is_unfinished(record)
        ]
        sha = self.scheduler.random.choice(under_way or [make_candidate(name).sha for name in CANDIDATES])
        ended = self._attempt(
            process,
            site,
            f"tombstone {sha[:8]}",
            lambda: self.code.tombstone(sha, "simulated", self._context(process, site), site.environ),
            allowed=ALLOWED | {3},  # the registry may not know the bundle yet
        )
        if ended.exit == 0:
            site.observer.see_tombstone(sha, self.scheduler.step)

    def _recover(self, process: Process, site: Site) -> Attempt:
        return self._attempt(process, site, "recover", lambda: self.code.recover_all(self._context(process, site)))

    def _read(self, process: Process, site: Site) -> None:
        first = self.scheduler.step
        context = self._context(process, site)
        try:
            production = self.code.find_production(context.store)
        except GateError:
            return  # the registry could not be read
        site.observer.see_read(production, first)

    def _attempt(
        self,
        process: Process,
        site: Site,
        name: str,
        action: Callable[[], object],
        *,
        semver: str = "",
        allowed: frozenset[int] = ALLOWED,
    ) -> Attempt:
        """Try it; whatever it raises becomes an exit code and a message. A crash goes through."""
        kind = name.partition(" ")[0]
        self.network.say(process, f"{name} on {site.store.location} begins")
        try:
            action()
            code, said = 0, "done as it was asked"
        except Crash:
            self.endings[f"{kind} killed"] += 1
            raise
        except GateError as error:
            code, said = int(error.exit), str(error)
        except Exception:  # noqa: BLE001 - what is no GateError is a bug, and the invariants say so
            code, said = BUG, traceback.format_exc()
        attempt = Attempt(semver or name, code, said, allowed)
        self.network.say(process, f"{name} ends with {code}: {said}")
        self.endings[f"{kind} {code}"] += 1
        site.observer.see_end(attempt, self._now(process))
        return attempt

    def _now(self, process: Process) -> Any:
        return self.scheduler.now(process.skew)

    def _choose_semver(self, site: Site) -> str:
        known = sorted(site.observer.look.records, key=_order)
        if known and self.scheduler.random.random() < 0.5:
            return self.scheduler.random.choice(known[-3:])
        major, minor, patch = _order(known[-1]) if known else (0, 1, 0)
        return f"v{major}.{minor}.{patch + self.scheduler.random.choice((1, 1, 2))}"

    def _settle(self) -> None:
        """Every process is gone: what is on its way arrives, all is recovered, and a new version can be promoted."""
        self.network.deliver(everything=True)
        self.network.weather = Weather()
        self.scheduler.elapsed += SETTLED_SECONDS
        process = Process("settler", 0.0)
        for site in self.sites:
            wrong = site.observer.wrong
            ended = self._recover(process, site)
            if ended.exit:
                wrong.append(f"settled: recovery failed: {ended.said}")
            site.observer.settle(self._now(process))
            wrong += self._audit(site, aliases=False)
            ended = self._attempt_promotion(process, site, make_candidate(FRESH), "v9.0.0")
            if ended.exit:
                wrong.append(f"settled: a new version could not be promoted: {ended.said}")
            site.observer.settle(self._now(process))
            wrong += self._audit(site, aliases=True)

    def _audit(self, site: Site, *, aliases: bool) -> list[str]:
        """What an audit finds beside what it may find.

        MLflow has no compare-and-swap for aliases: the next promotion mends a late one. A bundle in production may be
        tombstoned by a process that crashed, or was told to roll back; `Observer` knows when it may not.
        """
        others = [each.store for each in self.sites if each is not site]
        found = self.code.audit(site.store, self.tracking, sharing=others).findings
        return [
            f"audit: {each.place}: {each.problem}"
            for each in found
            if not each.problem.endswith("is tombstoned; roll back")
            and (aliases or not each.place.startswith("MLflow model "))
        ]


def describe_failure(ended: Ended, steps: int = 60) -> str:
    """What is wrong, the last ``steps`` steps, and how to see them all."""
    shown = "\n".join((*map(str, ended.transcript[-steps:]), *(f"WRONG {wrong}" for wrong in ended.wrong)))
    return f"seed {ended.seed} after {ended.steps} steps:\n{shown}\nreplay: just simulate 1 {ended.seed} --show"


def make_baseline(model: str | None) -> bytes:
    """An active baseline whose policy moves the alias of that registered model."""
    tree = json.loads(write_baseline())
    if model is not None:
        tree["policy"]["registered_model"] = f"models:/{model}"
    return json.dumps(tree).encode()


_decide_once = lru_cache(maxsize=256)(decide_bytes)
_parse_once = lru_cache(maxsize=4096)(parse_document)
_evidence: dict[tuple[object, ...], Any] = {}
_flaws: dict[tuple[object, ...], tuple[str, ...]] = {}


def _build_evidence_once(manifest: Manifest, verdict: Any, **facts: Any) -> Any:
    key = (manifest.canonical_sha, *sorted(facts.items(), key=lambda item: item[0]))
    if key not in _evidence:
        _evidence[key] = build_evidence(manifest, verdict, **facts)
    return _evidence[key]


def _find_flaws_once(data: bytes, promotion: Promotion, manifest: Manifest | None) -> tuple[str, ...]:
    """`find_flaws`, once for all that it reads."""
    event = promotion.event
    facts = (promotion.semver, promotion.run_id, promotion.evidence, event.canonical_sha, event.production_before)
    key = (data, *facts, manifest and manifest.canonical_sha)
    if key not in _flaws:
        _flaws[key] = tuple(find_flaws(data, promotion, manifest))
    return _flaws[key]


@contextlib.contextmanager
def _no_directory(**_: object) -> Iterator[str]:
    """In place of `tempfile.TemporaryDirectory`: nothing is written to a disk."""
    yield "nowhere"


def code_for(scheduler: Scheduler, tracking: MemoryTracking, bugs: Replacements) -> Code:
    """The code under test: what is a pure function of bytes is computed once, bundles are not on a disk."""
    return rewire(
        {
            decide_bytes: _decide_once,
            parse_document: _parse_once,
            build_evidence: _build_evidence_once,
            find_flaws: _find_flaws_once,
            read_manifest: tracking.find_manifest,
            tempfile: SimpleNamespace(TemporaryDirectory=_no_directory),
            **scheduler.exchanged(),
            **bugs,
        }
    )


def _order(semver: str) -> tuple[int, int, int]:
    major, minor, patch = semver.removeprefix("v").split(".")
    return int(major), int(minor), int(patch)
