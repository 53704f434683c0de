"""Read the task file that a baseline names, and check that it is the agreed one.

- The digest covers the task file, its scorer, and the files of its evaluator (`minieval.task.document.read_task`).
- Called before anything is downloaded: a changed task is found before a candidate is fetched.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lynxgate.decision.baseline import Baseline, parse_baseline
from lynxgate.decision.groups import Groups, read_groups
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.documents import parse_json, read_bytes
from minieval.task.document import CONVENTIONS, Task, TaskFile, read_task


def read_agreed_task(baseline: Baseline, folder: Path, *, path: Path | None = None) -> TaskFile | None:
    """Return the task of a baseline, whose path is relative to ``folder``; `None` where it names none.

    ``path`` replaces the path in the baseline, for a file that is elsewhere.

    Raises:
        CannotJudge: the task file is missing or invalid, or the baseline has a placeholder for its digest.
        IntegrityFailure: the digest is not the one that the baseline names.
    """
    agreed = baseline.task
    if agreed is None:
        return None
    if agreed.sha256 is None:
        raise CannotJudge(
            f"the baseline has a placeholder for the digest of its task {agreed.path!r}; evaluate with the task, then "
            "rebaseline (lynxgate baseline rebaseline)"
        )
    found = read_task(path or folder / agreed.path)
    if found.sha256 != agreed.sha256:
        raise IntegrityFailure(
            f"{found.path}: the baseline names the task with SHA-256 {agreed.sha256}, and this one (with its scorer) "
            f"is {found.sha256}; check out the agreed task, or measure a new baseline (lynxgate baseline rebaseline)"
        )
    return found


def read_agreed_groups(eval_set: Path, baseline: bytes, folder: Path, *, where: str = "the baseline") -> Groups:
    """Return the groups of an eval set as the task of a baseline reads it; ``folder`` is that of the baseline.

    Raises:
        CannotJudge, IntegrityFailure: as `read_agreed_task` and `lynxgate.decision.groups.read_groups`, or the baseline
            is invalid.
    """
    return read_groups(eval_set, read_reading_task(baseline, folder, where=where))


def read_reading_task(baseline: bytes, folder: Path, *, where: str = "the baseline") -> Task:
    """Return the task by which the eval set of a baseline is read: its own, or the conventions.

    Raises:
        CannotJudge, IntegrityFailure: as `read_agreed_task`, or the baseline is invalid.
    """
    found = read_agreed_task(parse_baseline(baseline, where=where), folder)
    return CONVENTIONS if found is None else found.task


def list_task_files(baseline: Baseline, folder: Path) -> tuple[Path, ...]:
    """Return the paths of the task file of a baseline, its scorer and its evaluator; none where it names no task.

    The digest is not checked: the files matter here, and not whether they are the agreed ones.

    Raises:
        CannotJudge: the task file is missing or invalid.
    """
    if baseline.task is None:
        return ()
    return list_files(read_task(folder / baseline.task.path))


def list_named_files(path: Path) -> tuple[Path, ...]:
    """Return the files that the baseline at ``path`` names: its eval set with its .dvc file, its task and its scorer.

    For a check of outputs, before anything is parsed: a baseline or a task that is missing or invalid names what can be
    read of it, and reading it has its own message.
    """
    try:
        if not path.is_file():  # a pipe can be read once only
            return ()
        tree = parse_json(read_bytes(path), where=str(path))
    except (CannotJudge, OSError):
        return ()
    tree = tree if isinstance(tree, dict) else {}
    eval_set, task = tree.get("eval_set"), tree.get("task")
    found = []
    if isinstance(eval_set, str):
        found += [path.parent / eval_set, path.parent / f"{eval_set}.dvc"]
    if isinstance(task, dict) and isinstance(named := task.get("path"), str):
        found.append(path.parent / named)
        with suppress(CannotJudge, OSError, ValueError):
            found += list_files(read_task(found[-1])) if found[-1].is_file() else ()
    return tuple(found)


def list_files(task: TaskFile) -> tuple[Path, ...]:
    """Return the paths of a task file and of what it names: its scorer, or the files of its evaluator."""
    return task.files
