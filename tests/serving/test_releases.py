"""The serving side: what a version resolves to, what is refused, and that every byte placed is the promoted one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.candidate.cache import Cache
from lynxgate.candidate.fetch import Fetched, fetch
from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, IntegrityFailure, OutcomeUnknown, Refused
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry, manifest_key
from lynxgate.serving.releases import find_release
from minieval.contract.bundle import read_manifest
from minieval.contract.exits import Exit
from tests.promotion.kills import kill_at, record_calls
from tests.promotion.workshop import DEV, DirectoryTracking, Workshop, write_baseline, write_evaluation
from tests.servers import MlflowServer


@pytest.fixture
def promoted(workshop: Workshop) -> Workshop:
    """v0.3.0 (bundle a), then v0.3.1 (bundle b) in production."""
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.promote(workshop.candidate("b"), "v0.3.1")
    return workshop


def serve(workshop: Workshop, semver: str | None) -> Fetched:
    release = find_release(workshop.store, semver)
    return fetch(
        workshop.tracking,
        release.run_id,
        workshop.folder / "served",
        Cache(workshop.folder / "cache"),
        expected=release.manifest,
    )


def test_a_version_and_production_are_brought_and_verified(promoted: Workshop) -> None:
    assert serve(promoted, "v0.3.0").canonical_sha == promoted.candidate("a").sha
    assert serve(promoted, None).canonical_sha == promoted.candidate("b").sha
    assert read_manifest(promoted.folder / "served").canonical_sha == promoted.candidate("b").sha


def test_production_follows_a_rollback(promoted: Workshop) -> None:
    roll_back("v0.3.0", promoted.context(), DEV)
    assert find_release(promoted.store, None).semver == "v0.3.0"
    assert find_release(promoted.store, "v0.3.1").canonical_sha == promoted.candidate("b").sha


@pytest.mark.slow
def test_a_promotion_under_way_is_not_served_and_the_one_before_it_is(promoted: Workshop) -> None:
    """Killed after `tags.json` names v0.3.2 and before its commit."""
    candidate = promoted.candidate("c")
    trial = Workshop(promoted.folder / "trial")
    trial.promote(trial.candidate("a"), "v0.3.0")
    calls = record_calls(lambda: trial.promote(trial.candidate("b"), "v0.3.1"), trial.folder / "registry")
    named = next(i for i, call in enumerate(calls) if call.startswith("replace") and "tags.json" in call)
    registry = promoted.folder / "registry"
    assert kill_at(lambda: promoted.promote(candidate, "v0.3.2"), registry, named, "after")
    assert find_release(promoted.store, None).semver == "v0.3.1"
    with pytest.raises(CannotJudge, match=r"v0\.3\.2 is not promoted \(its record is pending\)"):
        find_release(promoted.store, "v0.3.2")


def test_what_is_not_promoted_is_not_served(workshop: Workshop) -> None:
    workshop.open_registry()
    for semver, words in ((None, "nothing is in production"), ("v9.9.9", "v9.9.9 is not promoted")):
        with pytest.raises(CannotJudge, match=words):
            find_release(workshop.store, semver)


def test_a_version_that_mlflow_never_took_is_not_served(promoted: Workshop) -> None:
    class Silent(DirectoryTracking):
        def set_tag(self, run_id: str, key: str, value: str) -> None:
            raise OutcomeUnknown("500")

    silent, candidate = Silent(promoted.tracking.root), promoted.candidate("c")
    with pytest.raises(OutcomeUnknown.__mro__[1], match="not promoted"):
        promote(candidate.request("v0.3.2"), promoted.context(tracking=silent), silent, DEV)
    with pytest.raises(CannotJudge, match=r"its record is in-doubt"):
        find_release(promoted.store, "v0.3.2")


def test_a_tombstoned_bundle_is_not_served(promoted: Workshop) -> None:
    tombstone(promoted.candidate("a").sha, "leaks names", promoted.context(), DEV)
    with pytest.raises(Refused, match="leaks names"):
        find_release(promoted.store, "v0.3.0")
    assert find_release(promoted.store, None).semver == "v0.3.1"


def test_overwritten_artifacts_are_named_and_nothing_is_placed(promoted: Workshop) -> None:
    model = promoted.tracking.root / promoted.candidate("b").run_id / "model"
    (model / "weights.json").write_text("{}")
    (model / "more.txt").write_text("")
    with pytest.raises(IntegrityFailure, match=r"\(extra: more\.txt; changed: weights\.json\)"):
        serve(promoted, None)
    assert not (promoted.folder / "served").exists()


def test_a_manifest_or_tags_that_were_altered_serve_nothing(promoted: Workshop) -> None:
    sha = promoted.candidate("b").sha
    manifest = promoted.folder / "registry" / manifest_key(sha)
    data = manifest.read_bytes()
    manifest.write_bytes(data + b" ")
    with pytest.raises(IntegrityFailure, match="hashes to"):
        find_release(promoted.store, None)
    manifest.unlink()
    with pytest.raises(IntegrityFailure, match="is missing"):
        find_release(promoted.store, None)
    manifest.write_bytes(data)
    tags = promoted.folder / "registry" / "tags.json"
    tags.write_bytes(tags.read_bytes().replace(sha.encode(), b"0" * 64))
    with pytest.raises(IntegrityFailure, match="in its record"):
        find_release(promoted.store, None)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--production", "--semver", "v0.3.1"], ["--run-id", "0" * 32, "--production"]],
)
def test_exactly_one_of_three_names_what_to_fetch(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fetch", *arguments]) == Exit.USAGE
    assert "exactly one of" in capfd.readouterr().err


def test_the_command_on_a_real_server(
    workshop: Workshop,
    mlflow_server: MlflowServer,
    fresh_run: tuple[str, str],
    logged_model: tuple[str, str, Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    run_id, sha = fresh_run
    tracking = MlflowTracking(mlflow_server.url)
    create_registry(workshop.store, Environment.DEV)
    request = Request(sha, "v0.3.1", write_evaluation(sha, run_id), write_baseline(), logged_model[2])
    promote(request, workshop.context(tracking=tracking), tracking, DEV)
    place = ["--registry", str(workshop.folder / "registry"), "--tracking-uri", mlflow_server.url]
    place += ["--cache", str(workshop.folder / "cache")]
    for which, name in ((["--semver", "v0.3.1"], "first"), (["--production"], "second")):
        dest = workshop.folder / name
        assert run(["fetch", *which, *place, "--dest", str(dest)]) == Exit.OK
        out, err = capfd.readouterr()
        assert out == f"{sha}\n"
        assert f"v0.3.1 is {sha}, from run {run_id}" in err
        assert read_manifest(dest).canonical_sha == sha
    nowhere = ["--dest", str(workshop.folder / "third")]
    assert run(["fetch", "--semver", "v0.3.2", *place, *nowhere]) == Exit.CANNOT_JUDGE
    assert run(["fetch", "--production", "--expect-sha", "0" * 64, *place, *nowhere]) == Exit.INTEGRITY
    tombstone_it = ["registry", "tombstone", sha, "--reason", "x", *place[:4]]
    assert "LYNX_ENV" not in os.environ
    assert run(tombstone_it) == Exit.REFUSED
