"""The command ``init``: set up the gate in a repository."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command
from lynxgate.cli.output import note, print_text
from lynxgate.escape import visible
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.setup.gate_names import GateNames
    from lynxgate.setup.init import EvalSet, Place


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    example = (
        "init --eval-set data/eval/eval.jsonl --repository owner/name\n"
        "init --name wine --baseline services/wine/eval_baseline.json --eval-set services/wine/eval.csv"
    )
    add_command(app, "init", init, panel=Panel.CI, example=example)


def init(
    eval_set: Annotated[str, typer.Option("--eval-set", help="The path of the eval set in the repository.")] = (
        "data/eval/eval.jsonl"
    ),
    task: Annotated[
        str | None,
        typer.Option("--task", help="The path of its task file. [default: the .toml beside it, else one is proposed]"),
    ] = None,
    expected: Annotated[
        str | None,
        typer.Option("--expected", help="The column of the right answers. [default: label, target, class, y]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="The model of this gate, where the repository has several: each has names of its own."
        ),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option("--baseline", help="The path of the baseline to write; the eval set is in or below its folder."),
    ] = "eval_baseline.json",
    repository: Annotated[
        str | None, typer.Option("--repository", help="The GitHub repository, owner/name. [default: git's origin]")
    ] = None,
    default_branch: Annotated[
        str, typer.Option("--default-branch", help="The default branch of the repository.")
    ] = "main",
    action: Annotated[
        str | None,
        typer.Option(
            "--action", help="Lynxgate's action, owner/name@commit. [default: where lynxgate was installed from]"
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", help="The top directory of the repository. [default: the nearest one that has .git]"),
    ] = None,
) -> int:
    """Set up the gate in a repository.

    It reads the eval set (JSONL, CSV or Parquet), and writes a task file where the set needs one, a report-only
    baseline, two workflows and lines of .gitignore. An existing file is not overwritten. Paths are relative to --root,
    or to the current directory without it; the workflows are written at the top of the repository.
    """
    from importlib import metadata

    from lynxgate.errors import UsageFailure
    from lynxgate.setup.eval_set import read_eval_set
    from lynxgate.setup.gate_names import GateNames
    from lynxgate.setup.init import (
        UNKNOWN_ACTION,
        UNKNOWN_REPOSITORY,
        Place,
        plan_scaffold,
        read_action,
        read_repository,
    )
    from minieval.contract.documents import read_bytes

    folder = ""
    if root is None:
        root, folder = _find_top()
    if not root.is_dir():
        raise UsageFailure(f"{root} is not a directory; name the top of the repository with --root")
    for option, path in (("--eval-set", eval_set), ("--task", task), ("--baseline", baseline)):
        if path is not None and (Path(path).is_absolute() or ".." in Path(path).parts):
            raise UsageFailure(f"{option} {path[:200]!r} is not a path inside the repository")
    names = GateNames(name, _below(folder, baseline), folder)
    eval_set, task = _below(folder, eval_set), None if task is None else _below(folder, task)
    names.from_baseline(eval_set)
    if not (root / ".git").exists():
        note(f"lynxgate: warning: {root.absolute()} is not the top of a git repository")
    installed = metadata.distribution("lynxgate")
    place = Place(
        repository or read_repository(_read_origin(root)) or UNKNOWN_REPOSITORY,
        default_branch,
        action or read_action(installed.read_text("direct_url.json")) or UNKNOWN_ACTION,
        installed.version,
    )
    found = read_eval_set(root, eval_set, task=task, expected=expected)
    # Not an error: `init` may come before the data. A mistyped path must still be seen.
    if not os.path.lexists(root / eval_set):
        note(f"lynxgate: warning: {eval_set} does not exist; the baseline gets an example bucket")
    # lexists: a link to nothing is an existing file, and reading it is an error.
    present = {name: read_bytes(root / name) for name in names.files if os.path.lexists(root / name)}
    planned = plan_scaffold(present, found, place, names)
    for each in planned:
        if each.data is not None:
            _write(root / each.path, each.data)
        print_text(f"{each.path}: {each.status}")
    if any(each.data is not None for each in planned):
        if found.seen:
            print_text("\n" + "\n".join(map(visible, found.seen)))
        _print_next_steps(place, found, names)
    return Exit.OK


def _find_top() -> tuple[Path, str]:
    """Return the nearest directory above that has .git, and the path from it to the current one, "" for itself."""
    here = Path.cwd()
    for top in (here, *here.parents):
        if (top / ".git").exists():
            inside = here.relative_to(top).as_posix()
            return (Path(), "") if top == here else (top, inside)
    return Path(), ""


def _below(folder: str, path: str) -> str:
    return (PurePosixPath(folder) / path).as_posix()


def _read_origin(root: Path) -> str:
    command = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _write(path: Path, data: bytes) -> None:
    from lynxgate.errors import CannotJudge
    from minieval.contract.writes import write_output

    try:
        write_output(path, data)  # a .gitignore that is a link stays one: its target is written
    except CannotJudge as error:
        raise CannotJudge(f"{str(error).rpartition(';')[0]}; correct this and run init again") from error


def _print_next_steps(place: Place, eval_set: EvalSet, names: GateNames) -> None:
    from lynxgate.setup.gate_names import BASELINE
    from lynxgate.setup.init import EXAMPLE, UNKNOWN_ACTION, UNKNOWN_REPOSITORY

    steps = []
    if names.folder:
        steps.append("Go to the top of the repository: the paths below start there.")
    if place.action == UNKNOWN_ACTION:
        steps.append(f"In {names.caller} and {names.gate}, replace {'0' * 40} by the commit of a Lynxgate release.")
    if place.repository == UNKNOWN_REPOSITORY:
        steps.append(f"In {names.caller}, replace {UNKNOWN_REPOSITORY} by the name of this repository.")
    task = "" if eval_set.task is None else f" --task {shlex.quote(eval_set.task.path)}"
    if eval_set.task is not None and eval_set.task.proposed is not None:
        steps.append(
            f"Read {eval_set.task.path}, and check it: minieval check {shlex.quote(eval_set.task.path)} --eval-set "
            f"{shlex.quote(eval_set.path)}. After an edit, delete {names.baseline} and run init again: it names the "
            "task by its digest."
        )
    of_baseline = "" if names.baseline == BASELINE else f" --baseline {names.baseline}"
    by_name = "" if names.model is None else f" --model-name {names.model}"
    remove = "" if eval_set.buckets else f" --remove {EXAMPLE}"
    steps += [
        f"Version the eval set: dvc add {shlex.quote(eval_set.path)}; dvc push; commit its .dvc file.",
        "Measure the model that is in production, and take its figures as the baseline:\n"
        f"     lynxgate fetch --run-id RUN_ID{by_name}\n"
        f"     python -m minieval --bundle candidate --eval-set {shlex.quote(eval_set.path)}{task} "
        "--output candidate_eval.json --run-id RUN_ID\n"
        f"     lynxgate baseline rebaseline{of_baseline}{remove}",
        f"On GitHub, create the label {names.label}, the variable MLFLOW_TRACKING_URI, and the environment "
        f"production with reviewers and the variables LYNXGATE_PROMOTION_TRACKING_URI and {names.registry_variable}.",
        *_list_registry_step(names),
        f"When its reports are as you expect, enforce the baseline: lynxgate baseline activate{of_baseline}",
    ]
    print_text("\nNext steps:")
    for number, step in enumerate(steps, 1):
        print_text(f"  {number}. {step}")


def _list_registry_step(names: GateNames) -> list[str]:
    if names.model is None:
        return []
    return [
        f"Create the registry of this model, whose address is {names.registry_variable}:\n"
        f"     lynxgate registry init --environment production --model {names.model} --registry s3://BUCKET/PREFIX",
    ]
