"""A disk that is full, read-only, or keeps what a crash left on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.registry.resolve import find_production
from tests.faults import invariants
from tests.faults.invariants import take_look
from tests.faults.scene import NEW, OLD, OTHER, Cast, Try, directory_stores, open_registry
from tests.promotion.workshop import Workshop

PAGE = 4096


@contextlib.contextmanager
def mounted(place: Path) -> Iterator[Path]:
    """An empty file system of its own in memory; where this user may not mount: a skip, and in CI a failure."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        told = "this user may not mount a file system"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def used(place: Path) -> int:
    return shutil.disk_usage(place).used


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_write_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    cast = Cast.of_workshop(workshop)
    endings = []
    with mounted(tmp_path / "disk") as disk:
        store, later = directory_stores(disk / "registry")
        for pages in range(40):
            remount(disk, "size=1m")
            shutil.rmtree(disk / "registry", ignore_errors=True)
            for tag in workshop.tracking.root.glob("*/tags/*"):
                tag.unlink()
            open_registry(store, workshop.tracking, cast)
            story = [take_look(store, workshop.tracking, frozenset({OLD}))]
            remount(disk, f"size={used(disk) + pages * PAGE}")
            struck = Try(cast.next, NEW).run(store, workshop.tracking)
            story.append(take_look(store, workshop.tracking, frozenset({OLD, NEW}), attempt=struck))
            remount(disk, "size=1m")
            again = Try(cast.next, NEW).run(later, workshop.tracking, frozenset({0}))
            story.append(take_look(later, workshop.tracking, frozenset({NEW}), attempt=again, ended=True))
            assert invariants.check(story) == [], pages
            assert audit(later, workshop.tracking).findings == ()
            endings.append(struck.exit)
            if struck.exit == 0:
                break
    assert endings[-1] == 0
    assert set(endings[:-1]) == {5}
    print(f"{len(endings)} sizes of disk, {endings.count(5)} full")


def test_a_read_only_registry_is_read_and_refuses_the_promotion(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    cast = Cast.of_workshop(workshop)
    with mounted(tmp_path / "disk") as disk:
        store, _ = directory_stores(disk / "registry")
        open_registry(store, workshop.tracking, cast)
        remount(disk, "ro")
        before = take_look(store, workshop.tracking, frozenset({OLD}))
        attempt = Try(cast.next, NEW).run(store, workshop.tracking, frozenset({5}))
        assert "Read-only file system" in attempt.said
        after = take_look(store, workshop.tracking, frozenset({OLD}), attempt=attempt)
        assert invariants.check([before, after]) == []
        assert (after.records, after.lines, after.carried) == (before.records, before.lines, before.carried)
        assert audit(store, workshop.tracking).findings == ()
        remount(disk, "rw")
        assert Try(cast.next, NEW).run(store, workshop.tracking).exit == 0


@pytest.mark.parametrize("kept", [1, 20, -1], ids=["one byte", "twenty bytes", "all but one byte"])
def test_a_torn_last_line_of_the_index_is_cut_off_by_the_next_promotion(tmp_path: Path, kept: int) -> None:
    workshop = Workshop(tmp_path)
    cast = Cast.of_workshop(workshop)
    store, later = directory_stores(tmp_path / "registry")
    open_registry(store, workshop.tracking, cast)
    before = take_look(store, workshop.tracking, frozenset({OLD, NEW}))
    index = tmp_path / "registry" / "index.jsonl"
    torn = before.lines[0].replace(b'"number":1', b'"number":2')[:kept]
    index.write_bytes(index.read_bytes() + torn)
    seen = take_look(store, workshop.tracking, frozenset({OLD}))
    assert seen.lines == before.lines
    assert audit(store, workshop.tracking).findings == ()
    attempt = Try(cast.next, NEW).run(store, workshop.tracking, frozenset({0}))
    after = take_look(later, workshop.tracking, frozenset({OLD, NEW}), attempt=attempt, ended=True)
    assert invariants.check([before, seen, after]) == []
    assert len(after.lines) == 2
    assert audit(later, workshop.tracking).findings == ()


def test_temporary_files_that_a_crash_left_are_in_nobodys_way(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    cast = Cast.of_workshop(workshop)
    store, later = directory_stores(tmp_path / "registry")
    open_registry(store, workshop.tracking, cast)
    before = take_look(store, workshop.tracking, frozenset({OLD, NEW, OTHER}))
    registry = tmp_path / "registry"
    entry = registry / "entries" / cast.next.sha
    (entry / "evidence").mkdir(parents=True)
    left = [
        registry / ".tags.json.tmp",
        registry / "journal" / f".{NEW}.json.tmp",
        entry / ".manifest.json.tmp",
        registry / ".index.jsonl.tmp",
    ]
    for path in left:
        path.write_bytes(b"half of a docum")
    assert find_production(store) == OLD
    assert audit(store, workshop.tracking).findings == ()
    for candidate, semver in ((cast.next, NEW), (cast.other, OTHER)):
        attempt = Try(candidate, semver).run(store, workshop.tracking, frozenset({0}))
        after = take_look(later, workshop.tracking, before.may_be, attempt=attempt, ended=True)
        assert invariants.check([before, after]) == []
    assert audit(later, workshop.tracking).findings == ()
    assert [path.name for path in left if path.exists()] == [".index.jsonl.tmp"]
