"""What the promotion's tests work with: small real bundles and documents, and runs kept in a directory.

`DirectoryTracking` implements `lynxgate.ports.Tracking` over files, so that hundreds of promotions can be killed in
seconds; the real MLflow server is in `test_mlflow.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from lynxgate.adapters.local import DirectoryStore
from lynxgate.audit.finding import Finding
from lynxgate.errors import CannotJudge, StoreFailure
from lynxgate.ports import (
    AliasedVersion,
    Progress,
    RegisteredVersion,
    RegistryStore,
    RunFacts,
    RunModel,
    RunTag,
    RunTags,
)
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import Receipt, promote
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.registry.record import Journal, name_owner
from minieval.contract.bundle import read_manifest
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.writes import write_atomically

DEV = {"LYNX_ENV": "dev"}
CI = {"GITHUB_ACTIONS": "true"}
EVAL_SET = "a" * 32
LEASE = timedelta(minutes=5)


class DirectoryTracking:
    """Runs in a directory: `<run>/model/...`, `<run>/<name>/...` for further models, and `<run>/tags/<key>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def location(self) -> str:
        return str(self.root)

    def add_run(self, run_id: str, bundle: Path) -> None:
        shutil.copytree(bundle, self.root / run_id / "model")
        (self.root / run_id / "tags").mkdir()

    def resolve(self, reference: str) -> RegisteredVersion:
        raise CannotJudge(f"no registered models here: {reference}")

    def read_facts(self, run_id: str) -> RunFacts:
        return RunFacts(self.read_tag(run_id, "training_data_sha256"))

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        if not (self.root / run_id).is_dir():
            raise CannotJudge(f"no run {run_id}")
        folder = self._model(run_id, name)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return RunModel(run_id, tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in files))

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        del progress
        if not (self.root / run_id).is_dir():
            raise CannotJudge(f"no run {run_id}")
        shutil.copytree(self._model(run_id, name), destination)

    def read_tag(self, run_id: str, key: str) -> str | None:
        path = self._tag(run_id, key)
        return path.read_text() if path.exists() else None

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        write_atomically(self._tag(run_id, key), value.encode())

    def find_tags(self, prefix: str) -> Iterator[RunTag]:
        for path in sorted(self.root.glob(f"*/tags/{prefix}*")):
            yield RunTag(path.parent.parent.name, path.name, path.read_text())

    def set_alias(
        self, model: str, run_id: str, tags: Mapping[str, str], *, alias: str = "production", name: str | None = None
    ) -> None:
        del name
        for key, value in tags.items():
            write_atomically(self._tag(run_id, f"{model}.{key}"), value.encode())
        write_atomically(self.root / f"{model}.{alias}", run_id.encode())

    def read_alias(self, model: str, alias: str = "production", name: str | None = None) -> AliasedVersion | None:
        del name
        path = self.root / f"{model}.{alias}"
        if not path.exists():
            return None
        run_id = path.read_text()
        tags = {tag.name.removeprefix(f"{model}."): tag.read_text() for tag in self._tag(run_id, "").glob(f"{model}.*")}
        return AliasedVersion("1", run_id, f"runs:/{run_id}/model", holds_candidate=True, tags=tags)

    def _model(self, run_id: str, name: str | None) -> Path:
        named = self.root / run_id / (name or "model")
        return named if named.is_dir() else self.root / run_id / "model"

    def _tag(self, run_id: str, key: str) -> Path:
        if not (self.root / run_id).is_dir():
            raise StoreFailure(f"no run {run_id}")
        return self.root / run_id / "tags" / key


class LaterStore(DirectoryStore):
    """The same registry an hour later: every lease is over."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def open_context(
    store: RegistryStore, tracking: RunTags, *, tag_seconds: float = 0.05, owner: str = ""
) -> PromotionContext:
    """The services of one new owner, as `lynxgate.wiring` opens them; ``tag_seconds`` is short, so that tests are."""
    return PromotionContext(store, Journal(store, owner or name_owner(), LEASE), tracking, tag_seconds=tag_seconds)


def leave_out_others(findings: Iterable[Finding], *run_ids: str) -> list[Finding]:
    """The findings without the tags that other tests' registries set on other runs of a shared server."""
    stray = "is of no promotion of this registry"
    return [each for each in findings if stray not in each.problem or any(run in each.place for run in run_ids)]


@dataclass(frozen=True)
class Candidate:
    """A bundle on disk, its run, and the two documents under which it is to be promoted."""

    bundle: Path
    run_id: str
    sha: str
    evaluation: bytes
    baseline: bytes

    def request(self, semver: str) -> Request:
        return Request(self.sha, semver, self.evaluation, self.baseline, self.bundle)


@dataclass(frozen=True)
class Workshop:
    """A folder with a registry, a tracking directory, and candidates A, B, ... made on demand."""

    folder: Path
    registry: str = "registry"

    @property
    def store(self) -> DirectoryStore:
        return DirectoryStore(self.folder / self.registry, patience=5)

    @property
    def later(self) -> LaterStore:
        return LaterStore(self.folder / self.registry, patience=5)

    @property
    def tracking(self) -> DirectoryTracking:
        return DirectoryTracking(self.folder / "mlflow")

    def context(self, store: RegistryStore | None = None, tracking: RunTags | None = None) -> PromotionContext:
        return open_context(store or self.store, tracking or self.tracking)

    def open_registry(self, environment: Environment = Environment.DEV, model: str | None = None) -> None:
        create_registry(self.store, environment, model)

    def candidate(self, name: str, *, correct: int = 95, status: str = "active") -> Candidate:
        bundle = self.folder / "bundles" / name
        if not bundle.exists():
            write_bundle(bundle, name)
        sha = read_manifest(bundle).canonical_sha
        run_id = sha[:32]
        if not (self.tracking.root / run_id).exists():
            self.tracking.add_run(run_id, bundle)
        return Candidate(bundle, run_id, sha, write_evaluation(sha, run_id, correct), write_baseline(status))

    def promote(self, candidate: Candidate, semver: str, *, later: bool = False) -> Receipt:
        context = self.context(self.later if later else self.store)
        return promote(candidate.request(semver), context, self.tracking, DEV)


def write_bundle(bundle: Path, name: str) -> None:
    bundle.mkdir(parents=True)
    (bundle / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\n")
    (bundle / "weights.json").write_text(json.dumps({"name": name}))


def write_evaluation(sha: str, run_id: str, correct: int = 95, n: int = 100) -> bytes:
    figures = {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "outcomes": pack_outcomes([row < correct for row in range(n)]),
    }
    return json.dumps(
        {
            "schema": "minieval.evaluation/1",
            "candidate": {"canonical_sha": sha, "mlflow_run_id": run_id},
            "eval_set": {"dvc_md5": EVAL_SET, "rows": n},
            "evaluator": {"name": "minieval", "version": "0.2.0", "isolation": "bwrap"},
            "aggregate": figures,
            "buckets": {"tense.past": figures},
        }
    ).encode()


def write_baseline(status: str = "active", model: str | None = None) -> bytes:
    figures = {"n": 100, "correct": 95, "accuracy": 0.95}
    return json.dumps(
        {
            "schema": "lynxgate.baseline/1",
            "status": status,
            **({} if model is None else {"model": model}),
            "eval_set": "data/eval/phase-20.jsonl",
            "eval_set_dvc_hash": EVAL_SET,
            "policy": {"rule": "point", "tolerance_pp": 2.0},
            "aggregate": figures,
            "buckets": {"tense.past": figures},
        }
    ).encode()


def with_documents(candidate: Candidate, **changes: bytes) -> Candidate:
    """The same candidate under other documents."""
    return replace(candidate, **changes)  # type: ignore[arg-type]
