"""What each job of the shipped workflow may and gets, read from the workflow files: names, never a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

WORKFLOWS = Path(__file__).resolve().parents[3] / ".github/workflows"
OF_A_PULL_REQUEST = ("deploy-grammar-tutor.yml", "promote.yml")


@dataclass(frozen=True)
class Job:
    """A job that runs steps, with the names of what its steps are given."""

    name: str
    file: str
    permissions: Mapping[str, str]
    environment: str | None
    secrets: tuple[str, ...]
    variables: tuple[str, ...]


def read_jobs() -> tuple[Job, ...]:
    """The jobs that a request goes through, in order."""
    found = []
    for file in OF_A_PULL_REQUEST:
        jobs: dict[str, dict[str, Any]] = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"]
        for name, job in jobs.items():
            if "uses" not in job:
                text = yaml.safe_dump(job)
                found.append(
                    Job(name, file, job["permissions"], job.get("environment"), _secrets(text), _names("vars", text))
                )
    return tuple(found)


def read_secrets(file: str) -> tuple[str, ...]:
    """The names of all secrets in a workflow file."""
    return _secrets((WORKFLOWS / file).read_text())


def _secrets(text: str) -> tuple[str, ...]:
    own = ("GITHUB_TOKEN",) if "github.token" in text else ()
    return (*own, *_names("secrets", text))


def _names(context: str, text: str) -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(rf"\b{context}\.([A-Z][A-Z0-9_]*)", text))))
