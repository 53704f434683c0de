"""What `lynxgate init` puts into somebody's repository: baseline with policy, workflows, lines of .gitignore. Pure.

- Nothing that is there is overwritten; to a .gitignore only missing lines are added, at its end.
- The same repository twice is the same plan, and the second time it holds nothing to write.
- The baseline is report-only: it refuses nobody until somebody arms it.
- The workflows name the reusable action by a commit, never by a tag or branch that can be moved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources

from lynxgate.decision.baseline import SCHEMA, Status, parse_baseline
from lynxgate.decision.policy import DEFAULT_TOLERANCE_PP
from lynxgate.errors import UsageFailure
from lynxgate.identity import is_commit
from lynxgate.jsonedit import format_value
from minieval.contract.identities import COMMIT
from minieval.contract.report import EvalSetIdentity

BASELINE, IGNORE = "eval_baseline.json", ".gitignore"
CALLER, GATE = ".github/workflows/lynxgate.yml", ".github/workflows/lynxgate-gate.yml"
FILES = (BASELINE, CALLER, GATE, IGNORE)
IGNORED = ("/candidate/", "/candidate_eval.json", "/verdict.json", "/.lynxgate/")
EXAMPLE = "example.bucket"
PLACEHOLDER = "TODO"
UNKNOWN_REPOSITORY = "OWNER/REPOSITORY"
UNKNOWN_ACTION = "lynxgate/lynxgate@" + "0" * 40
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_ON_GITHUB = re.compile(rf"(?:https://|ssh://git@|git@)github\.com[/:](?P<name>{_NAME}/{_NAME}?)(?:\.git)?/?")
_COMMENT = "What production measured, per bucket. Changed only by a pull request of its own."


@dataclass(frozen=True)
class EvalSet:
    """Where the eval set is; and when it is there, its hashes and its buckets."""

    path: str
    identity: EvalSetIdentity | None = None
    buckets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """What the workflows name: this repository and its default branch, and the action as ``owner/name@commit``."""

    repository: str = UNKNOWN_REPOSITORY
    branch: str = "main"
    action: str = UNKNOWN_ACTION
    version: str = ""

    def __post_init__(self) -> None:
        """Hold all three to their form.

        Raises:
            UsageFailure: naming the option, and what it takes.
        """
        if not re.fullmatch(rf"{_NAME}/{_NAME}", self.repository):
            raise UsageFailure(f"--repository {self.repository[:80]!r} is not owner/name")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}", self.branch):
            raise UsageFailure(f"--default-branch {self.branch[:80]!r} is no plain name of a branch")
        if not re.fullmatch(rf"{_NAME}/{_NAME}@{COMMIT}", self.action):
            raise UsageFailure(f"--action {self.action[:80]!r} is not owner/name@commit, the commit in 40 hex digits")


@dataclass(frozen=True)
class Planned:
    """One file: the bytes to write, `None` where it stays as it is; and what is said of it."""

    path: str
    data: bytes | None
    said: str


def plan_scaffold(present: Mapping[str, bytes], eval_set: EvalSet, place: Place) -> tuple[Planned, ...]:
    """What to write, given the bytes of those of `FILES` that are ``present``.

    Raises:
        CannotJudge: what is known of the eval set makes no valid baseline.
    """
    made = {
        BASELINE: (_baseline(eval_set), f"created, report-only, {_figures(eval_set)}"),
        CALLER: (_workflow(CALLER, place), "created"),
        GATE: (_workflow(GATE, place), "created"),
    }
    files = (_keep_or_write(path, data, said, present.get(path)) for path, (data, said) in made.items())
    return (*files, _plan_ignore(present.get(IGNORE)))


def read_repository(remote: str) -> str | None:
    """The ``owner/name`` in the address of a remote on GitHub; `None` for any other address."""
    found = _ON_GITHUB.fullmatch(remote.strip())
    return found["name"].removesuffix(".git") if found else None


def read_action(direct_url: str | None) -> str | None:
    """The action that belongs to an installed lynxgate: the commit on GitHub that pip noted (PEP 610), if it did."""
    try:
        noted = json.loads(direct_url or "{}")
        name, commit = read_repository(str(noted["url"])), str(noted["vcs_info"]["commit_id"])
    except (ValueError, KeyError, TypeError):
        return None
    return f"{name}@{commit}" if name and is_commit(commit) else None


def missing_lines(text: str, lines: Collection[str] = IGNORED) -> list[str]:
    """Those of ``lines`` that a .gitignore does not have, with or without their slashes."""
    there = {line.strip().strip("/") for line in text.splitlines()}
    return [line for line in lines if line.strip("/") not in there]


def _keep_or_write(path: str, data: bytes, said: str, found: bytes | None) -> Planned:
    if found is None:
        return Planned(path, data, said)
    return Planned(path, None, "unchanged" if found == data else "left alone: it is there, and not as init writes it")


def _baseline(eval_set: EvalSet) -> bytes:
    identity = eval_set.identity
    document = {
        "_comment": _COMMENT,
        "schema": SCHEMA,
        "status": str(Status.REPORT_ONLY),
        "eval_set": eval_set.path,
        "eval_set_dvc_hash": PLACEHOLDER if identity is None else identity.dvc_md5,
        "eval_set_sha256": PLACEHOLDER if identity is None else identity.sha256,
        "policy": {"rule": "point", "tolerance_pp": DEFAULT_TOLERANCE_PP},
        "buckets": dict.fromkeys(eval_set.buckets or (EXAMPLE,), PLACEHOLDER),
    }
    data = (format_value(document, "") + "\n").encode()
    parse_baseline(data, where="the new baseline")
    return data


def _figures(eval_set: EvalSet) -> str:
    count = len(eval_set.buckets)
    return f"{count} {'bucket' if count == 1 else 'buckets'} without figures yet" if count else "an example of a bucket"


def _workflow(path: str, place: Place) -> bytes:
    template = (
        resources.files("lynxgate.setup").joinpath("templates", path.rpartition("/")[2]).read_text(encoding="utf-8")
    )
    version = f" # v{place.version}" if place.version else ""
    words = {"__ACTION__": place.action + version, "__REPOSITORY__": place.repository, "__BRANCH__": place.branch}
    for word, value in words.items():
        template = template.replace(word, value)
    return template.encode()


def _plan_ignore(found: bytes | None) -> Planned:
    data = found or b""
    lines = missing_lines(data.decode("utf-8", errors="replace"))
    if not lines:
        return Planned(IGNORE, None, "unchanged")
    gap = b"" if not data or data.endswith(b"\n") else b"\n"
    added = "\n".join(["# what a gate leaves in the checkout (lynxgate)", *lines, ""]).encode()
    how = "created" if found is None else f"{len(lines)} lines added at its end"
    return Planned(IGNORE, data + gap + added, how)
