"""The environment variables that GitHub gives a workflow step, and the files to which the step writes its outputs.

- Values are checked before use. Outputs are appended to a file, never passed through a shell.
- The token is in no `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lynxgate.errors import StoreFailure, UsageFailure

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
# No newline and no "=": a value cannot add a second output.
_OUTPUT = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._:/-]{1,200}")


@dataclass(frozen=True)
class Workflow:
    """The environment of a step; a variable that is not set is `None`."""

    api_url: str
    repository: str | None
    token: str | None = field(repr=False)
    account: str | None
    run_url: str | None
    event: Path | None
    outputs: Path | None
    summary: Path | None
    workspace: Path | None


def read_workflow(environ: Mapping[str, str]) -> Workflow:
    """Return the variables that GitHub sets.

    Raises:
        UsageFailure: a variable does not have the form that GitHub gives it.
    """
    repository = environ.get("GITHUB_REPOSITORY") or None
    if repository is not None and not _REPOSITORY.fullmatch(repository):
        raise UsageFailure(f"GITHUB_REPOSITORY is {repository[:80]!r}; it must be owner/name")
    api_url = environ.get("GITHUB_API_URL") or "https://api.github.com"
    if not _ADDRESS.fullmatch(api_url):
        raise UsageFailure("GITHUB_API_URL is not an http:// or https:// address")
    return Workflow(
        api_url=api_url.rstrip("/"),
        repository=repository,
        token=environ.get("GITHUB_TOKEN") or None,
        account=environ.get("LYNXGATE_GITHUB_ACCOUNT") or None,
        run_url=_run_url(environ, repository),
        event=_path(environ, "GITHUB_EVENT_PATH"),
        outputs=_path(environ, "GITHUB_OUTPUT"),
        summary=_path(environ, "GITHUB_STEP_SUMMARY"),
        workspace=_path(environ, "GITHUB_WORKSPACE"),
    )


def write_outputs(workflow: Workflow, values: Mapping[str, str]) -> None:
    """Append ``name=value`` lines to the step's outputs; do nothing if there is no such file.

    Raises:
        ValueError: a name or value has characters other than letters, digits, dots, hyphens and underscores.
        StoreFailure: the file cannot be written.
    """
    for name, value in values.items():
        if not (_OUTPUT.fullmatch(name) and _OUTPUT.fullmatch(value)):
            raise ValueError(f"the output {name!r} is not one plain word")
    _append(workflow.outputs, "".join(f"{name}={value}\n" for name, value in values.items()))


def write_summary(workflow: Workflow, markdown: str) -> None:
    """Append Markdown to the step's summary; do nothing if there is no such file.

    Raises:
        StoreFailure: the file cannot be written.
    """
    _append(workflow.summary, f"{markdown}\n")


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StoreFailure(f"{path}: cannot be written: {error.strerror}") from error


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _run_url(environ: Mapping[str, str], repository: str | None) -> str | None:
    server = (environ.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    run = environ.get("GITHUB_RUN_ID", "")
    known = repository is not None and re.fullmatch(r"[0-9]{1,20}", run) and _ADDRESS.fullmatch(server)
    return f"{server}/{repository}/actions/runs/{run}" if known else None
