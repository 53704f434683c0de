"""MLflow as the tracking server: runs, their models, and tags. The only file that imports mlflow.

- A failing call ends within `TIMEOUT_SECONDS` and is tried once; the caller, which knows what a repetition means,
  decides about retries. MLflow's own defaults retry for four minutes.
- `StoreFailure` is a refusal that certainly changed nothing. `OutcomeUnknown` is everything else: a reply that was
  lost or late, and a 500, may follow a change that was made.
- A model is taken from its LoggedModel, where MLflow 3 keeps it, or from the run's artifacts, where older clients
  and servers (2.22) put it. MLflow verifies no byte that it delivers: what arrives is compared with what the server
  listed.
- The time limits are MLflow's environment variables, so they hold for the whole process; shorter ones of the user stay.
- No message contains a credential, neither from the tracking URI nor from a vendor's exception.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

# Set before the import, which reads it: otherwise MLflow would report its use from a process that holds credentials.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import mlflow.exceptions
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from lynxgate.adapters import mlflow_models
from lynxgate.adapters.mlflow_errors import NoSuch, Translator
from lynxgate.adapters.mlflow_places import RunModels
from lynxgate.errors import CannotJudge, IntegrityFailure, StoreFailure
from lynxgate.identity import is_model, is_run_id, is_sha
from lynxgate.ports import PRODUCTION_ALIAS, AliasedVersion, Progress, RegisteredVersion, RunFacts, RunModel, RunTag
from minieval.contract.fields import LARGEST_CANONICAL

TIMEOUT_SECONDS = 10
MODEL_NAME = "model"
TRAINING_DATA = "training_data_sha256"
MAX_FILES = 50_000
_POLL_SECONDS = 0.1
PAGE = 1000  # the most runs or experiments that are asked for at once; every version of MLflow gives so many


class MlflowTracking:
    """`lynxgate.ports.Tracking` on MLflow, by tracking URI; ``timeout`` in seconds bounds each request.

    ``page`` is the number of runs or experiments in one answer of a search.
    """

    def __init__(
        self, uri: str, *, timeout: int = TIMEOUT_SECONDS, model_name: str = MODEL_NAME, page: int = PAGE
    ) -> None:
        """Raises `StoreFailure` when there is no such database, or it cannot be opened."""
        self._uri = uri
        self._page = page
        self._errors = Translator(uri, _bound_requests(timeout))
        _silence()
        _require_database(uri)
        with self._errors.translate("open it"):
            self._client = MlflowClient(tracking_uri=uri)
        self._models = RunModels(self._client, self._errors, model_name)

    @property
    def location(self) -> str:
        """The tracking URI without user, password, query and fragment."""
        return self._errors.location

    def read_tag(self, run_id: str, key: str) -> str | None:
        """The value of a tag of a run, or `None`; errors as `lynxgate.ports.Tracking`."""
        with self._errors.translate(f"read tags of run {run_id}"):
            value = self._client.get_run(run_id).data.tags.get(key)
            return None if value is None else str(value)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag once; errors as `lynxgate.ports.Tracking`."""
        with self._errors.translate(f"set a tag of run {run_id}"):
            self._client.set_tag(run_id, key, value)

    def find_tags(self, prefix: str) -> Iterator[RunTag]:
        """Every tag with a key that starts so, of all runs; errors as `lynxgate.ports.Tracking`."""
        with self._errors.translate("search all runs for tags"):
            for experiments in self._experiments():
                token: str | None = None
                while True:
                    runs = self._client.search_runs(
                        experiments, run_view_type=ViewType.ALL, max_results=self._page, page_token=token
                    )
                    for run in runs:
                        for key, value in sorted(run.data.tags.items()):
                            if key.startswith(prefix):
                                yield RunTag(str(run.info.run_id), key, str(value))
                    if not (token := runs.token):
                        break

    def _experiments(self) -> Iterator[list[str]]:
        """Yield the ids of all experiments, page by page; a deleted experiment's runs can be restored with it."""
        token: str | None = None
        while True:
            found = self._client.search_experiments(ViewType.ALL, max_results=self._page, page_token=token)
            if found:
                yield [str(each.experiment_id) for each in found]
            if not (token := found.token):
                return

    def set_alias(
        self,
        model: str,
        run_id: str,
        tags: Mapping[str, str],
        *,
        alias: str = PRODUCTION_ALIAS,
        name: str | None = None,
    ) -> None:
        """Put ``alias`` on the candidate's version of ``model``; errors as `lynxgate.ports.Tracking`."""
        place = self._models.locate(run_id, name)
        with self._errors.translate(f"point the alias of {model}"), _as_default(self._uri):
            mlflow_models.set_alias(self._client, model, run_id, place, tags=tags, alias=alias)

    def read_alias(self, model: str, alias: str = PRODUCTION_ALIAS, name: str | None = None) -> AliasedVersion | None:
        """The version of a registered model that has ``alias``; errors as `lynxgate.ports.Tracking`."""
        with self._errors.translate(f"read the alias of {model}"):
            found = mlflow_models.read_alias(self._client, model, alias)
        if found is None:
            return None
        run_id, source = str(found.run_id), str(found.source)
        try:
            holds_candidate = self._models.locate(run_id, name).is_source(source)
        except CannotJudge:  # the run has no candidate (any more)
            holds_candidate = False
        return AliasedVersion(str(found.version), run_id, source, holds_candidate, dict(found.tags))

    def read_facts(self, run_id: str) -> RunFacts:
        """Read the training data's hash from parameters and tags of the run; errors as `lynxgate.ports.RunMetadata`."""
        try:
            with self._errors.translate(f"read run {run_id}"):
                data = self._client.get_run(run_id).data
        except NoSuch as error:
            raise CannotJudge(f"{self.location} has no run {run_id}; check the id and the tracking URI") from error
        named = {str(place[TRAINING_DATA]) for place in (data.params, data.tags) if TRAINING_DATA in place}
        if len(named) > 1:
            raise CannotJudge(f"run {run_id} has {TRAINING_DATA} as a parameter and as a tag, with different values")
        for value in named:
            if not is_sha(value):
                raise CannotJudge(f"run {run_id}: its {TRAINING_DATA} is {value[:80]!r}, not a SHA-256")
        return RunFacts(next(iter(named), None))

    def resolve(self, reference: str) -> RegisteredVersion:
        """The version that a reference stands for; errors as `lynxgate.ports.RegisteredModels`."""
        model, version, alias = mlflow_models.parse_reference(reference)
        try:
            with self._errors.translate(f"resolve {reference}"):
                found = mlflow_models.find_version(self._client, model, version, alias)
        except NoSuch as error:
            raise CannotJudge(f"{self.location} has no {reference}; check name, version and alias") from error
        run_id, source = str(found.run_id or ""), str(found.source)
        where = f"{reference} (version {found.version}, source {source[:200]!r})"
        if not is_run_id(run_id):
            raise CannotJudge(f"{where} names no run; register a model that a run has logged")
        name = next((name for name, place in self._models.list_places(run_id) if place.is_source(source)), None)
        if name is None:
            raise CannotJudge(f"{where} is no model of its run {run_id}; register a model that the run has logged")
        if not is_model(name):
            raise CannotJudge(f"{where} is called {name[:80]!r} in its run; log it under a plain name, such as 'model'")
        return RegisteredVersion(str(found.version), run_id, name)

    def find_model(self, run_id: str, name: str | None = None) -> RunModel:
        """The run's model without its bytes; errors as `lynxgate.ports.Tracking`."""
        return self._find(run_id, name)[0]

    def download(
        self, run_id: str, destination: Path, progress: Progress | None = None, name: str | None = None
    ) -> None:
        """Download the run's model; errors as `lynxgate.ports.Tracking`."""
        model, repository, folder = self._find(run_id, name)
        _require_space(destination.parent, model)
        work = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}.partial-"))
        try:
            with self._errors.translate(f"download the model of run {run_id}"), _watching(work, model, progress):
                repository.download_artifacts(folder, str(work))
            bundle = work / folder
            _compare(bundle, model, run_id)
            bundle.chmod(0o755)
            bundle.rename(destination)
        except OSError as error:
            raise StoreFailure(f"{destination}: cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _find(self, run_id: str, name: str | None) -> tuple[RunModel, ArtifactRepository, str]:
        """The model, the repository it is in, and its folder there ("" when the repository is the model)."""
        place = self._models.locate(run_id, name)
        with self._errors.translate(f"list the model of run {run_id}"):
            repository = get_artifact_repository(place.repository, tracking_uri=self._uri)
            files = tuple(sorted(_list(repository, place.folder)))
        if not any(path == "MLmodel" for path, _ in files):
            raise CannotJudge(f"the model of run {run_id} ({place.source}) has no MLmodel file; log the model again")
        return RunModel(place.source, files), repository, place.folder


@contextlib.contextmanager
def _as_default(uri: str) -> Iterator[None]:
    """Make a database the process's default for a while; a server needs no default.

    MLflow's store looks up the model of a new version in the default, whichever database the client was opened for.
    """
    if uri.startswith(("http://", "https://")):
        yield
        return
    variable = "MLFLOW_TRACKING_URI"
    in_environment, was_set, before = os.environ.get(variable), mlflow.is_tracking_uri_set(), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # which also removes the variable
        if in_environment is not None:
            os.environ[variable] = in_environment
        if was_set and mlflow.get_tracking_uri() != before:
            mlflow.set_tracking_uri(before)


def _bound_requests(timeout: int) -> int:
    """Make MLflow's client try once and give up in time, unless the user set less; return the timeout in force."""
    for name, value in {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": timeout,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 0,
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": 0,
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": 0,
    }.items():
        asked = os.environ.get(name, "")
        if not (asked.isdecimal() and 0 < int(asked) <= value):
            os.environ[name] = str(value)
    return int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])


