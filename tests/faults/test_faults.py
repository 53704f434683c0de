"""A fixed sample of the faults, and all of them in `just full`; `just faults` makes the README's table of them."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults.cases import Bench, plain_state
from tests.faults.catalogue import Call, Case, Extent, Fault, choose_cases
from tests.faults.directory import DirectoryBench
from tests.faults.networked import MlflowBench, S3Bench
from tests.faults.table import BEGIN, END, SEED, Run, format_table, strike, write_block
from tests.promotion.conftest import memory  # noqa: F401 - pytest finds fixtures by their names here
from tests.s3_servers import S3Server
from tests.servers import MlflowServer

WHOLE = [pytest.mark.heavy, pytest.mark.timeout(7200)]
KINDS = pytest.param(Extent.KINDS, id="kinds")
ALL = pytest.param(Extent.ALL, marks=WHOLE, id="all")
pytestmark = pytest.mark.timeout(900)


def check(bench: Bench, extent: Extent) -> None:
    run = strike(bench, extent)
    assert {result.case.fault for result in run.results} == set(Fault)
    assert len(run.results) >= run.calls * len(Fault) or extent is not Extent.ALL
    assert [wrong for result in run.results for wrong in result.wrong] == []
    assert run.states > 1
    assert {result.new for result in run.results} == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "extent"),
    [
        pytest.param(False, Extent.PAIRS, id="next promotion, pairs"),
        pytest.param(True, Extent.KINDS, id="first promotion, kinds"),
        pytest.param(False, Extent.ALL, marks=WHOLE, id="next promotion, all"),
        pytest.param(True, Extent.ALL, marks=WHOLE, id="first promotion, all"),
    ],
)
@pytest.mark.heavy
def test_a_directory_that_fails(memory: Path, first: bool, extent: Extent) -> None:  # noqa: F811 - the fixture
    check(DirectoryBench(memory, first=first), extent)


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.parametrize("extent", [KINDS, ALL])
def test_a_real_s3_server_that_fails(memory: Path, seaweedfs: S3Server, extent: Extent) -> None:  # noqa: F811
    with FaultProxy(seaweedfs.url, keep_host=True) as proxy:
        check(S3Bench(memory, seaweedfs, proxy, SEED), extent)


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.parametrize("extent", [KINDS, ALL])
def test_a_real_mlflow_server_that_fails(memory: Path, mlflow_server: MlflowServer, extent: Extent) -> None:  # noqa: F811
    with FaultProxy(mlflow_server.url) as proxy:
        check(MlflowBench(memory, mlflow_server, proxy, SEED), extent)


def test_the_catalogue_has_every_call_with_every_fault_and_the_samples_are_fixed(memory: Path) -> None:  # noqa: F811
    calls = DirectoryBench(memory).calls()
    assert len(set(choose_cases(calls, Extent.ALL, SEED))) == len(calls) * len(Fault)
    assert {"open", "write", "fsync", "replace", "flock", "pwrite", "set_tag", "read_tag", "download"} <= {
        call.kind for call in calls
    }
    kinds = {call.kind for call in calls}
    pairs = choose_cases(calls, Extent.PAIRS, SEED)
    assert Counter((case.call.kind, case.fault) for case in pairs) == Counter(product(kinds, Fault))
    for extent in (Extent.PAIRS, Extent.KINDS):
        sample = choose_cases(calls, extent, SEED)
        assert sample == choose_cases(calls, extent, SEED) != choose_cases(calls, extent, SEED + 1)
        assert ({case.call.kind for case in sample}, {case.fault for case in sample}) == (kinds, set(Fault))
    assert len(sample) == len(kinds)


def test_a_state_is_known_by_what_it_says_not_by_who_wrote_it_when(memory: Path) -> None:  # noqa: F811
    bench = DirectoryBench(memory)
    left = bench.save()
    again = {name: data and data.replace(b'_comment": "write', b'_comment": "other') for name, data in left.items()}
    assert again != left
    assert plain_state(again, bench.store.now()) == plain_state(left, bench.store.now())
    other = {name: data and data.replace(b"v0.3.0", b"v0.3.9") for name, data in left.items()}
    assert plain_state(other, bench.store.now()) != plain_state(left, bench.store.now())


def test_only_the_block_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# Title\n\nwords\n")
    write_block(page, "first")
    page.write_text(page.read_text() + "\n## After\n")
    write_block(page, "second")
    text = page.read_text()
    assert text.startswith("# Title\n\nwords\n")
    assert text.endswith(f"{BEGIN}\nsecond\n{END}\n\n## After\n")
    assert "first" not in text


def test_the_table_counts_each_case_and_shows_a_violation() -> None:
    from tests.faults.cases import Result

    call = Call("S3", 0, "PUT tags.json")
    good, bad = Result(Case(call, Fault.LOST), new=True, checks=3), Result(Case(call, Fault.LOST), wrong=["x"])
    table = format_table([Run("S3", 1, 2, 1.0, (good, bad))])
    assert "2 faults at 1 calls" in table
    assert "3 checks of invariants, 1 violations" in table
    assert "| S3 | `PUT tags.json` | 2 |" in table
    assert "1 / 1 (1 violations)" in table
