"""A pull request on real parts: git, act, an MLflow server, DVC's remote, an S3 registry; and GitHub's stand-in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.wiring import open_store
from tests.act.repository import Repository, candidate_bundles, copy_repository
from tests.act.runner import Ran, Shed
from tests.github_objects import labelled_event
from tests.github_standin import BOT, GithubStandIn, Token
from tests.s3_servers import S3Server
from tests.servers import MlflowServer, client_of, log_bundle

LABEL = "deploy-candidate"
PULL = 7
TOKEN = "ghs_0123456789abcdefSECRET"
PASSWORD = "mlflow-password-SECRET"
SEMVER = "v0.3.1"
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Parts:
    """Runs on an MLflow server, and a registry on an S3 server."""

    runs: dict[str, str]
    server: MlflowServer
    seaweed: S3Server
    registry: str


@dataclass
class Scene:
    """One pull request and everything around it; `run` is what setting the label does."""

    repository: Repository
    shed: Shed
    github: GithubStandIn
    server: MlflowServer
    registry: str
    seaweed: S3Server
    runs: dict[str, str]
    tracking: str = ""
    event_base: str = "main"
    event_base_sha: str = ""
    workflow: str = "deploy-grammar-tutor.yml"
    variables: dict[str, str] = field(default_factory=dict)  # of the repository, besides those that every test has
    tag_seconds: int = 60  # how long the promotion tries to set a tag: a busy server is no failing one
    count: int = 0

    def ask(self, body: str, *, author: str = "ann", minutes: float = 0) -> None:
        """Somebody comments."""
        self.github.add_comment(PULL, author, body, T0 + timedelta(minutes=minutes))

    def request(self, run: str = "good", semver: str = SEMVER) -> str:
        """The line that asks for one of the runs."""
        return f"mlflow_run_id={self.runs[run]} semver={semver}"

    def label(self, *, minutes: float = 10, actor: str = "ann", label: str = LABEL, fork: str | None = None) -> Ran:
        """Somebody sets the label; the workflow runs."""
        self.github.add_label(PULL, label, actor, T0 + timedelta(minutes=minutes))
        return self.run(actor=actor, label=label, fork=fork)

    def run(self, *, actor: str = "ann", label: str = LABEL, fork: str | None = None) -> Ran:
        """The workflow on that event: for the first time, or as a re-run."""
        event = labelled_event(self.repository.name, PULL, label, actor, self.repository.head, head_repository=fork)
        event["pull_request"]["base"] |= {"ref": self.event_base, "sha": self.event_base_sha or self.repository.base}
        event["repository"]["default_branch"] = "main"
        return self.start(event, self.workflow)

    def start(self, event: dict[str, Any], workflow: str, kind: str = "pull_request") -> Ran:
        """A workflow, on an event."""
        self.count += 1
        ran = self.shed.run(
            event,
            env={"GITHUB_API_URL": self.github.url, "LYNXGATE_MLFLOW_SECONDS": str(self.tag_seconds)},
            variables={
                "MLFLOW_TRACKING_URI": self.tracking or self.server.url,
                "LYNXGATE_PROMOTION_TRACKING_URI": self.tracking or self.server.url,
                "LYNXGATE_REGISTRY": self.registry,
                "LYNXGATE_AWS_ROLE": "arn:aws:iam::123456789012:role/lynxgate-promote",
                "LYNXGATE_AWS_REGION": "us-east-1",
                **self.variables,
            },
            secrets={
                "GITHUB_TOKEN": TOKEN,
                "MLFLOW_TRACKING_USERNAME": "reader",
                "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            },
            number=self.count,
            kind=kind,
            workflow=workflow,
        )
        assert TOKEN not in ran.log
        assert PASSWORD not in ran.log
        return ran

    @property
    def comments(self) -> list[str]:
        """What the bot has written in the pull request."""
        return self.github.bodies(PULL)

    def registry_bytes(self) -> dict[str, str]:
        """Every object of the registry, by its hash."""
        address = urlsplit(self.registry)
        bucket, prefix = address.netloc, address.path.lstrip("/")
        client = self.seaweed.client()
        keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]
        bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix(prefix): hashlib.sha256(data).hexdigest() for key, data in bodies.items()}

    def registry_json(self, key: str) -> Any:
        """One document of the registry."""
        address = urlsplit(self.registry)
        found = self.seaweed.client().get_object(Bucket=address.netloc, Key=f"{address.path.lstrip('/')}/{key}")
        return json.loads(found["Body"].read())

    def tags(self, run: str = "good") -> dict[str, str]:
        """The promotion tags of a run on the MLflow server."""
        found = client_of(self.server.url).get_run(self.runs[run]).data.tags
        return {key: value for key, value in found.items() if key.startswith("lynxgate.semver.")}


class Runs(dict[str, str]):
    """MLflow runs of one test's own by name, each logged when it is first asked for."""

    def __init__(self, url: str, bundles: dict[str, Path]) -> None:
        super().__init__()
        self._url, self._bundles = url, bundles

    def __missing__(self, name: str) -> str:
        self[name] = log_bundle(self._url, self._bundles[name])
        return self[name]


@pytest.fixture
def act_runs(shared_root: Path, mlflow_server: MlflowServer) -> Runs:
    """``good``, a model that gets all right, and ``degraded``, one that mangles some participles."""
    return Runs(mlflow_server.url, candidate_bundles(shared_root, mlflow_server))


@pytest.fixture
def parts(act_runs: Runs, mlflow_server: MlflowServer, seaweedfs: S3Server, s3_registry: str) -> Parts:
    """The real ones, with an empty production registry of this test's own."""
    create_registry(open_store(s3_registry), Environment.PRODUCTION)
    return Parts(act_runs, mlflow_server, seaweedfs, s3_registry)


@pytest.fixture
def scene(tmp_path: Path, shared_root: Path, parts: Parts) -> Iterator[Scene]:
    """A pull request by ann, who may write, into a repository like this one."""
    with open_scene(copy_repository(shared_root, tmp_path / "repository"), tmp_path / "shed", parts) as opened:
        yield opened


@contextmanager
def open_scene(repository: Repository, shed_root: Path, parts: Parts) -> Iterator[Scene]:
    """A pull request from ``candidate`` into ``main``, and all that is around the repository."""
    shed = Shed(shed_root, repository)
    shed.give_aws(parts.seaweed.environment())
    with GithubStandIn(repository.name, largest_page=30) as github:
        github.tokens[TOKEN] = Token(BOT, {"pull-requests": "write", "checks": "write", "contents": "read"})
        github.roles |= {"ann": "write", "bob": "admin", "eve": "read"}
        github.add_pull(PULL, repository.head, "src/tutor.py")
        yield Scene(repository, shed, github, parts.server, parts.registry, parts.seaweed, parts.runs)
        assert github.violations == []
