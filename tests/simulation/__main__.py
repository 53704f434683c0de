"""Run seeds of the simulator on every core: `python -m tests.simulation <seeds> <first seed>`.

With ``--show``, print every step of one seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from dataclasses import replace

from tests.simulation.world import Ended, World, describe_failure


def main() -> int:
    """The exit code: 1 when a seed found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=1000)
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("--show", action="store_true", help="print the steps of the first seed, and run no other")
    chosen = parser.parse_args()
    if chosen.show:
        ended = World(chosen.first).run()
        print("\n".join((*map(str, ended.transcript), *ended.wrong)))
        return 1 if ended.wrong else 0
    return run_seeds(range(chosen.first, chosen.first + chosen.seeds))


def run_seeds(seeds: range) -> int:
    """Run them, and print what they found and how fast they were."""
    started, failed, steps, checks = time.perf_counter(), 0, 0, 0
    endings: Counter[str] = Counter()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for ended in pool.imap(_run, seeds, chunksize=10):
            steps, checks, endings = steps + ended.steps, checks + ended.checks, endings + ended.endings
            if ended.wrong:
                failed += 1
                print(describe_failure(ended), flush=True)
        pool.close()
        pool.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    seconds = time.perf_counter() - started
    print(", ".join(f"{name}: {count}" for name, count in sorted(endings.items())))
    print(
        f"{len(seeds)} seeds from {seeds.start}, {steps} steps, {checks} checks of invariants, {failed} seeds failed; "
        f"{seconds:.0f} s, {60 * len(seeds) / seconds:.0f} seeds a minute on {os.cpu_count()} cores; "
        f"{1000 * cpu / len(seeds):.0f} ms of CPU a seed"
    )
    return 1 if failed else 0


def _run(seed: int) -> Ended:
    ended = World(seed).run()
    return ended if ended.wrong else replace(ended, transcript=())


if __name__ == "__main__":
    sys.exit(main())
