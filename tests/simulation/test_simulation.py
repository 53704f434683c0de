"""A short run of the simulator, that a seed replays its run, and the bugs that it must find.

`just simulate` runs more seeds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.handles import Fault
from tests.simulation.world import STEPS, World, describe_failure

SEEDS = 150


@pytest.mark.slow
def test_no_seed_breaks_an_invariant() -> None:
    endings: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    for seed in range(1, SEEDS + 1):
        ended = World(seed).run()
        assert not ended.wrong, describe_failure(ended)
        assert ended.steps == STEPS
        endings += ended.endings
        happened.update(step.happened for step in ended.transcript)
    # What never happened has shown nothing.
    for name in ("promote 0", "promote 5", "promote 6", "promote killed", "roll 0", "tombstone 0", "recover 0"):
        assert endings[name] > SEEDS // 10, endings
    assert {*Fault, "crash", "crash before", "done, then crash", "arrives late"} <= set(happened)


@pytest.mark.slow
def test_a_seed_replays_its_run() -> None:
    """In another process too, where sets have another order."""
    script = "from tests.simulation.world import World; print('\\n'.join(map(str, World(7).run().transcript)))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == "\n".join(map(str, World(7).run().transcript)) + "\n"
    assert World(8).run().transcript != World(7).run().transcript


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    for seed in range(1, bug.within + 1):
        ended = bug.plant(seed).run()
        if ended.wrong:
            report = describe_failure(ended)
            assert f"replay: just simulate 1 {seed} --show" in report
            assert bug.plant(seed).run().wrong == ended.wrong
            return
    pytest.fail(f"{bug.name} was not found in {bug.within} seeds")
