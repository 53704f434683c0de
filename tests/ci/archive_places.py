"""Every place where a job unpacks what another job kept: found in the files, and listed in `PLACES`.

A place is a step that restores a cache, downloads an artifact, attaches a workspace or unpacks an archive. GitLab has
no step for it: a job unpacks the artifacts of the jobs that it needs, before its script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.ci.jenkinsfile import Statement, parse_jenkinsfile

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = ROOT / "src/lynxgate/setup/templates"
EXAMPLES = ROOT / "examples/ci"
GITHUB = [*sorted((ROOT / ".github/workflows").glob("*.yml")), *sorted(TEMPLATES.glob("*.yml")), ROOT / "action.yml"]
GITLAB = EXAMPLES / "gitlab/.gitlab-ci.yml"
CIRCLECI = EXAMPLES / "circleci/config.yml"
JENKINS = EXAMPLES / "jenkins/Jenkinsfile"
# Every other action counts as a place: a new one must be listed in one of the two tables.
_HARMLESS = {"checkout", "setup-python", "upload-artifact", "configure-aws-credentials", "create-github-app-token"}
_UNPACKS = re.compile(
    r"\b(tar|unzip|bsdtar|cpio|7z|rsync|gunzip|zstd|unpack_archive|extractall|gh +run +download|gh +cache)\b"
    r"|\b(curl|wget)\b"
)
Json = dict[str, Any]


@dataclass(frozen=True, order=True)
class Place:
    """Where an archive is unpacked: the file, the job (or the task of the action), and the step."""

    file: str
    job: str
    step: str


# The agreed folder of each: $T is the runner's directory for temporary files, $P is GitLab's folder of the project.
PLACES: dict[Place, str] = {
    Place("perf-rebaseline.yml", "propose", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("promote.yml", "count", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("promote.yml", "announce", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("promote.yml", "promote", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("promote.yml", "report", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("promote.yml", "report", "Download the result of the count"): "$T/lynxgate/count",
    Place("promote.yml", "report", "Download the result of the promotion"): "$T/lynxgate/promotion",
    Place("action.yml", "announce", "Download the verdict"): "$T/lynxgate/evaluation",
    Place("action.yml", "promote", "Download the evaluation"): "$T/lynxgate/evaluation",
    Place("action.yml", "report", "Download the result of the evaluation"): "$T/lynxgate/evaluation",
    Place("action.yml", "report", "Download the result of the promotion"): "$T/lynxgate/promotion",
    Place(".gitlab-ci.yml", "evaluate", "needs request"): "$P",
    Place(".gitlab-ci.yml", "promote", "needs request"): "$P",
    Place(".gitlab-ci.yml", "promote", "needs evaluate"): "$P",
    Place("config.yml", "promote", "attach_workspace"): "$T/lynxgate-evaluation",
    Place("Jenkinsfile", "promote", "unstash"): "$T/evaluation",
}


def load(path: Path) -> Json:
    """A YAML file; with libyaml, which is ten times as fast."""
    found: Json = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return found


def github_jobs(document: Json) -> dict[str, list[Json]]:
    """The steps of a workflow's jobs by name, or those of the action by task."""
    if "runs" not in document:
        return {name: job.get("steps", []) for name, job in document["jobs"].items()}
    steps = document["runs"]["steps"]
    return {
        task: [each for each in steps if "inputs.task" not in each.get("if", "") or f"'{task}'" in each["if"]]
        for task in ("request", "evaluate", "announce", "promote", "report")
    }


def circleci_steps(document: Json, job: str) -> list[Json]:
    """The steps of a CircleCI job, with those of the commands that it calls."""
    found: list[Json] = []
    for step in document["jobs"][job]["steps"]:
        called = document.get("commands", {}).get(step) if isinstance(step, str) else None
        found += called["steps"] if called else [{step: {}} if isinstance(step, str) else step]
    return [{step: {}} if isinstance(step, str) else step for step in found]


def jenkins_stages(text: str) -> dict[str, Statement]:
    """The stages of a Jenkinsfile by name."""
    return {each.words[1]: each for each in parse_jenkinsfile(text).one("stages").body}


def find_github(file: str, document: Json) -> Iterator[Place]:
    """The places in a workflow or in the action."""
    for job, steps in github_jobs(document).items():
        for step in steps:
            name = str(step.get("name", step.get("uses", "?")))
            action = step.get("uses", "").partition("@")[0].rpartition("/")[2]
            ours = step.get("uses", "").startswith("__ACTION__")
            cached = any("cache" in str(key).lower() for key in step.get("with", {}))
            if (action and not ours and action not in _HARMLESS) or cached or _UNPACKS.search(step.get("run", "")):
                yield Place(file, job, name)


def find_gitlab(document: Json) -> Iterator[Place]:
    """The places in GitLab's file; without `needs` a job gets the artifacts of every earlier stage."""
    jobs = {name: each for name, each in document.items() if isinstance(each, dict) and "script" in each}
    stages = document["stages"]
    for name, job in jobs.items():
        before = [each for each in jobs if stages.index(jobs[each]["stage"]) < stages.index(job["stage"])]
        needs: list[Json] = job.get("dependencies", job.get("needs", before)) or []
        for needed in needs:
            yield Place(GITLAB.name, name, f"needs {needed if isinstance(needed, str) else needed['job']}")
        text = "\n".join([*job.get("before_script", []), *job["script"]])
        if "cache" in job or _UNPACKS.search(text):
            yield Place(GITLAB.name, name, "script")
    if "cache" in document or "cache" in document.get("default", {}):
        yield Place(GITLAB.name, "default", "cache")


def find_circleci(document: Json) -> Iterator[Place]:
    """The places in CircleCI's file."""
    for job in document["jobs"]:
        for step in circleci_steps(document, job):
            (kind,) = step
            if kind in ("attach_workspace", "restore_cache") or "/" in kind:  # a step with a slash is an orb's
                yield Place(CIRCLECI.name, job, kind)
            elif kind == "run" and _UNPACKS.search(step[kind]["command"]):
                yield Place(CIRCLECI.name, job, step[kind]["name"])


def find_jenkins(text: str) -> Iterator[Place]:
    """The places in the Jenkinsfile."""
    for name, stage in jenkins_stages(text).items():
        for each in stage.walk():
            known = each.name in ("unstash", "copyArtifacts", "unarchive", "unzip", "untar", "cache", "readCache")
            if known or (each.name == "sh" and _UNPACKS.search(each.words[-1])):
                yield Place(JENKINS.name, name, each.name)


def find_all() -> list[Place]:
    """Every place in what is shipped."""
    found = [place for path in GITHUB for place in find_github(path.name, load(path))]
    found += find_gitlab(load(GITLAB))
    found += find_circleci(load(CIRCLECI))
    return [*found, *find_jenkins(JENKINS.read_text())]
