"""2, 8 and 64 processes at once, on a directory and on a real S3 server; owners that sleep or die; two terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.identity import parse_semver
from lynxgate.promotion.recovery import recover_all
from tests.fault_proxy import FaultProxy
from tests.faults import invariants
from tests.faults.invariants import Attempt, Look, take_look
from tests.faults.networked import S3Bench
from tests.faults.races import Field, race
from tests.faults.scene import NEW, OLD, OTHER, Try
from tests.promotion.conftest import memory  # noqa: F401 - pytest finds fixtures by their names here
from tests.promotion.workshop import Workshop, open_context, write_baseline, write_evaluation
from tests.s3_servers import S3Server

STORES = ("directory", "seaweedfs")
SIXTY_FOUR = [pytest.mark.slow, pytest.mark.timeout(1200)]
RACES = [
    *((store, racers) for racers in (2, 8) for store in STORES),
    pytest.param("directory", 64, marks=SIXTY_FOUR),
    pytest.param("seaweedfs", 64, marks=[*SIXTY_FOUR, pytest.mark.heavy]),  # of one S3 server: minutes
]
races = pytest.mark.parametrize(("ground", "racers"), RACES, indirect=["ground"])


class Ground:
    """A registry with v0.3.0 in production, and as many candidates as a race needs."""

    def __init__(self, folder: Path, server: S3Server | None) -> None:
        self.folder = folder
        self.workshop = Workshop(folder)
        address = server.new_registry() if server else str(folder / "registry")
        self.field = Field(address, self.workshop.tracking.root, server.environment() if server else {})
        self.store = self.field.open()
        self.later = self.field.open(later=True)
        made = Try(self.workshop.candidate("a"), OLD).run(self.store, self.field.tracking)
        assert made.exit == 0, made.said

    def look(self, may_be: Sequence[str], **options: object) -> Look:
        return take_look(self.store, self.field.tracking, frozenset({OLD, *may_be}), **options)  # type: ignore[arg-type]

    def race(self, tries: Sequence[Try]) -> list[Attempt]:
        """Run them at once; nothing is lost, no invariant breaks, and nothing is left to recover."""
        may_be = sorted({each.semver for each in tries})
        before = self.look(may_be)
        attempts, polled = race(self.field, tries, self.folder / f"race-{time.monotonic_ns()}")
        after = self.look(may_be, polled=polled, ended=True)
        for attempt in attempts:
            assert attempt.exit in (0, 6), attempt.said
            story = [before, Look(**{**vars(after), "attempt": attempt})]
            assert invariants.check(story) == []
        assert audit(self.store, self.field.tracking).findings == ()
        print(f"{len(tries)} at once: {dict(Counter(_in_short(each) for each in attempts))}", file=sys.stderr)
        return attempts

    def again(self, attempt: Try) -> Attempt:
        return attempt.run(self.store, self.field.tracking)

    def check(self) -> None:
        context = open_context(self.later, self.field.tracking)
        assert recover_all(context) == []
        assert audit(self.later, self.field.tracking).findings == ()


def _in_short(attempt: Attempt) -> str:
    return attempt.said if attempt.exit == 0 else f"exit {attempt.exit}"


@pytest.fixture
def ground(request: pytest.FixtureRequest, memory: Path) -> Ground:  # noqa: F811 - the fixture
    """See `Ground`."""
    return Ground(memory, request.getfixturevalue("seaweedfs") if request.param == "seaweedfs" else None)


@races
@pytest.mark.slow
def test_of_many_who_promote_the_same_one_does_and_all_can_say_so(ground: Ground, racers: int) -> None:
    same = Try(ground.workshop.candidate("b"), NEW)
    attempts = ground.race([same] * racers)
    said = Counter(_in_short(attempt) for attempt in attempts)
    assert said["promoted"] == 1
    assert set(said) <= {"promoted", "already promoted", "exit 6"}
    for attempt in attempts:
        if attempt.exit:
            assert NEW in attempt.said
            assert "another process" in attempt.said or "being promoted by" in attempt.said or "again" in attempt.said
    for _ in range(min(racers - 1, 3)):
        assert ground.again(same).said == "already promoted"
    ground.check()


@races
@pytest.mark.heavy
def test_of_many_shas_one_gets_the_semver_and_the_others_the_next(ground: Ground, racers: int) -> None:
    tries = [Try(ground.workshop.candidate(f"n{number}"), NEW) for number in range(racers)]
    attempts = ground.race(tries)
    assert [attempt.exit for attempt in attempts].count(0) == 1
    winner = next(each for each, attempt in zip(tries, attempts, strict=True) if attempt.exit == 0)
    assert ground.look([NEW]).tags["semver"][NEW] == winner.candidate.sha
    losers = [each for each in tries if each is not winner]
    for number, loser in enumerate(losers):
        refused = ground.again(loser)
        assert refused.exit == 6
        assert f"{NEW} belongs to {winner.candidate.sha}" in refused.said
        assert ground.again(Try(loser.candidate, f"v0.4.{number}")).said == "promoted"
    ground.check()


@races
@pytest.mark.heavy
def test_of_many_versions_production_only_rises_and_none_is_lost(ground: Ground, racers: int) -> None:
    tries = [Try(ground.workshop.candidate(f"n{number}"), f"v0.4.{number}") for number in range(racers)]
    attempts = ground.race(tries)
    won = [each.semver for each, attempt in zip(tries, attempts, strict=True) if attempt.exit == 0]
    look = ground.look(won)
    assert won
    assert {OLD, *won} == set(look.tags["semver"])
    assert look.production == max(won, key=parse_semver)
    assert len(look.lines) == 1 + len(won)
    for each, attempt in zip(tries, attempts, strict=True):
        if attempt.exit == 0:
            assert ground.again(each).said == "already promoted"
            continue
        allowed = parse_semver(each.semver) > parse_semver(ground.look(won).production or OLD)
        assert ground.again(each).exit == (0 if allowed else 6)
    ground.check()


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "every", [pytest.param(2, id="every other write"), pytest.param(1, marks=pytest.mark.heavy, id="every write")]
)
def test_an_owner_on_s3_that_sleeps_past_its_deadline_and_wakes_does_no_harm(
    memory: Path,  # noqa: F811 - the fixture
    seaweedfs: S3Server,
    every: int,
) -> None:
    """Stopped right after a write was applied; an hour later others promote, and it goes on."""
    with FaultProxy(seaweedfs.url, keep_host=True) as proxy:
        bench = S3Bench(memory, seaweedfs, proxy)
        writes = [call for call in bench.calls() if call.name.startswith("PUT")]
        assert len(writes) > 6
        if every > 1:
            writes = writes[3::every]  # from the record on
        base, endings = bench.save(), Counter[str]()
        for number, call in enumerate(writes):
            candidate, semver = ((bench.cast.next, NEW), (bench.cast.other, OTHER))[number % 2]
            bench.restore(base)
            asleep = bench.sleep_after(call.point)
            may_be = frozenset({OLD, NEW, semver})
            story = [take_look(bench.store, bench.tracking, may_be)]
            met = Try(candidate, semver).run(bench.later, bench.tracking, frozenset({0}))
            story.append(take_look(bench.later, bench.tracking, may_be, attempt=met))
            woken = asleep.wake()
            endings[_in_short(woken)] += 1
            story.append(take_look(bench.later, bench.tracking, may_be, attempt=woken))
            context = open_context(bench.later, bench.tracking)
            recover_all(context)
            story.append(take_look(bench.later, bench.tracking, may_be, ended=True))
            assert invariants.check(story) == [], call.name
            assert audit(bench.later, bench.tracking).findings == ()
        print(f"{len(writes)} sleepers, woken: {dict(endings)}", file=sys.stderr)


@pytest.mark.heavy
def test_two_terminals_promote_against_one_s3_server(
    tmp_path: Path,
    s3_registry: str,
    fresh_run: tuple[str, str],
    logged_model: tuple[str, str, Path],
    mlflow_server: object,
) -> None:
    run_id, sha = fresh_run
    (tmp_path / "candidate_eval.json").write_bytes(write_evaluation(sha, run_id))
    (tmp_path / "eval_baseline.json").write_bytes(write_baseline())
    program = str(Path(sys.executable).with_name("lynxgate"))
    variables = os.environ | {
        "LYNX_ENV": "dev",
        "LYNXGATE_REGISTRY": s3_registry,
        "MLFLOW_TRACKING_URI": mlflow_server.url,  # type: ignore[attr-defined]
    }
    command = [program, "promote", "--canonical-sha", sha, "--semver", "v0.1.0", "--bundle", str(logged_model[2])]

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            list(arguments), cwd=tmp_path, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    made = start(program, "registry", "init", "--environment", "dev")
    assert made.communicate(timeout=120)[1] == "", "no complaint"
    terminals = [start(*command), start(*command)]
    ends = [(*terminal.communicate(timeout=200), terminal.returncode) for terminal in terminals]
    outputs = [out for out, _, _ in ends]
    assert outputs.count(f"promoted v0.1.0 {sha}\n") == 1, ends
    ((_, words, code),) = [end for end in ends if end[0] != f"promoted v0.1.0 {sha}\n"]
    assert code in (0, 6)
    if code == 6:
        assert "v0.1.0" in words
        assert "Traceback" not in words
    again = start(*command)
    assert again.communicate(timeout=200)[0] == f"already promoted v0.1.0 {sha}\n"
    listed = start(program, "registry", "list", "--json")
    assert [event["semver"] for event in json.loads(listed.communicate(timeout=120)[0])["events"]] == ["v0.1.0"]
    verified = start(program, "registry", "verify", "--json")
    found = json.loads(verified.communicate(timeout=200)[0])
    assert (found["promotions"], found["entries"]) == (1, 1)
    # Other tests' registries share the server: only their tags, on their runs, may be found.
    stray = "is of no promotion of this registry"
    assert [each for each in found["findings"] if stray not in each["problem"] or run_id in each["place"]] == []
