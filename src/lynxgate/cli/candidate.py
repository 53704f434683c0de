"""Commands that bring what a decision needs: ``fetch``, ``pull`` and ``check-eval-set``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.ports import Progress
from lynxgate.settings import DEFAULT_CACHE, DEFAULT_REGISTRY

if TYPE_CHECKING:
    from lynxgate.decision.baseline import Baseline as BaselineDocument

EvalSet = Annotated[
    Path | None, typer.Option("--eval-set", help="The eval set, a file or a folder. [default: the baseline's]")
]
Baseline = Annotated[Path, typer.Option("--baseline", help="The committed baseline.")]
DEFAULT_BASELINE = Path("eval_baseline.json")


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("fetch")(fetch)
    app.command("pull")(pull)
    app.command("check-eval-set")(check_eval_set)


def fetch(
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="A candidate: the MLflow run that logged the model.")
    ] = None,
    semver: Annotated[str | None, typer.Option("--semver", help="A promoted version, as v0.3.1.")] = None,
    production: Annotated[bool, typer.Option("--production", help="The version in production.")] = False,
    dest: Annotated[Path, typer.Option("--dest", help="Where the bundle is put.")] = Path("candidate"),
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="Where MLflow keeps its runs. [default: $MLFLOW_TRACKING_URI]")
    ] = None,
    cache: Annotated[Path, typer.Option("--cache", help="Where bundles are kept by content.")] = DEFAULT_CACHE,
    expect_sha: Annotated[
        str | None, typer.Option("--expect-sha", help="Fail (exit 4) unless the bundle has this canonical SHA.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Download even when the cache has it.")] = False,
    registry: Annotated[
        str,
        typer.Option("--registry", envvar="LYNXGATE_REGISTRY", help="Where --semver and --production are looked up."),
    ] = DEFAULT_REGISTRY,
) -> None:
    """Download a run's model, hash it, and put it in place; its canonical SHA is printed on stdout.

    Exactly one of --run-id, --semver and --production. A promoted version is held, file by file, against the manifest
    that the registry keeps of it.
    """
    from lynxgate.candidate.cache import Cache
    from lynxgate.candidate.fetch import fetch as fetch_candidate
    from lynxgate.errors import IntegrityFailure, UsageFailure
    from lynxgate.identity import parse_run_id, parse_semver, parse_sha
    from lynxgate.serving.releases import find_release
    from lynxgate.wiring import open_existing_store, open_tracking

    if [run_id is not None, semver is not None, production].count(True) != 1:
        raise UsageFailure("name what to fetch by exactly one of --run-id, --semver and --production")
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
        _say(f"{release.semver} is {release.canonical_sha}, from run {run}")
    tracking = open_tracking(tracking_uri)
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
            notify=_say,
        )
    size = sum(file.size for file in fetched.manifest.files)
    _say(
        f"{dest}: {len(fetched.manifest.files)} files, {size} bytes, "
        + ("from the cache, hashed again" if fetched.from_cache else f"downloaded from {tracking.location}")
    )
    typer.echo(fetched.canonical_sha)


def pull(
    target: Annotated[Path | None, typer.Argument(help="The data. [default: the baseline's eval set]")] = None,
    baseline: Baseline = DEFAULT_BASELINE,
) -> None:
    """Bring the eval set's bytes with DVC, and hash them against their .dvc file."""
    from lynxgate.candidate.eval_set_check import verify_pulled
    from lynxgate.wiring import open_eval_data

    path = target or Path(_read_baseline(baseline).eval_set)
    open_eval_data(path.absolute().parent).pull(path)
    _say(f"{path}: {verify_pulled(path).dvc_md5}, as its .dvc file says")


def check_eval_set(baseline: Baseline = DEFAULT_BASELINE, eval_set: EvalSet = None) -> None:
    """Assert that the eval set's bytes and its .dvc file are what the baseline names (exit 4 when not)."""
    from lynxgate.candidate.eval_set_check import check_eval_set as check
    from lynxgate.errors import CannotJudge

    agreed = _read_baseline(baseline)
    if agreed.eval_set_dvc_hash is None:
        raise CannotJudge(
            f"{baseline}: eval_set_dvc_hash is still a placeholder; copy it from the eval set's .dvc file"
        )
    path = eval_set or Path(agreed.eval_set)
    found = check(agreed.eval_set_dvc_hash, agreed.eval_set_sha256, path)
    typer.echo(f"{path}: md5 {found.dvc_md5}, sha256 {found.sha256}: as {baseline} and the .dvc file say")


@contextmanager
def download_progress() -> Iterator[Progress]:
    """What to call while bytes arrive: a bar on a terminal's stderr, one line in a log; nothing if none arrive."""
    if not sys.stderr.isatty():
        yield _say_once()
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


def _say_once() -> Progress:
    said = False

    def show(_: int, total: int | None) -> None:
        nonlocal said
        if not said:
            _say("downloading" if total is None else f"downloading {total} bytes")
        said = True

    return show


def _read_baseline(path: Path) -> BaselineDocument:
    from lynxgate.decision.baseline import Baseline
    from minieval.contract.documents import read_document

    return read_document(path, Baseline, missing="name it with --baseline")


def _say(line: str) -> None:
    typer.echo(line, err=True)
