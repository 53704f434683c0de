"""A pull request on the GitHub stand-in, as a workflow's step finds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lynxgate.adapters.github import GithubForge
from lynxgate.cli import app
from tests.github_objects import labelled_event
from tests.github_standin import BOT, GithubStandIn, Token

REPOSITORY = "lynx/grammar"
LABEL = "deploy-candidate"
PULL = 7
HEAD = "a1" * 20
RUN = "ab" * 16
TOKEN = "ghs_0123456789abcdefSECRET"
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUEST = f"mlflow_run_id={RUN} semver=v0.3.1"


def at(minutes: float) -> datetime:
    """A moment of the story, in minutes."""
    return T0 + timedelta(minutes=minutes)


@pytest.fixture
def github() -> Iterator[GithubStandIn]:
    """A GitHub with one pull request, whose pages are small; whatever breaks GitHub's contract fails the test."""
    with GithubStandIn(REPOSITORY, largest_page=30) as standin:
        standin.tokens[TOKEN] = Token(BOT, {"pull-requests": "write", "checks": "write", "contents": "read"})
        standin.roles |= {"ann": "write", "bob": "admin", "max": "maintain", "tim": "triage", "eve": "read"}
        standin.add_pull(PULL, HEAD, "src/tutor.py")
        yield standin
        assert standin.violations == []


@pytest.fixture
def forge(github: GithubStandIn) -> GithubForge:
    """The adapter on that GitHub, with the workflow's token."""
    return GithubForge(REPOSITORY, TOKEN, api_url=github.url, timeout=2)


@dataclass(frozen=True)
class Step:
    """A workflow's step: its directory is the current one, its environment GitHub's."""

    github: GithubStandIn
    root: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def outputs(self) -> str:
        """What the step put into GITHUB_OUTPUT."""
        return _read(self.root / "output")

    @property
    def summary(self) -> str:
        """What the step put into GITHUB_STEP_SUMMARY."""
        return _read(self.root / "summary.md")

    def run(self, *argv: str) -> int:
        """Run ``lynxgate`` in this process."""
        return app.run(argv)

    def label(self, minutes: float = 10, actor: str = "ann") -> None:
        """Somebody sets the label, and the workflow starts with that event."""
        self.github.add_label(PULL, LABEL, actor, at(minutes))
        self.event(sender=actor)

    def event(self, *, label: str = LABEL, sender: str = "ann", head: str = HEAD, fork: str | None = None) -> None:
        """Write the event's file."""
        payload = labelled_event(REPOSITORY, PULL, label, sender, head, head_repository=fork)
        (self.root / "event.json").write_text(json.dumps(payload))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.fixture
def step(github: GithubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """A step with everything that GitHub sets, and no event yet."""
    monkeypatch.chdir(tmp_path)
    values = {
        "GITHUB_API_URL": github.url,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "4711",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Step(github, tmp_path, monkeypatch)


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[str, str]]:
    """What was printed since the last call, stdout and stderr; the token is in neither, ever."""

    def read() -> tuple[str, str]:
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return out, err

    return read
