"""Time a registry as it grows, and print the Markdown tables of docs/performance.md.

``python -m benchmarks.growth [directory] [s3] [mlflow]`` (default: the first two). The history is written straight in
the registry's own format, as the same promotions would have written it; what is timed is the code that users run:

- promote: one whole promotion of a small bundle; runs are kept in a directory, or (``mlflow``) on a real server;
- list: the last 20 events, as `lynxgate registry list` shows them;
- current: which version is in production, and its SHA, as a server asks.

Each figure is the fastest of `REPEATS`, since the machine may be busy with other things. ``tags.json`` names every
version and is read and written whole: its share is timed apart. The directory is in memory, so that what grows is seen
and not the disk; the S3 server is SeaweedFS on loopback.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.promotion.workshop import DEV, Workshop, write_baseline, write_evaluation
from tests.s3_servers import S3Server, shared_seaweedfs
from tests.servers import log_bundle, shared_mlflow_server

from lynxgate.adapters.local import INDEX, DirectoryStore
from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.adapters.s3 import S3Store, event_key, parse_address
from lynxgate.audit.history import read_last_events
from lynxgate.decision.decide import decide_bytes
from lynxgate.errors import StoreFailure
from lynxgate.ports import RegistryStore, Tracking
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import promote
from lynxgate.registry.compare_and_swap import change_tags
from lynxgate.registry.environment import Environment
from lynxgate.registry.events import Event, Kind
from lynxgate.registry.evidence import build_evidence
from lynxgate.registry.layout import (
    TAGS_KEY,
    Tags,
    _parse_tags,
    create_registry,
    evidence_key,
    journal_key,
    manifest_key,
    read_mark,
    read_origin,
    read_tags,
)
from lynxgate.registry.record import Journal, Record, State, name_owner
from lynxgate.serving.releases import find_release
from minieval.contract.bundle import read_manifest
from minieval.contract.digests import digest_bytes

SIZES = (10, 100, 1000, 10000)
REPEATS = 15
ROWS = ("promote", "of that tags.json", "list (the last 20)", "current version")

Put = Callable[[Iterator[tuple[str, bytes]]], None]


@dataclass
class Bench:
    """A registry that is filled and timed, with the one bundle that all its versions are of."""

    store: RegistryStore
    tracking: Tracking
    bundle: Path
    run_id: str
    put: Put

    def __post_init__(self) -> None:
        self.manifest = read_manifest(self.bundle)
        self.sha = self.manifest.canonical_sha
        self.evaluation, self.baseline = write_evaluation(self.sha, self.run_id), write_baseline()
        create_registry(self.store, Environment.DEV)

    def request(self, number: int) -> Request:
        """The promotion that makes event ``number``."""
        return Request(self.sha, semver(number), self.evaluation, self.baseline, self.bundle)

    def promote(self, number: int) -> None:
        """Make promotion ``number`` as users do."""
        context = PromotionContext(self.store, Journal(self.store, name_owner(), timedelta(minutes=5)), self.tracking)
        promote(self.request(number), context, self.tracking, DEV)

    def fill(self, size: int) -> None:
        """Write what promotions up to number ``size`` would have written."""
        last = self.store.last(0)
        first = last[0] + 1 if last else 1
        self.put(self.documents(first, size, digest_bytes(last[1]) if last else read_origin(self.store)))
        tags = Tags.model_validate(
            {"production": semver(size), "semver": {semver(number): self.sha for number in range(1, size + 1)}}
        )
        change_tags(self.store, "filling", lambda _: tags, lambda: None)

    def documents(self, first: int, last: int, previous: str) -> Iterator[tuple[str, bytes]]:
        """Keys and bytes of promotions ``first`` to ``last``, events by number under `event_key`."""
        yield manifest_key(self.sha), self.manifest.canonical_bytes()
        verdict, _, _ = decide_bytes(self.evaluation, self.baseline)
        mark = read_mark(self.store)
        if mark is None:
            raise StoreFailure("the bench has no registry.json")
        for number in range(first, last + 1):
            before = semver(number - 1) if number > 1 else None
            evidence = build_evidence(
                self.manifest,
                verdict,
                evaluation=self.evaluation,
                baseline=self.baseline,
                run_id=self.run_id,
                semver=semver(number),
                production_before=before,
                mark=mark,
            )
            facts = {
                "semver": semver(number),
                "canonical_sha": self.sha,
                "mlflow_run_id": self.run_id,
                "evidence": evidence.sha,
                "production_before": before,
            }
            now = datetime.now(UTC).isoformat()
            event = Event.model_validate(
                {**facts, "number": number, "previous": previous, "at": now, "kind": Kind.PROMOTED}
            )
            record = {**facts, "state": State.PROMOTED, "owner": "filling", "deadline": now, "event": event.to_tree()}
            yield evidence_key(self.sha, evidence.sha), evidence.data
            yield journal_key(semver(number)), Record.model_validate(record).to_bytes()
            yield event_key(number), event.line()
            previous = digest_bytes(event.line())

    def time_all(self, size: int) -> dict[str, float]:
        """Milliseconds with ``size`` promotions there; adds `REPEATS` promotions."""
        figures = {
            ROWS[2]: time_best(lambda _: read_last_events(self.store, 20)),
            ROWS[3]: time_best(self.read_current),
            ROWS[1]: time_best(self.rewrite_tags),
        }
        figures[ROWS[0]] = time_best(lambda repeat: self.promote(size + 1 + repeat))
        return figures

    def read_current(self, _: int) -> None:
        """As a process that has read nothing yet."""
        _parse_tags.cache_clear()
        find_release(self.store, None)

    def rewrite_tags(self, _: int) -> None:
        """What a promotion does with `tags.json`: read it where it looks, and swap it once."""
        for _ in range(5):
            read_tags(self.store)
        change_tags(self.store, "timing", lambda tags: tags, lambda: None)


def semver(number: int) -> str:
    """The version of promotion ``number``."""
    return f"v0.1.{number}"


def time_best(action: Callable[[int], object]) -> float:
    """Milliseconds."""
    taken = []
    for repeat in range(REPEATS):
        started = time.perf_counter()
        action(repeat)
        taken.append(time.perf_counter() - started)
    return min(taken) * 1000


def put_in_directory(root: Path) -> Put:
    """Plain files, without waiting for the disk."""

    def put(documents: Iterator[tuple[str, bytes]]) -> None:
        with (root / INDEX).open("ab") as index:
            for key, data in documents:
                if key.startswith("index/"):
                    index.write(data + b"\n")
                    continue
                path = root / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    return put


def put_on_s3(server: S3Server, address: str) -> Put:
    """Many requests at once."""
    client, (bucket, prefix) = server.client(), parse_address(address)

    def put(documents: Iterator[tuple[str, bytes]]) -> None:
        with ThreadPoolExecutor(10) as pool:
            for _ in pool.map(
                lambda each: client.put_object(Bucket=bucket, Key=f"{prefix}/{each[0]}", Body=each[1]), documents
            ):
                pass

    return put


def measure(name: str, bench: Bench, sizes: Sequence[int]) -> None:
    """Fill, time and print one table."""
    figures: dict[int, dict[str, float]] = {}
    for size in sizes:
        bench.fill(size)
        print(f"{name}: {size}", file=sys.stderr, flush=True)
        figures[size] = bench.time_all(size)
    tags = bench.store.read(TAGS_KEY)
    kilobytes = len(tags.data) / 1024 if tags else 0
    print(f"\n{name} (`tags.json` has {kilobytes:.0f} kB in the end):\n")
    print("| ms | " + " | ".join(f"{size:,}" for size in sizes) + " | 100 to 1,000 |")
    print("|---" * (len(sizes) + 2) + "|")
    for row in ROWS:
        cells = [f"{figures[size][row]:.1f}" for size in sizes]
        ratio = f"{figures[1000][row] / figures[100][row]:.2f}" if {100, 1000} <= set(sizes) else ""
        print(f"| {row} | {' | '.join(cells)} | {ratio} |")
    sys.stdout.flush()


def main(wanted: Sequence[str]) -> None:
    """Run the measurements that the options name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    print(f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.")
    with tempfile.TemporaryDirectory(prefix="growth-") as folder, ExitStack() as stack:
        workshop = Workshop(Path(folder))
        candidate, tracking = workshop.candidate("a"), workshop.tracking
        memory = Path("/dev/shm")  # noqa: S108 - where it exists, so that the speed of the disk does not count
        held = stack.enter_context(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None))
        directory = Path(held) / "registry"
        if "directory" in wanted:
            put = put_in_directory(directory)
            bench = Bench(DirectoryStore(directory), tracking, candidate.bundle, candidate.run_id, put)
            measure("Directory", bench, SIZES)
        if "s3" in wanted:
            server = stack.enter_context(shared_seaweedfs(Path(folder) / "seaweedfs"))
            os.environ.update(server.environment())
            address = server.new_registry()
            put = put_on_s3(server, address)
            bench = Bench(S3Store(address), tracking, candidate.bundle, candidate.run_id, put)
            measure("S3", bench, SIZES)
        if "mlflow" in wanted:
            real = stack.enter_context(shared_mlflow_server(Path(folder) / "mlflow"))
            run_id = log_bundle(real.url, candidate.bundle)
            other = Path(held) / "with-mlflow"
            bench = Bench(
                DirectoryStore(other), MlflowTracking(real.url), candidate.bundle, run_id, put_in_directory(other)
            )
            measure("Directory, with a real MLflow server's share", bench, (10, 100, 1000))


if __name__ == "__main__":
    main(sys.argv[1:] or ["directory", "s3"])
