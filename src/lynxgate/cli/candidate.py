"""Commands that bring what a decision needs: ``fetch``, ``pull`` and ``check-eval-set``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.options import BASELINE, BUNDLE, REGISTRY, BaselinePath, OwnEvalSetPath, Registry, TrackingUri
from lynxgate.cli.output import note, print_text
from lynxgate.ports import Progress
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

    Name the model by exactly one of --run-id, --semver and --production. A promoted version is checked, file by file,
    against the manifest in the registry.
    """
    from lynxgate.candidate.cache import Cache
    from lynxgate.candidate.fetch import fetch as fetch_candidate
    from lynxgate.errors import IntegrityFailure, UsageFailure
    from lynxgate.identity import parse_run_id, parse_semver, parse_sha
    from lynxgate.serving.releases import find_release
    from lynxgate.wiring import open_existing_store, open_tracking

    if [run_id is not None, semver is not None, production].count(True) != 1:
        raise UsageFailure("use exactly one of --run-id, --semver and --production")
    # Parsed before anything is opened: a typing error must not cost a download.
    expected_sha = None if expect_sha is None else parse_sha(expect_sha)
    manifest = None
    if run_id is not None:
        run = parse_run_id(run_id)
    else:
        version = None if semver is None else str(parse_semver(semver))
        release = find_release(open_existing_store(registry), version)
        if expected_sha not in (None, release.canonical_sha):
            raise IntegrityFailure(f"{release.semver} is {release.canonical_sha}, not the expected {expected_sha}")
        run, manifest = release.run_id, release.manifest
        note(f"{release.semver} is {release.canonical_sha}, from run {run}")
    tracking = open_tracking(tracking_uri)
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
            fresh=fresh,
            notify=note,
        )
    size = sum(file.size for file in fetched.manifest.files)
    source = "from the cache, hashed again" if fetched.from_cache else f"downloaded from {tracking.location}"
    note(f"{dest}: {len(fetched.manifest.files)} files, {size} bytes, {source}")
    print_text(fetched.canonical_sha)


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
        path = Path(agreed.eval_set)
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
    path = eval_set or Path(agreed.eval_set)
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