def _silence() -> None:
    """Keep progress bars and logs of MLflow and its migrations out of our output."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _require_database(uri: str) -> None:
    """Refuse a missing SQLite file: MLflow would create it, find no run in it, and hide the real mistake."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not path.is_file():
        raise StoreFailure(f"{path}: no such MLflow database; set MLFLOW_TRACKING_URI, or log a run there first")


def _list(repository: ArtifactRepository, folder: str) -> Iterator[tuple[str, int | None]]:
    """Yield the files under ``folder``, relative to it, with sizes in bytes; names from the server are not trusted."""
    pending, seen = [folder], 0
    while pending:
        parent = pending.pop()
        for entry in repository.list_artifacts(parent or None):
            path = PurePosixPath(str(entry.path))
            seen += 1
            if (
                path.is_absolute()
                or ".." in path.parts
                or path == PurePosixPath(parent)
                or not path.is_relative_to(parent)
                or any(ord(character) < 32 for character in str(path))
            ):
                raise IntegrityFailure(f"the server lists an artifact named {str(path)[:200]!r}: refused")
            if seen > MAX_FILES:
                raise IntegrityFailure(f"the server lists more than {MAX_FILES} artifacts for one model: refused")
            if entry.is_dir:
                pending.append(str(path))
            else:
                size = None if entry.file_size is None else int(entry.file_size)
                if size is not None and not 0 <= size <= LARGEST_CANONICAL:
                    raise IntegrityFailure(f"the server lists {str(path)[:200]!r} with {size} bytes: refused")
                yield path.relative_to(folder).as_posix(), size


