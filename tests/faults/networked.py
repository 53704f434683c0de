"""Registries on S3 and runs on MLflow whose HTTP requests fail: a proxy stands before the real server.

The calls are the requests the proxy saw in a dry run. What the six faults are here: SIGKILL of the promoting process
before the request is forwarded, and after the server applied it; 500 without and after forwarding; held back until the
client has given up, and then forwarded all the same, so that it lands late; forwarded, and the connection closed
without a reply; the same, and every later request closed before it is forwarded.

- The two kills need a process of their own: it is forked from a clean server that has imported everything. With
  MLflow every promotion has one, since its client remembers what it once asked.
- A hang is bounded by the adapter's own time-outs, which are arguments of its constructor.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.adapters.s3 import S3Store
from lynxgate.ports import RegistryStore, Tracking
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.resolve import find_production
from tests.fault_proxy import Fault as Proxied
from tests.fault_proxy import FaultProxy, Rule
from tests.faults.cases import Paused
from tests.faults.catalogue import KILLS, Call, Fault
from tests.faults.invariants import KILLED, Attempt
from tests.faults.scene import NEW, OLD, OTHER, Cast, LaterS3Store, Try, directory_stores, environment, open_registry
from tests.promotion.workshop import Candidate, DirectoryTracking, Workshop, write_baseline, write_evaluation
from tests.s3_servers import BUCKET, S3Server
from tests.servers import MlflowServer, client_of, log_bundle

S3_SECONDS = 1.0
MLFLOW_SECONDS = 2
PATIENCE_SECONDS = 120  # before a promoting process that does not end is an error
_CHILDREN = multiprocessing.get_context("forkserver")
_CHILDREN.set_forkserver_preload([__name__])


@dataclass
class SignalRule(Rule):
    """Send a process a signal at its n-th request, before the server sees it, or after it has applied it."""

    known: threading.Event = field(default_factory=threading.Event)
    sent: threading.Event = field(default_factory=threading.Event)
    pid: int = 0
    sign: int = signal.SIGKILL

    @classmethod
    def at(cls, point: int, *, after: bool, sign: int = signal.SIGKILL) -> SignalRule:
        """The rule for the request of that number."""
        rule = cls(Proxied.REWRITE if after else Proxied.DROP_BEFORE, skip=point, times=1, sign=sign)
        rule.rewrite = rule.send
        return rule

    def takes(self, method: str, path: str) -> bool:
        taken = super().takes(method, path)
        if taken and self.fault is Proxied.DROP_BEFORE:
            self.send(b"")
        return taken

    def send(self, content: bytes) -> bytes:
        """Send it, once it is known to whom."""
        assert self.known.wait(PATIENCE_SECONDS)
        os.kill(self.pid, self.sign)
        self.sent.set()
        return content

    def aim(self, pid: int | None) -> None:
        """Say to whom."""
        self.pid = pid or 0
        self.known.set()


@dataclass
class Asleep:
    """A promoting process that was stopped right after the server had applied one of its requests."""

    child: ForkServerProcess
    report: Path

    def wake(self) -> Attempt:
        """Let it go on to its end."""
        assert self.child.pid
        os.kill(self.child.pid, signal.SIGCONT)
        self.child.join(PATIENCE_SECONDS)
        assert self.child.exitcode == 0, self.child.exitcode
        self.child.close()
        code, said = json.loads(self.report.read_text())
        return Attempt(NEW, code, said)


@dataclass(frozen=True)
class S3Opening:
    """How the promoting process reaches a registry on S3 through the proxy, and runs in a directory."""

    address: str
    environment: Mapping[str, str]
    runs: Path

    def open(self) -> tuple[RegistryStore, Tracking]:
        with environment(self.environment):
            return S3Store(self.address, read_seconds=S3_SECONDS), DirectoryTracking(self.runs)


@dataclass(frozen=True)
class MlflowOpening:
    """How the promoting process reaches MLflow through the proxy, and a registry in a directory."""

    uri: str
    registry: Path

    def open(self) -> tuple[RegistryStore, Tracking]:
        return directory_stores(self.registry)[0], MlflowTracking(self.uri, timeout=MLFLOW_SECONDS)


Opening = S3Opening | MlflowOpening


class NetworkedBench:
    """What the two benches share: one proxy, and promotions through it in this process or in one that dies."""

    name: str
    first = False
    cast: Cast
    store: RegistryStore
    later: RegistryStore
    tracking: Tracking
    tag_seconds = 0.05
    late: tuple[float, float]
    remembers = False

    def __init__(self, folder: Path, proxy: FaultProxy, opening: Opening, seed: int) -> None:
        self._proxy = proxy
        self._opening = opening
        self._own = None if self.remembers else opening.open()
        self._report = folder / "report.json"
        self._random = random.Random(seed)

    def save(self) -> Any:
        raise NotImplementedError

    def restore(self, saved: Any) -> None:
        raise NotImplementedError

    def describe(self, method: str, path: str) -> str:
        """What the table calls a request."""
        raise NotImplementedError

    def calls(self) -> list[Call]:
        base = self.save()
        self._proxy.clear()
        self._proxy.journal.clear()
        attempt = self._run()
        assert attempt.exit == 0, attempt.said
        seen = [self.describe(entry.method, entry.path) for entry in self._proxy.requests()]
        self.restore(base)
        return [Call(self.name, point, name) for point, name in enumerate(seen)]

    def pause(self, point: int) -> Paused | None:
        del point
        return None  # the adapter gives up by itself

    def strike(self, point: int, fault: Fault) -> tuple[Attempt, tuple[str | None, ...]]:
        self._proxy.clear()
        self._proxy.journal.clear()
        with self._polling() as polled:
            attempt = self._killed(point, fault) if fault in KILLS else self._failed(point, fault)
        self._proxy.clear()
        return attempt, tuple(polled)

    def _failed(self, point: int, fault: Fault) -> Attempt:
        seconds = self._random.uniform(*self.late)
        proxied = {
            Fault.ERROR_BEFORE: Proxied.ERROR_BEFORE,
            Fault.ERROR_AFTER: Proxied.ERROR_AFTER,
            Fault.HANG: Proxied.LATE,
            Fault.LOST: Proxied.DROP_AFTER,
            Fault.GONE: Proxied.DROP_AFTER,
        }[fault]
        rule = self._proxy.fail(proxied, skip=point, times=1, seconds=seconds)
        if fault is Fault.GONE:
            self._proxy.fail(Proxied.DROP_BEFORE, skip=point)
        attempt = self._run()
        assert rule.seen > point, "the fault did not happen"
        if fault is Fault.HANG:
            give_up = time.monotonic() + seconds + PATIENCE_SECONDS
            while not any(entry.fault is Proxied.LATE for entry in self._proxy.requests()):
                assert time.monotonic() < give_up
                time.sleep(0.01)
        return attempt

    def _killed(self, point: int, fault: Fault) -> Attempt:
        rule = SignalRule.at(point, after=fault is Fault.KILL_AFTER)
        self._proxy.add(rule)
        child = self._start()
        rule.aim(child.pid)
        child.join(PATIENCE_SECONDS)
        assert child.exitcode == -signal.SIGKILL, child.exitcode
        child.close()
        return Attempt(NEW, KILLED, "killed")

    def sleep_after(self, point: int) -> Asleep:
        """Run the promotion until it is stopped, the request of that number having been applied."""
        self._proxy.clear()
        rule = SignalRule.at(point, after=True, sign=signal.SIGSTOP)
        self._proxy.add(rule)
        child = self._start()
        rule.aim(child.pid)
        assert rule.sent.wait(PATIENCE_SECONDS)
        return Asleep(child, self._report)

    def _run(self) -> Attempt:
        if self._own is not None:
            return self._try().run(*self._own)
        child = self._start()
        child.join(PATIENCE_SECONDS)
        assert child.exitcode == 0, child.exitcode
        child.close()
        code, said = json.loads(self._report.read_text())
        return Attempt(NEW, code, said)

    def _start(self) -> ForkServerProcess:
        child = _CHILDREN.Process(target=_promote, args=(self._opening, self._try(), self._report))
        child.start()
        return child

    def _try(self) -> Try:
        return Try(self.cast.next, NEW, self.tag_seconds)

    @contextlib.contextmanager
    def _polling(self) -> Iterator[list[str | None]]:
        """A reader that resolves production again and again, past the proxy, until the attempt has ended."""
        polled: list[str | None] = []
        ended = threading.Event()

        def poll() -> None:
            while not ended.wait(0.01):
                found = find_production(self.store)
                if not polled or polled[-1] != found:
                    polled.append(found)

        reader = threading.Thread(target=poll)
        reader.start()
        try:
            yield polled
        finally:
            ended.set()
            reader.join()


def _promote(opening: Opening, attempt: Try, report: Path) -> None:
    ended = attempt.run(*opening.open())
    report.write_text(json.dumps([ended.exit, ended.said]))


class S3Bench(NetworkedBench):
    """A registry on a real S3 server."""

    name = "S3"
    late = (S3_SECONDS + 0.05, 2.0)

    def __init__(self, folder: Path, server: S3Server, proxy: FaultProxy, seed: int = 0) -> None:
        workshop = Workshop(folder)
        self.cast = Cast.of_workshop(workshop)
        self.tracking = workshop.tracking
        address = server.new_registry()
        self._prefix = address.partition(BUCKET)[2].strip("/") + "/"
        self._client = server.client()
        with environment(server.environment()):
            self.store = S3Store(address)
            self.later = LaterS3Store(address)
        through = server.environment(url=proxy.url)
        super().__init__(folder, proxy, S3Opening(address, through, workshop.tracking.root), seed)
        open_registry(self.store, self.tracking, self.cast)

    def describe(self, method: str, path: str) -> str:
        key = path.partition("?")[0].partition(self._prefix)[2]
        return f"{method} {re.sub(r'[0-9a-f]{64}|[0-9]{12}|v[0-9.]+[0-9]', '*', key)}"

    def save(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        return {key: self._get(key) for key in self._keys()}, {
            str(path): path.read_bytes() for path in self._tags_of_runs()
        }

    def restore(self, saved: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
        objects, tags = saved
        there = self._keys()
        for key in there:
            if key not in objects:
                self._client.delete_object(Bucket=BUCKET, Key=self._prefix + key)
        for key, data in objects.items():
            if key not in there or self._get(key) != data:
                self._client.put_object(Bucket=BUCKET, Key=self._prefix + key, Body=data)
        for path in self._tags_of_runs():
            path.unlink()
        for name, data in tags.items():
            Path(name).write_bytes(data)

    def _keys(self) -> list[str]:
        listed = self._client.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix)
        return [item["Key"].removeprefix(self._prefix) for item in listed.get("Contents", ())]

    def _get(self, key: str) -> bytes:
        data: bytes = self._client.get_object(Bucket=BUCKET, Key=self._prefix + key)["Body"].read()
        return data

    def _tags_of_runs(self) -> list[Path]:
        assert isinstance(self.tracking, DirectoryTracking)
        return sorted(self.tracking.root.glob("*/tags/*"))


class MlflowBench(NetworkedBench):
    """Runs on a real MLflow server, and a registry in a directory."""

    name = "MLflow"
    tag_seconds = 1.0
    remembers = True
    late = (MLFLOW_SECONDS + 0.1, MLFLOW_SECONDS + 1.5)

    def __init__(self, folder: Path, server: MlflowServer, proxy: FaultProxy, seed: int = 0) -> None:
        workshop = Workshop(folder)
        self.cast = Cast(*(_log(server, workshop.candidate(name)) for name in "abc"))
        self._client = client_of(server.url)
        self._registry = folder / "registry"
        self.store, self.later = directory_stores(self._registry)
        self.tracking = MlflowTracking(server.url)
        super().__init__(folder, proxy, MlflowOpening(proxy.url, self._registry), seed)
        open_registry(self.store, self.tracking, self.cast)

    def describe(self, method: str, path: str) -> str:
        plain = path.partition("?")[0]
        plain = re.sub(r"^/api/[0-9.]+/mlflow(-artifacts)?/", "", plain)
        return f"{method} {re.sub(r'm-[0-9a-f]{32}|[0-9a-f]{32}', '*', plain)}"

    def save(self) -> tuple[dict[str, bytes], dict[tuple[str, str], str]]:
        files = {
            path.relative_to(self._registry).as_posix(): path.read_bytes()
            for path in sorted(self._registry.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }
        return files, self._carried()

    def restore(self, saved: tuple[dict[str, bytes], dict[tuple[str, str], str]]) -> None:
        files, tags = saved
        shutil.rmtree(self._registry)
        for name, data in files.items():
            path = self._registry / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        there = self._carried()
        for run_id, key in there.keys() - tags.keys():
            self._client.delete_tag(run_id, key)
        for (run_id, key), value in tags.items():
            if there.get((run_id, key)) != value:
                self._client.set_tag(run_id, key, value)

    def _carried(self) -> dict[tuple[str, str], str]:
        names = [tag_key(semver) for semver in (OLD, NEW, OTHER)]
        runs = [each.run_id for each in (self.cast.first, self.cast.next, self.cast.other)]
        found = {run_id: self._client.get_run(run_id).data.tags for run_id in runs}
        return {(run_id, key): str(found[run_id][key]) for run_id in runs for key in names if key in found[run_id]}


def _log(server: MlflowServer, candidate: Candidate) -> Candidate:
    """The same candidate in a run on the server."""
    run_id = log_bundle(server.url, candidate.bundle)
    return Candidate(candidate.bundle, run_id, candidate.sha, write_evaluation(candidate.sha, run_id), write_baseline())
