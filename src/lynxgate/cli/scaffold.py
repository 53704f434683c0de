"""The command ``init``: a gate in somebody's repository, in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.setup.init import EvalSet, Place


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("init")(init)


def init(
    eval_set: Annotated[str, typer.Option("--eval-set", help="The eval set, its path in the repository.")] = (
        "data/eval/eval.jsonl"
    ),
    repository: Annotated[
        str | None, typer.Option("--repository", help="This repository on GitHub, owner/name. [default: origin's]")
    ] = None,
    default_branch: Annotated[str, typer.Option("--default-branch", help="Its default branch.")] = "main",
    action: Annotated[
        str | None,
        typer.Option("--action", help="Lynxgate's action, owner/name@commit. [default: what lynxgate came from]"),
    ] = None,
    root: Annotated[Path, typer.Option("--root", help="The top of the repository.")] = Path(),
) -> int:
    """Put baseline, policy, workflows and .gitignore lines into a repository; what is there stays as it is."""
    from importlib import metadata

    from lynxgate.errors import UsageFailure
    from lynxgate.setup.init import (
        FILES,
        UNKNOWN_ACTION,
        UNKNOWN_REPOSITORY,
        Place,
        plan_scaffold,
        read_action,
        read_repository,
    )
    from minieval.contract.documents import read_bytes

    if not root.is_dir():
        raise UsageFailure(f"{root} is no directory; name the top of the repository with --root")
    if not (root / ".git").exists():
        print(f"lynxgate: warning: {root.absolute()} is not the top of a git repository", file=sys.stderr)
    installed = metadata.distribution("lynxgate")
    place = Place(
        repository or read_repository(_read_origin(root)) or UNKNOWN_REPOSITORY,
        default_branch,
        action or read_action(installed.read_text("direct_url.json")) or UNKNOWN_ACTION,
        installed.version,
    )
    found = _look_at(root, eval_set)
    present = {name: read_bytes(root / name) for name in FILES if os.path.lexists(root / name)}
    planned = plan_scaffold(present, found, place)
    for each in planned:
        if each.data is not None:
            _write(root / each.path, each.data)
        print(f"{each.path}: {each.said}")
    if any(each.data is not None for each in planned):
        _say_next(place, found)
    return Exit.OK


def _read_origin(root: Path) -> str:
    command = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _look_at(root: Path, eval_set: str) -> EvalSet:
    """The eval set where it is there, with what it says of itself."""
    from lynxgate.errors import UsageFailure
    from lynxgate.setup.init import EvalSet
    from minieval.contract.evalset import load_eval_set

    if Path(eval_set).is_absolute() or ".." in Path(eval_set).parts:
        raise UsageFailure(f"--eval-set {eval_set[:200]!r} is not a path inside the repository")
    if not (root / eval_set).exists():
        return EvalSet(eval_set)
    loaded = load_eval_set(root / eval_set)
    buckets = sorted({bucket for row in loaded.rows for bucket in row.labels.buckets})
    return EvalSet(eval_set, loaded.identity, tuple(buckets))


def _write(path: Path, data: bytes) -> None:
    from lynxgate.errors import CannotJudge
    from minieval.contract.writes import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.resolve(), data)  # of a .gitignore that is a link, what it leads to
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be written: {error.strerror}; then run lynxgate init again") from error


def _say_next(place: Place, eval_set: EvalSet) -> None:
    from lynxgate.setup.init import CALLER, EXAMPLE, GATE, UNKNOWN_ACTION, UNKNOWN_REPOSITORY

    steps = []
    if place.action == UNKNOWN_ACTION:
        steps.append(f"in {CALLER} and {GATE}: put the commit of a Lynxgate release where {'0' * 40} stands")
    if place.repository == UNKNOWN_REPOSITORY:
        steps.append(f"in {CALLER}: put this repository's name where {UNKNOWN_REPOSITORY} stands")
    remove = "" if eval_set.buckets else f" --remove {EXAMPLE}"
    steps += [
        f"version the eval set: dvc add {eval_set.path}; dvc push; commit its .dvc file",
        "measure the model that is in production, and take its figures:\n"
        "     lynxgate fetch --run-id RUN_ID\n"
        f"     python -m minieval --bundle candidate --eval-set {eval_set.path} --output candidate_eval.json "
        "--run-id RUN_ID\n"
        f"     lynxgate baseline rebaseline{remove}",
        "on GitHub: the label deploy-candidate, the environment production with reviewers, the variables "
        "MLFLOW_TRACKING_URI and LYNXGATE_REGISTRY",
        "when its reports are what you expect, enforce it: lynxgate baseline arm",
    ]
    print("\nnext:")
    for number, step in enumerate(steps, 1):
        print(f"  {number}. {step}")
