"""No step of a promotion reads the history: with 300 promotions behind it, it makes the calls it makes with three."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmarks.growth import Bench, put_in_directory, put_on_s3, semver

from lynxgate.adapters.local import DirectoryStore
from lynxgate.adapters.s3 import S3Store
from lynxgate.audit.history import read_last_events
from lynxgate.audit.verify import audit
from lynxgate.promotion.promote import promote
from lynxgate.serving.releases import find_release
from tests.promotion.workshop import DEV, Workshop, open_context
from tests.s3_servers import S3Server


@pytest.fixture(params=["directory", "seaweedfs"])
def bench(request: pytest.FixtureRequest, workshop: Workshop, tmp_path: Path) -> Bench:
    """A registry that can be filled, on a directory and on SeaweedFS."""
    candidate, tracking = workshop.candidate("a"), workshop.tracking
    if request.param == "directory":
        root = tmp_path / "grown"
        return Bench(DirectoryStore(root), tracking, candidate.bundle, candidate.run_id, put_in_directory(root))
    address: str = request.getfixturevalue("s3_registry")
    server: S3Server = request.getfixturevalue("seaweedfs")
    return Bench(S3Store(address), tracking, candidate.bundle, candidate.run_id, put_on_s3(server, address))


def count_requests(bench: Bench, number: int) -> Counter[str]:
    """How often each method of the store is called by a promotion, a look at production and a list of the last two."""
    calls: Counter[str] = Counter()

    class Counting:
        def __getattr__(self, name: str) -> Any:
            if name not in ("location", "check_conditional_writes"):
                calls[name] += 1
            return getattr(bench.store, name)

    store: Any = Counting()
    context = open_context(store, bench.tracking)
    promote(bench.request(number), context, bench.tracking, DEV)
    assert find_release(store, None).semver == semver(number)
    assert read_last_events(store, 2)[2] == number - 2
    return calls


@pytest.mark.slow
def test_calls_do_not_grow(bench: Bench) -> None:
    bench.fill(3)
    few = count_requests(bench, 4)
    bench.fill(300)
    assert count_requests(bench, 301) == few
    assert not {"lines", "keys"} & set(few), json.dumps(few)
    assert audit(bench.store, None).findings == ()  # what was written straight is as promotions write it
