"""Run every fault on every call, print the table, and write it into a page between its markers.

``python -m tests.faults.table [--extent pairs] [--only NAME] [--write PAGE]``: progress on stderr, the table on
stdout, exit 1 when an invariant was violated. `just faults` runs all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.fault_proxy import FaultProxy
from tests.faults.cases import Bench, Result, run_case
from tests.faults.catalogue import Extent, Fault, choose_cases
from tests.faults.directory import DirectoryBench
from tests.faults.networked import MlflowBench, S3Bench
from tests.s3_servers import shared_seaweedfs
from tests.servers import shared_mlflow_server

BENCHES = ("S3", "directory", "directory, first promotion", "MLflow")  # the longest first
SEED = 20
BEGIN, END = "<!-- faults -->", "<!-- /faults -->"
_HEADING = "## What a fault leaves"


@dataclass(frozen=True)
class Run:
    """What one bench gave."""

    bench: str
    calls: int
    states: int
    seconds: float
    results: tuple[Result, ...]


@contextlib.contextmanager
def open_bench(name: str) -> Iterator[Bench]:
    """A bench with its server and proxy, in memory where there is one."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as made:
        folder = Path(made)
        match name:
            case "S3":
                with shared_seaweedfs(folder / "server") as s3, FaultProxy(s3.url, keep_host=True) as proxy:
                    yield S3Bench(folder / "workshop", s3, proxy, SEED)
            case "MLflow":
                with shared_mlflow_server(folder / "server") as mlflow, FaultProxy(mlflow.url) as proxy:
                    yield MlflowBench(folder / "workshop", mlflow, proxy, SEED)
            case _:
                yield DirectoryBench(folder, first=name != "directory")


def run_bench(name: str, extent: Extent) -> Run:
    """Run the cases of a bench."""
    with open_bench(name) as bench:
        return strike(bench, extent)


def strike(bench: Bench, extent: Extent) -> Run:
    """Run the cases of an open bench."""
    started = time.monotonic()
    calls = bench.calls()
    cases = choose_cases(calls, extent, SEED)
    base, met, results = bench.save(), set[str](), list[Result]()
    for number, case in enumerate(cases, 1):
        results.append(run_case(bench, base, case, met))
        for wrong in results[-1].wrong:
            _say(f"{bench.name}: {case.fault.value} at call {case.call.point}, {case.call.name}: {wrong}")
        if number % 50 == 0 or number == len(cases):
            violated = sum(bool(result.wrong) for result in results)
            _say(f"{bench.name}: {number} of {len(cases)} faults, {violated} with a violation")
    return Run(bench.name, len(calls), len(met), time.monotonic() - started, tuple(results))


def format_table(runs: Iterable[Run]) -> str:
    """The table as Markdown, with the counts over it."""
    runs = list(runs)
    results = [result for run in runs for result in run.results]
    ends = sum((result.attempts for result in results), Counter[int]())
    said = ", ".join(f"exit {code}: {ends[code]}" for code in sorted(ends))
    lines = [
        f"{len(results)} faults at {sum(run.calls for run in runs)} calls. A reader finds the old state after "
        f"{sum(not result.new for result in results)} of them and the new one after "
        f"{sum(result.new for result in results)}; never anything else. They leave {sum(run.states for run in runs)} "
        f"different states (owners and times aside), and {sum(ends.values())} promotions met those: {said} "
        "(5: an owner was stopped while it held the directory's lock; 6: a lease was running, or another SHA asked). "
        f"{sum(result.checks for result in results)} checks of invariants, "
        f"{sum(len(result.wrong) for result in results)} violations.",
        "",
        "Each cell: faults after which a reader finds the old state / the new one.",
        "",
        "| where | call | calls | " + " | ".join(fault.value for fault in Fault) + " |",
        "|---|---|--:|" + "--:|" * len(Fault),
    ]
    for place, here in groupby(sorted(results, key=_place), key=_place):
        by_kind: dict[str, list[Result]] = {}
        for result in here:
            by_kind.setdefault(result.case.call.kind, []).append(result)
        for kind, found in sorted(by_kind.items()):
            cells = [_cell([result for result in found if result.case.fault is fault]) for fault in Fault]
            calls = max(sum(result.case.fault is fault for result in found) for fault in Fault)
            lines.append(f"| {place} | `{kind}` | {calls} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_block(path: Path, table: str) -> None:
    """Replace what stands between the markers, or add it with them at the end."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{_HEADING}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Run what was asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.table")
    parser.add_argument("--extent", type=Extent, default=Extent.ALL, help="which cases: all, pairs or kinds")
    parser.add_argument("--only", choices=BENCHES, help="one bench")
    parser.add_argument("--write", type=Path, help="the file whose block is replaced")
    chosen = parser.parse_args()
    started = time.monotonic()
    names = [chosen.only] if chosen.only else list(BENCHES)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = list(pool.map(run_bench, names, [chosen.extent] * len(names)))
    table = format_table(runs)
    print(table)
    for run in runs:
        _say(f"{run.bench}: {len(run.results)} faults at {run.calls} calls in {run.seconds:.0f} s")
    _say(f"all of it in {time.monotonic() - started:.0f} s")
    if chosen.write:
        write_block(chosen.write, table)
    return int(any(result.wrong for run in runs for result in run.results))


def _place(result: Result) -> str:
    return result.case.call.place


def _cell(results: list[Result]) -> str:
    if not results:
        return ""
    wrong = sum(bool(result.wrong) for result in results)
    new = sum(result.new for result in results)
    return f"{len(results) - new} / {new}" + (f" ({wrong} violations)" if wrong else "")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
