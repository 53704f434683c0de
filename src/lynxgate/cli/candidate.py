"""Commands that bring what a decision needs: ``fetch``, ``pull`` and ``check-eval-set``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import (
    BASELINE,
    BUNDLE,
    REGISTRY,
    BaselinePath,
    ModelName,
    OwnEvalSetPath,
    RegisteredModel,
    Registry,
    TrackingUri,
)
from lynxgate.cli.output import note, print_text
from lynxgate.ports import Progress, RegisteredModels
from lynxgate.settings import DEFAULT_CACHE

if TYPE_CHECKING:
    from lynxgate.decision.baseline import Baseline


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    example = "fetch --run-id 0123456789abcdef0123456789abcdef\nfetch --production --dest model"
    add_command(app, "fetch", fetch, panel=Panel.GATE, example=example)
    add_command(app, "pull", pull, panel=Panel.GATE, example="pull data/eval/eval.jsonl")
    add_command(app, "check-eval-set", check_eval_set, panel=Panel.GATE, example="check-eval-set")


def fetch(
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="A candidate: the MLflow run that logged the model.")
    ] = None,
    model: RegisteredModel = None,
    model_name: ModelName = None,
    semver: Annotated[str | None, typer.Option("--semver", help="A promoted version, for example v0.3.1.")] = None,
    production: Annotated[bool, typer.Option("--production", help="The version in production.")] = False,
    dest: Annotated[Path, typer.Option("--dest", help="The directory to write the bundle to.")] = BUNDLE,
    tracking_uri: TrackingUri = None,
    cache: Annotated[
        Path, typer.Option("--cache", help="The directory that keeps downloaded bundles by their content.")
    ] = DEFAULT_CACHE,
    expect_sha: Annotated[
        str | None, typer.Option("--expect-sha", help="Fail (exit 4) unless the bundle has this canonical SHA.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Download the bundle even if the cache has it.")] = False,
    registry: Registry = REGISTRY,
) -> None:
    """Download a model and print its canonical SHA.

    Name the model by exactly one of --run-id, --model, --semver and --production. A promoted version is checked, file
    by file, against the manifest in the registry.
    """
    from lynxgate.candidate.cache import Cache
    from lynxgate.candidate.fetch import fetch as fetch_candidate
    from lynxgate.errors import IntegrityFailure, UsageFailure
    from lynxgate.identity import parse_semver, parse_sha
    from lynxgate.serving.releases import find_release
    from lynxgate.wiring import open_existing_store, open_tracking

    if [run_id is not None, model is not None, semver is not None, production].count(True) != 1:
        raise UsageFailure("use exactly one of --run-id, --model, --semver and --production")
    # Parsed before anything is opened: a typing error must not cost a download.
    expected_sha = None if expect_sha is None else parse_sha(expect_sha)
    manifest, tracking = None, None
    if run_id is not None or model is not None:
        named = parse_candidate(run_id, model, model_name)
        tracking = open_tracking(tracking_uri)
        found = resolve_candidate(named, tracking)
        run, logged_model = found.run_id, found.logged_model
    else:
        if model_name:
            raise UsageFailure("--model-name belongs to --run-id; a promoted version has its own")
        version = None if semver is None else str(parse_semver(semver))
        release = find_release(open_existing_store(registry), version)
        if expected_sha not in (None, release.canonical_sha):
            raise IntegrityFailure(f"{release.semver} is {release.canonical_sha}, not the expected {expected_sha}")
        run, logged_model, manifest = release.run_id, release.logged_model, release.manifest
        note(f"{release.semver} is {release.canonical_sha}, from run {run}")
    tracking = tracking or open_tracking(tracking_uri)
    # The manifest of a release is compared file by file; a candidate has none yet.
    with download_progress() as progress:
        fetched = fetch_candidate(
            tracking,
            run,
            dest,
            Cache(cache),
            progress,
            expected_sha=expected_sha,
            expected=manifest,
            logged_model=logged_model,
            fresh=fresh,
            notify=note,
        )
    size = sum(file.size for file in fetched.manifest.files)
    source = "from the cache, hashed again" if fetched.from_cache else f"downloaded from {tracking.location}"
    note(f"{dest}: {len(fetched.manifest.files)} files, {size} bytes, {source}")
    print_text(fetched.canonical_sha)


@dataclass(frozen=True)
class NamedCandidate:
    """A candidate as the command line names it: its run id, or a registered model that is still to be resolved."""

    reference: str
    logged_model: str | None


@dataclass(frozen=True)
class ResolvedCandidate:
    """The run of a candidate, and the name of its model in that run where it matters."""

    run_id: str
    logged_model: str | None


def parse_candidate(run_id: str | None, model: str | None, model_name: str | None) -> NamedCandidate:
    """Check the options that name a candidate.

    Raises:
        UsageFailure: neither or both of ``run_id`` and ``model`` are given, or one is malformed.
    """
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_model, parse_run_id

    # An empty name is none: a request without a model gives an empty output.
    name = parse_model(model_name) if model_name else None
    if run_id is not None and model is None:
        return NamedCandidate(parse_run_id(run_id), name)
    if run_id is not None or model is None:
        raise UsageFailure("use exactly one of --run-id and --model")
    if name is not None:
        raise UsageFailure("--model-name belongs to --run-id; --model names one model already")
    return NamedCandidate(model, None)


def resolve_candidate(named: NamedCandidate, tracking: RegisteredModels) -> ResolvedCandidate:
    """Resolve a registered model to its run, once; a candidate that is named by its run is returned as it is.

    Raises:
        UsageFailure, CannotJudge, StoreFailure: as `lynxgate.ports.RegisteredModels.resolve`.
    """
    from lynxgate.identity import is_run_id

    if is_run_id(named.reference):
        return ResolvedCandidate(named.reference, named.logged_model)
    found = tracking.resolve(named.reference)
    note(f"{named.reference} is version {found.version}: run {found.run_id}, model {found.logged_model}")
    return ResolvedCandidate(found.run_id, found.logged_model)


def pull(
    target: Annotated[
        Path | None, typer.Argument(help="The data to download. [default: the baseline's eval set]")
    ] = None,
    baseline: BaselinePath = BASELINE,
) -> None:
    """Download the eval set with DVC.

    The bytes are hashed and compared with the .dvc file.
    """
    from lynxgate.candidate.eval_set_check import verify_pulled
    from lynxgate.decision.agreed_task import read_agreed_task
    from lynxgate.wiring import open_eval_data

    path = target
    if path is None:
        agreed = _read_baseline(baseline)
        # Before anything is downloaded: what follows would be measured by another task than the agreed one.
        read_agreed_task(agreed, baseline.parent)
        path = baseline.parent / agreed.eval_set
    open_eval_data(path.absolute().parent).pull(path)
    note(f"{path}: {verify_pulled(path).dvc_md5}, matches its .dvc file")


def check_eval_set(baseline: BaselinePath = BASELINE, eval_set: OwnEvalSetPath = None) -> None:
    """Check eval set and task against the baseline.

    Exit 4 when the eval set's bytes, its .dvc file, or the task differ from what the baseline names.
    """
    from lynxgate.candidate.eval_set_check import check_eval_set as check
    from lynxgate.decision.agreed_task import read_agreed_task
    from lynxgate.errors import CannotJudge

    agreed = _read_baseline(baseline)
    if agreed.eval_set_dvc_hash is None:
        raise CannotJudge(
            f"{baseline}: eval_set_dvc_hash is still a placeholder; copy it from the eval set's .dvc file"
        )
    task = read_agreed_task(agreed, baseline.parent)
    path = eval_set or baseline.parent / agreed.eval_set
    found = check(agreed.eval_set_dvc_hash, agreed.eval_set_sha256, path)
    print_text(f"{path}: md5 {found.dvc_md5}, sha256 {found.sha256}: matches {baseline} and the .dvc file")
    if task is not None:
        print_text(f"{task.path}: sha256 {task.sha256}: matches {baseline}")


@contextmanager
def download_progress() -> Iterator[Progress]:
    """Yield the function to call while bytes arrive.

    On a terminal it shows a bar on stderr, elsewhere one line. Nothing is shown when no bytes arrive.
    """
    if not sys.stderr.isatty():
        yield _show_once()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    task = bars.add_task("download", total=None)

    def show(done: int, total: int | None) -> None:
        bars.start()
        bars.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bars.stop()


def _show_once() -> Progress:
    shown = False

    def show(_: int, total: int | None) -> None:
        nonlocal shown
        if not shown:
            note("downloading" if total is None else f"downloading {total} bytes")
        shown = True

    return show


def _read_baseline(path: Path) -> Baseline:
    from lynxgate.decision.baseline import Baseline
    from minieval.contract.documents import read_document

    return read_document(path, Baseline, missing="name it with --baseline")
