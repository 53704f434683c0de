"""The files that `lynxgate init` adds to a repository: task file, baseline, workflows, lines of .gitignore. Pure.

- It overwrites no file. To a .gitignore it adds missing lines only, at the end.
- For the same repository it makes the same plan; the second time there is nothing to write.
- The baseline is report-only: it blocks no candidate until it is activated.
- The workflows name the reusable action by a commit, never by a tag or branch, which could be moved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources

from lynxgate.decision.baseline import SCHEMA, Status, parse_baseline
from lynxgate.decision.policy import DEFAULT_TOLERANCE_PP, STRONGEST_ISOLATION
from lynxgate.errors import UsageFailure
from lynxgate.identity import is_commit
from lynxgate.jsonedit import format_value
from lynxgate.setup.gate_names import BASELINE, LABEL, ONLY_GATE, GateNames
from minieval.contract.identities import COMMIT
from minieval.contract.report import EvalSetIdentity

IGNORED = (
    "/candidate/",
    "/candidate.run.json",
    "/candidate_eval.json",
    "/candidate_eval.model.lock",
    "/candidate_rows.parquet",
    "/verdict.json",
    "/.lynxgate/",
)
EXAMPLE = "example.bucket"
PLACEHOLDER = "TODO"
UNKNOWN_REPOSITORY = "OWNER/REPOSITORY"
UNKNOWN_ACTION = "lynxgate/lynxgate@" + "0" * 40
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_ON_GITHUB = re.compile(rf"(?:https://|ssh://git@|git@)github\.com[/:](?P<name>{_NAME}/{_NAME}?)(?:\.git)?/?")
_COMMENT = "Figures of the production model, per bucket. Change it only in a pull request of its own."


@dataclass(frozen=True)
class AgreedTask:
    """The task file: its path in the repository, its digest, and its bytes where it is to be written."""

    path: str
    sha256: str
    proposed: bytes | None = None


@dataclass(frozen=True)
class EvalSet:
    """The path of the eval set; hashes, numbers of rows by bucket, and what was seen (text) if the file exists."""

    path: str
    identity: EvalSetIdentity | None = None
    buckets: Mapping[str, int] = field(default_factory=dict)
    task: AgreedTask | None = None
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """The names in the workflows: this repository, its default branch, and the action as ``owner/name@commit``."""

    repository: str = UNKNOWN_REPOSITORY
    branch: str = "main"
    action: str = UNKNOWN_ACTION
    version: str = ""

    def __post_init__(self) -> None:
        """Check the form of all three.

        Raises:
            UsageFailure: one is malformed; the message names its option.
        """
        if not re.fullmatch(rf"{_NAME}/{_NAME}", self.repository):
            raise UsageFailure(f"--repository {self.repository[:80]!r} is not owner/name")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}", self.branch):
            raise UsageFailure(f"--default-branch {self.branch[:80]!r} is not a plain branch name")
        if not re.fullmatch(rf"{_NAME}/{_NAME}@{COMMIT}", self.action):
            raise UsageFailure(f"--action {self.action[:80]!r} is not owner/name@commit, the commit in 40 hex digits")


@dataclass(frozen=True)
class Planned:
    """One file: the bytes to write (`None`: it stays as it is), and its status for the user."""

    path: str
    data: bytes | None
    status: str


def plan_scaffold(
    present: Mapping[str, bytes], eval_set: EvalSet, place: Place, names: GateNames = ONLY_GATE
) -> tuple[Planned, ...]:
    """Return what to write; ``present`` has the bytes of those files of ``names`` that exist.

    Raises:
        CannotJudge: the eval set does not give a valid baseline.
        UsageFailure: eval set or task is outside the folder of the baseline.
    """
    made = {
        names.baseline: (_baseline(eval_set, names), f"created, report-only, {_figures(eval_set)}"),
        names.caller: (_workflow("lynxgate.yml", place, names), "created"),
        names.gate: (_workflow("lynxgate-gate.yml", place, names), "created"),
    }
    files = (_keep_or_write(path, data, status, present.get(path)) for path, (data, status) in made.items())
    ignores = (_plan_ignore(path, present.get(path)) for path in names.ignores)
    return (*_plan_task(eval_set.task), *files, *ignores)


def read_repository(remote: str) -> str | None:
    """Return the ``owner/name`` in the address of a GitHub remote; `None` for any other address."""
    found = _ON_GITHUB.fullmatch(remote.strip())
    return found["name"].removesuffix(".git") if found else None


def read_action(direct_url: str | None) -> str | None:
    """Return the action of the installed lynxgate, by the GitHub commit that pip recorded (PEP 610); `None` if none."""
    try:
        noted = json.loads(direct_url or "{}")
        name, commit = read_repository(str(noted["url"])), str(noted["vcs_info"]["commit_id"])
    except (ValueError, KeyError, TypeError):
        return None
    return f"{name}@{commit}" if name and is_commit(commit) else None


def missing_lines(text: str, lines: Collection[str] = IGNORED) -> list[str]:
    """Return those ``lines`` that a .gitignore lacks; slashes at either end are ignored in the comparison."""
    # git reads "candidate", "/candidate" and "candidate/" in different ways, but each ignores what a gate writes.
    there = {line.strip().strip("/") for line in text.splitlines()}
    return [line for line in lines if line.strip("/") not in there]


def _plan_task(task: AgreedTask | None) -> Iterator[Planned]:
    if task is not None:
        status = "unchanged" if task.proposed is None else "created, a proposal: read it before you go on"
        yield Planned(task.path, task.proposed, status)


def _keep_or_write(path: str, data: bytes, status: str, found: bytes | None) -> Planned:
    if found is None:
        return Planned(path, data, status)
    return Planned(path, None, "unchanged" if found == data else "not changed: it differs from what init writes")


def _baseline(eval_set: EvalSet, names: GateNames) -> bytes:
    identity, task = eval_set.identity, eval_set.task
    document = {
        "_comment": _COMMENT,
        "schema": SCHEMA,
        "status": str(Status.REPORT_ONLY),
        **({} if names.model is None else {"model": names.model}),
        "eval_set": names.from_baseline(eval_set.path),
        "eval_set_dvc_hash": PLACEHOLDER if identity is None else identity.dvc_md5,
        "eval_set_sha256": PLACEHOLDER if identity is None else identity.sha256,
        **({} if task is None else {"task": {"path": names.from_baseline(task.path), "sha256": task.sha256}}),
        "policy": {"rule": "point", "tolerance_pp": DEFAULT_TOLERANCE_PP, "min_isolation": STRONGEST_ISOLATION},
        "buckets": dict.fromkeys(sorted(eval_set.buckets) or (EXAMPLE,), PLACEHOLDER),
    }
    # Written by `format_value`, as rebaseline edits it later: the first diff shows numbers only.
    data = (format_value(document, "") + "\n").encode()
    parse_baseline(data, where="the new baseline")  # a bucket name may be one that a baseline does not allow
    return data


def _figures(eval_set: EvalSet) -> str:
    count = len(eval_set.buckets)
    return f"{count} {'bucket' if count == 1 else 'buckets'} without figures yet" if count else "an example bucket"


def _workflow(template_name: str, place: Place, names: GateNames) -> bytes:
    template = resources.files("lynxgate.setup").joinpath("templates", template_name).read_text(encoding="utf-8")
    version = f" # v{place.version}" if place.version else ""
    suffix = "" if names.model is None else f"-{names.model}"
    given = {"baseline": (names.baseline, BASELINE), "label": (names.label, LABEL), "name": (names.model, None)}
    lines = [f"          {name}: {value}\n" for name, (value, default) in given.items() if value != default]
    # `Place` and `GateNames` have checked the form of all of them, so they need no quoting in YAML.
    words = {
        "__ACTION__": place.action + version,
        "__REPOSITORY__": place.repository,
        "__BRANCH__": place.branch,
        "__SUFFIX__": suffix,
        "__LABEL__": names.label,
        "__REQUEST__": names.request,
        "vars.LYNXGATE_REGISTRY }}": f"vars.{names.registry_variable} }}}}",
        "__GATE__": names.gate,
        "          # __INPUTS__\n": "".join(lines),
    }
    for word, value in words.items():
        template = template.replace(word, value)
    return template.encode()


def _plan_ignore(path: str, found: bytes | None) -> Planned:
    data = found or b""
    lines = missing_lines(data.decode("utf-8", errors="replace"))
    if not lines:
        return Planned(path, None, "unchanged")
    # The last line may have no newline; ours must not be joined to it.
    gap = b"" if not data or data.endswith(b"\n") else b"\n"
    added = "\n".join(["# files that a gate writes into the checkout (lynxgate)", *lines, ""]).encode()
    how = "created" if found is None else f"{len(lines)} lines added at its end"
    return Planned(path, data + gap + added, how)
