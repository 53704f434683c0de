"""Fetching: the story on a real server, the cache and what its hits prove, and what is never deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.candidate.cache import KEEP, Cache
from lynxgate.candidate.fetch import Fetched, fetch, verify_bundle
from lynxgate.errors import CannotJudge, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.ports import Progress, RunModel
from minieval.contract.bundle import read_manifest, read_placed
from minieval.contract.run_note import note_path, read_noted_run
from tests.fault_proxy import Fault, FaultProxy
from tests.servers import MlflowServer, client_of, free_port, log_bundle

RUN = "a" * 32
OTHER_RUN = "b" * 32


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@dataclass
class Folders:
    """A tracking server that is a folder a run; a working stand-in where a server would only take time."""

    root: Path
    calls: list[str] = field(default_factory=list)
    failures: int = 0
    location: str = "folders"

    def log(self, run_id: str, weights: bytes, run: str = "1") -> None:
        bundle = self.root / run_id
        bundle.mkdir(parents=True, exist_ok=True)
        (bundle / "MLmodel").write_text(f"run_id: '{run}'\nflavors: {{}}\n")
        (bundle / "weights.bin").write_bytes(weights)

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        del name
        self.calls.append("find")
        files = sorted(path for path in (self.root / run_id).rglob("*") if path.is_file())
        if not files:
            raise CannotJudge(f"no run {run_id}")
        return RunModel(run_id, tuple((path.name, path.stat().st_size) for path in files))

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        del name
        self.calls.append("download")
        if self.failures:
            self.failures -= 1
            raise OutcomeUnknown("the connection broke")
        shutil.copytree(self.root / run_id, destination)
        if progress:
            progress(1, 1)

    def read_tag(self, run_id: str, key: str) -> str | None:
        raise NotImplementedError

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        raise NotImplementedError


@dataclass
class Bench:
    """A server, a cache and a destination, and the messages."""

    tracking: Folders
    cache: Cache
    destination: Path
    messages: list[str] = field(default_factory=list)

    def fetch(self, run_id: str = RUN, *, expected_sha: str | None = None, fresh: bool = False) -> Fetched:
        self.tracking.calls.clear()
        return fetch(
            self.tracking,
            run_id,
            self.destination,
            self.cache,
            expected_sha=expected_sha,
            fresh=fresh,
            notify=self.messages.append,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    tracking = Folders(tmp_path / "server")
    tracking.log(RUN, b"weights")
    tracking.log(OTHER_RUN, b"others!")
    return Bench(tracking, Cache(tmp_path / "cache"), tmp_path / "work" / "candidate")


def kept(bench: Bench, sha: str) -> Path:
    return bench.cache.root / "bundles" / sha


class TestOnARealServer:
    def test_downloaded_then_cached(self, fault_proxy: FaultProxy, fresh_run: tuple[str, str], tmp_path: Path) -> None:
        run, sha = fresh_run
        tracking, cache = MlflowTracking(fault_proxy.url), Cache(tmp_path / "cache")
        first = fetch(tracking, run, tmp_path / "candidate", cache)
        assert (first.canonical_sha, first.from_cache) == (sha, False)
        assert read_manifest(tmp_path / "candidate") == first.manifest
        downloads = len(fault_proxy.requests("/MLmodel", "GET"))
        second = fetch(tracking, run, tmp_path / "candidate", cache)
        assert (second.canonical_sha, second.from_cache) == (sha, True)
        assert len(fault_proxy.requests("/MLmodel", "GET")) == downloads
        assert read_manifest(tmp_path / "candidate") == first.manifest

    def test_an_overwritten_artifact_is_detected(
        self, mlflow_server: MlflowServer, fresh_run: tuple[str, str], tmp_path: Path
    ) -> None:
        run, sha = fresh_run
        tracking, cache = MlflowTracking(mlflow_server.url), Cache(tmp_path / "cache")
        fetch(tracking, run, tmp_path / "candidate", cache)
        client = client_of(mlflow_server.url)
        (model,) = client.search_logged_models(
            [client.get_run(run).info.experiment_id], filter_string=f"source_run_id = '{run}'"
        )
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "model.json").write_text('{"suffix": "?!"}')
        client.log_model_artifacts(model.model_id, str(tmp_path))
        changed = fetch(tracking, run, tmp_path / "candidate", cache)
        assert not changed.from_cache
        assert changed.canonical_sha != sha
        with pytest.raises(IntegrityFailure, match=f"not the expected {'0' * 64}"):
            fetch(tracking, run, tmp_path / "candidate", cache, expected_sha="0" * 64)

    def test_a_broken_connection_is_tried_again(
        self, fault_proxy: FaultProxy, fresh_run: tuple[str, str], tmp_path: Path
    ) -> None:
        messages: list[str] = []
        fault_proxy.fail(Fault.DROP_AFTER, path="/data/model.json", times=1)
        fetched = fetch(
            MlflowTracking(fault_proxy.url),
            fresh_run[0],
            tmp_path / "candidate",
            Cache(tmp_path / "cache"),
            notify=messages.append,
        )
        assert fetched.canonical_sha == fresh_run[1]
        assert len(messages) == 1
        assert "trying again (1 of 2)" in messages[0]

    @pytest.mark.slow
    def test_no_server(self, tmp_path: Path) -> None:
        with pytest.raises(StoreFailure, match="nothing listens"):
            fetch(
                MlflowTracking(f"http://127.0.0.1:{free_port()}"),
                RUN,
                tmp_path / "candidate",
                Cache(tmp_path / "cache"),
            )
        assert list(tmp_path.iterdir()) == []

    def test_a_run_without_a_model(self, mlflow_server: MlflowServer, tmp_path: Path) -> None:
        run = log_bundle(mlflow_server.url, None)
        with pytest.raises(CannotJudge, match="has no model"):
            fetch(MlflowTracking(mlflow_server.url), run, tmp_path / "candidate", Cache(tmp_path / "cache"))


class TestCache:
    def test_a_hit_downloads_nothing_and_asks_the_server(self, bench: Bench) -> None:
        first = bench.fetch()
        second = bench.fetch()
        assert second == Fetched(first.manifest, first.canonical_sha, from_cache=True)
        assert bench.tracking.calls == ["find"]

    def test_an_expected_sha_needs_no_server(self, bench: Bench) -> None:
        sha = bench.fetch().canonical_sha
        assert bench.fetch(expected_sha=sha).from_cache
        assert bench.tracking.calls == []

    def test_fresh_downloads(self, bench: Bench) -> None:
        bench.fetch()
        assert not bench.fetch(fresh=True).from_cache
        assert bench.tracking.calls == ["find", "download"]

    def test_only_fresh_detects_an_overwrite_of_the_same_size(self, bench: Bench) -> None:
        before = bench.fetch().canonical_sha
        bench.tracking.log(RUN, b"WEIGHTS")
        assert bench.fetch().canonical_sha == before
        after = bench.fetch(fresh=True).canonical_sha
        assert after != before
        assert bench.fetch().canonical_sha == after

    def test_another_size_is_detected_at_once(self, bench: Bench) -> None:
        before = bench.fetch().canonical_sha
        bench.tracking.log(RUN, b"longer weights")
        changed = bench.fetch()
        assert not changed.from_cache
        assert changed.canonical_sha != before

    @pytest.mark.parametrize("poison", ["changed", "missing", "extra", "link", "gone"])
    def test_a_changed_entry_is_removed_and_reported(self, bench: Bench, poison: str) -> None:
        sha = bench.fetch().canonical_sha
        weights = kept(bench, sha) / "weights.bin"
        match poison:
            case "changed":
                weights.write_bytes(b"poison!")
            case "missing":
                weights.unlink()
            case "extra":
                weights.with_name("extra.py").write_text("evil")
            case "link":
                weights.unlink()
                weights.symlink_to("/etc/passwd")
            case _:
                (weights.parent / "MLmodel").unlink()
        again = bench.fetch()
        assert (again.canonical_sha, again.from_cache) == (sha, False)
        assert len(bench.messages) == 1
        assert "was changed" in bench.messages[0]
        assert bench.fetch().from_cache
        assert read_manifest(bench.destination).canonical_sha == sha

    def test_a_false_note_never_gives_other_bytes_than_its_sha(self, bench: Bench) -> None:
        bench.fetch()
        for note in (bench.cache.root / "runs").iterdir():
            note.write_text("{")
        assert not bench.fetch().from_cache

    def test_a_cache_that_cannot_be_written_is_refused_before_anything_is_replaced(self, bench: Bench) -> None:
        bench.cache.root.write_text("a file")
        with pytest.raises(StoreFailure, match="choose another --cache"):
            bench.fetch()
        assert not bench.destination.exists()

    def test_the_newest_stay(self, bench: Bench) -> None:
        shas = []
        for number in range(KEEP + 2):
            bench.tracking.log(RUN, b"x" * number)
            shas.append(bench.fetch().canonical_sha)
        assert {path.name for path in (bench.cache.root / "bundles").iterdir()} == set(shas[-KEEP:])
        assert not list(bench.cache.root.glob("keeping-*"))


class TestDestination:
    def test_another_candidate_replaces_the_one_before(self, bench: Bench) -> None:
        bench.fetch()
        other = bench.fetch(OTHER_RUN)
        assert (bench.destination / "weights.bin").read_bytes() == b"others!"
        assert read_manifest(bench.destination) == other.manifest
        assert set(bench.destination.parent.iterdir()) == {bench.destination, note_path(bench.destination)}

    @pytest.mark.parametrize("theirs", ["folder", "file", "link", "edited", "added", "model of their own"])
    def test_what_fetch_did_not_write_stays(self, bench: Bench, theirs: str, tmp_path: Path) -> None:
        place = bench.destination
        place.parent.mkdir(parents=True)
        match theirs:
            case "folder":
                place.mkdir()
                (place / "thesis.tex").write_text("years of work")
            case "file":
                place.write_text("years of work")
            case "link":
                (tmp_path / "elsewhere").mkdir()
                place.symlink_to(tmp_path / "elsewhere")
            case "edited":
                bench.fetch()
                (place / "weights.bin").write_bytes(b"mine")
            case "added":
                bench.fetch()
                (place / "notes.txt").write_text("mine")
            case _:
                shutil.copytree(bench.tracking.root / RUN, place)
        before = sorted((path, path.lstat().st_mtime_ns) for path in [place, *place.rglob("*")])
        with pytest.raises(Refused, match="not deleted for you"):
            bench.fetch(OTHER_RUN)
        assert sorted((path, path.lstat().st_mtime_ns) for path in [place, *place.rglob("*")]) == before

    def test_an_empty_folder_may_be_replaced(self, bench: Bench) -> None:
        bench.destination.mkdir(parents=True)
        assert bench.fetch()

    @pytest.mark.slow
    def test_a_failure_leaves_the_previous_candidate(self, bench: Bench) -> None:
        sha = bench.fetch().canonical_sha
        bench.tracking.failures = 9
        with pytest.raises(OutcomeUnknown):
            bench.fetch(OTHER_RUN)
        assert bench.tracking.calls == ["find", "download", "download", "download"]
        assert read_manifest(bench.destination).canonical_sha == sha
        assert set(bench.destination.parent.iterdir()) == {bench.destination, note_path(bench.destination)}

    def test_an_unexpected_sha_is_not_placed(self, bench: Bench) -> None:
        with pytest.raises(IntegrityFailure, match="not the expected"):
            bench.fetch(expected_sha="0" * 64)
        assert not bench.destination.exists()

    def test_an_interrupted_placing_can_be_repeated(self, bench: Bench) -> None:
        # As a kill leaves it between the note and the renames: the note names both, the old one stands.
        sha = bench.fetch().canonical_sha
        other = bench.fetch(OTHER_RUN).canonical_sha
        bench.cache.note_placed(bench.destination, sha, other)
        assert bench.fetch().canonical_sha == sha

    def test_a_destination_that_cannot_be_written(self, bench: Bench) -> None:
        bench.destination.parent.write_text("a file")
        with pytest.raises(StoreFailure, match="cannot be written"):
            bench.fetch()


def test_verify_bundle_names_what_changed(bench: Bench) -> None:
    manifest = bench.fetch().manifest
    verify_bundle(bench.destination, manifest)
    (bench.destination / "weights.bin").write_bytes(b"others")
    with pytest.raises(IntegrityFailure, match=r"changed: weights\.bin"):
        verify_bundle(bench.destination, manifest)


def test_the_same_model_logged_by_another_run_is_the_same_content(bench: Bench) -> None:
    bench.tracking.log(OTHER_RUN, b"weights", run="2")
    assert bench.fetch(OTHER_RUN).canonical_sha == bench.fetch().canonical_sha


@pytest.mark.parametrize("again", [False, True])
def test_what_is_placed_is_what_is_hashed_and_nothing_else(bench: Bench, *, again: bool) -> None:
    """From a download and from the cache: no run, no registered model, no byte that the SHA does not cover."""
    (bench.tracking.root / RUN / "registered_model_meta").write_text("model_name: tutor\n")
    fetched = bench.fetch()
    if again:
        fetched = bench.fetch()
        assert fetched.from_cache
    placed = {path.name: path.read_bytes() for path in bench.destination.iterdir()}
    assert placed == {"MLmodel": b'"flavors": {}\n', "weights.bin": b"weights"}
    assert read_placed(bench.destination) == fetched.manifest


@pytest.mark.parametrize("added", ["registered_model_meta", "MLmodel"])
def test_a_cached_copy_with_a_byte_more_is_downloaded_again(bench: Bench, added: str) -> None:
    sha = bench.fetch().canonical_sha
    with (kept(bench, sha) / added).open("ab") as file:
        file.write(b"run_id: x\n")
    fetched = bench.fetch()
    assert not fetched.from_cache
    assert read_placed(bench.destination).canonical_sha == sha


def test_the_run_is_noted_beside_the_bundle(bench: Bench) -> None:
    sha = bench.fetch().canonical_sha
    assert read_noted_run(bench.destination, sha) == RUN
    assert read_noted_run(bench.destination, "0" * 64) is None
    note_path(bench.destination).write_text("{")
    assert read_noted_run(bench.destination, sha) is None
