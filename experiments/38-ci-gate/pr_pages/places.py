"""Where the story happens: a real MLflow server, an S3 registry, a repository with two pull requests, and a desk.

- The repository's ``main`` has this checkout's gate, workflows, lock, baseline and eval set; the desk is a clone of it.
- GitHub is the tests' stand-in; third-party actions, the runner and uv are those of `tests/act`. All else is real.
- No clock and no account of this machine goes into a page.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.act.repository import EVAL_SET, NAME, ROOT, Repository, make_repository
from tests.act.runner import Ran, Shed
from tests.github_objects import labelled_event
from tests.github_standin import BOT, GithubStandIn, Token
from tests.s3_servers import S3Server, shared_seaweedfs
from tests.servers import MlflowServer, client_of, shared_mlflow_server

from minieval.contract.documents import parse_json

EXPERIMENT = Path(__file__).resolve().parents[1]
BASELINE = "eval_baseline.json"
LABEL = "deploy-candidate"
AUTHOR = "ann"
ASKED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # of comments in the stand-in; no page shows it
TOKEN, PASSWORD = "token-of-the-stand-in", "password-of-nothing"  # of no account anywhere
REPOSITORY_VARIABLES = {
    "LYNXGATE_AWS_ROLE": "arn:aws:iam::123456789012:role/lynxgate-promote",
    "LYNXGATE_AWS_REGION": "us-east-1",
}


@dataclass
class Places:
    """Everything a candidate meets."""

    root: Path
    server: MlflowServer
    s3: S3Server
    registry: str
    repository: Repository
    shed: Shed
    github: GithubStandIn
    numbers: list[int] = field(default_factory=list)

    @property
    def desk(self) -> Path:
        """The engineer's own clone."""
        return self.root / "desk"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command at the desk."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        plain = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return {**plain, "MLFLOW_TRACKING_URI": self.server.url, "LYNX_ENV": "dev", **more}

    def log(self, script: str, *arguments: str) -> str:
        """Run one of the experiment's scripts; the id of the run that it logged."""
        command = [sys.executable, str(EXPERIMENT / script), *arguments]
        given = self.environment()
        done = subprocess.run(command, cwd=self.desk, env=given, stdout=subprocess.PIPE, text=True, check=True)
        if not re.fullmatch(r"[0-9a-f]{32}\n", done.stdout):
            raise SystemExit(f"{script} printed more than a run id: {done.stdout[:200]!r}")
        return done.stdout.strip()

    def ask(self, number: int, request: str) -> Ran:
        """Open a pull request, comment the request, set the label: the shipped workflow runs."""
        self.github.add_pull(number, self.repository.head, "experiments/38-ci-gate/training.py")
        self.github.add_comment(number, AUTHOR, request, ASKED_AT)
        self.github.add_label(number, LABEL, AUTHOR, ASKED_AT + timedelta(minutes=5))
        event = labelled_event(NAME, number, LABEL, AUTHOR, self.repository.head)
        event["pull_request"]["base"] |= {"ref": "main", "sha": self.repository.base}
        event["repository"]["default_branch"] = "main"
        self.numbers.append(number)
        with redirect_stdout(io.StringIO()):  # the log, which is in what is returned
            return self._run(event)

    def _run(self, event: Mapping[str, Any]) -> Ran:
        return self.shed.run(
            event,
            env={"GITHUB_API_URL": self.github.url},
            variables={
                "MLFLOW_TRACKING_URI": self.server.url, "LYNXGATE_PROMOTION_TRACKING_URI": self.server.url,
                "LYNXGATE_REGISTRY": self.registry, **REPOSITORY_VARIABLES,
            },
            secrets={"GITHUB_TOKEN": TOKEN, "MLFLOW_TRACKING_USERNAME": "reader", "MLFLOW_TRACKING_PASSWORD": PASSWORD},
            number=len(self.numbers),
        )  # fmt: skip

    def comment(self, number: int) -> str:
        """The gate's one comment in a pull request."""
        (body,) = self.github.bodies(number)
        return body

    def objects(self) -> dict[str, str]:
        """Every object of the production registry, by the hash of its bytes."""
        return {key: hashlib.sha256(data).hexdigest() for key, data in self._registry().items()}

    def production(self) -> str | None:
        """The version that the production registry names."""
        tags = parse_json(self._registry().get("tags.json", b"{}"), where="tags.json")
        found = tags.get("production") if isinstance(tags, dict) else None
        return None if found is None else str(found)

    def tags(self, run_id: str) -> dict[str, str]:
        """The versions that an MLflow run is tagged as."""
        found: Mapping[str, str] = client_of(self.server.url).get_run(run_id).data.tags
        return {key: value for key, value in found.items() if key.startswith("lynxgate.")}

    def baseline(self) -> tuple[bytes, str]:
        """The baseline on ``main`` as it is now, and what git calls it."""
        text = self.repository.git("cat-file", "blob", f"main:{BASELINE}") + "\n"
        return text.encode(), self.repository.git("rev-parse", f"main:{BASELINE}")

    def _registry(self) -> dict[str, bytes]:
        address = urlsplit(self.registry)
        bucket, prefix = address.netloc, address.path.strip("/") + "/"
        client = self.s3.client()
        listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())
        bodies = {each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}
        client.close()
        return {key.removeprefix(prefix): data for key, data in bodies.items()}


@contextmanager
def open_places(root: Path) -> Iterator[Places]:
    """Start and make everything below ``root``; the servers stop at the end."""
    with (
        shared_mlflow_server(root / "mlflow") as server,
        shared_seaweedfs(root / "seaweedfs") as s3,
        GithubStandIn(NAME) as github,
    ):
        github.tokens[TOKEN] = Token(BOT, {"pull-requests": "write", "checks": "write", "contents": "read"})
        github.roles[AUTHOR] = "write"
        repository = _make_repository(root / "repository")
        shed = Shed(root / "shed", repository)
        shed.give_aws(s3.environment())
        places = Places(root, server, s3, s3.new_registry(), repository, shed, github)
        repository.git("clone", "--quiet", "--branch", "main", f"file://{repository.root}", str(places.desk))
        command = ["lynxgate", "registry", "init", "--environment", "production", "--registry", places.registry]
        environment = places.environment(**s3.environment(), LYNX_ENV="ci", GITHUB_ACTIONS="true")
        subprocess.run(command, env=environment, cwd=root, stdout=subprocess.DEVNULL, check=True)
        yield places
        if github.violations:
            raise SystemExit(f"the pull request was talked to against GitHub's contract: {github.violations[0]}")


def _make_repository(root: Path) -> Repository:
    """That of `tests.act`, with the eval set and the baseline that are shipped in the place of its small ones."""
    repository = make_repository(root)
    repository.git("checkout", "--quiet", "main")
    shutil.rmtree(root / "data/remote")
    shutil.copytree(ROOT / "data/remote", root / "data/remote")
    for name in (BASELINE, f"{EVAL_SET}.dvc"):
        shutil.copy(ROOT / name, root / name)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "The eval set and the baseline of phase 20")
    repository.git("checkout", "--quiet", "candidate")
    return repository