def _require_space(parent: Path, model: RunModel) -> None:
    needed = sum(size or 0 for _, size in model.files)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise StoreFailure(f"{parent}: cannot be written: {error.strerror}") from error
    if needed > free:
        raise StoreFailure(f"{parent}: the model has {needed} bytes and {free} are free; make room")


def _compare(bundle: Path, model: RunModel, run_id: str) -> None:
    expected = dict(model.files)
    found = {path.relative_to(bundle).as_posix(): path.stat().st_size for path in bundle.rglob("*") if path.is_file()}
    if missing := sorted(expected.keys() - found.keys()):
        raise IntegrityFailure(f"run {run_id}: {len(missing)} files did not arrive: {', '.join(missing[:5])}")
    if extra := sorted(found.keys() - expected.keys()):
        raise IntegrityFailure(f"run {run_id}: files arrived that were not listed: {', '.join(extra[:5])}")
    for path, size in expected.items():
        if size is not None and found[path] != size:
            raise IntegrityFailure(
                f"run {run_id}: {path} arrived with {found[path]} bytes where the server lists {size}; fetch again"
            )


@contextlib.contextmanager
def _watching(folder: Path, model: RunModel, progress: Progress | None) -> Iterator[None]:
    """Report the bytes on disk while MLflow's own threads download."""
    if progress is None:
        yield
        return
    sizes = [size for _, size in model.files]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            progress(_bytes_in(folder), total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        progress(_bytes_in(folder), total)


def _bytes_in(folder: Path) -> int:
    done = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a temporary file of the download may have been removed meanwhile
            done += path.lstat().st_size if not path.is_dir() else 0
    return done
