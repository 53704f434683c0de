"""Read the eval set of a repository that gets a gate: by the conventions, by a task file, or by one proposed here.

- A task file beside the eval set that has its name is the one to use; a proposal is made only where there is none.
- Nothing is written here, and what is returned was read by the very task that the baseline will name.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from lynxgate.decision.policy import DEFAULT_TOLERANCE_PP
from lynxgate.errors import CannotJudge, UsageFailure
from lynxgate.setup.init import AgreedTask, EvalSet
from lynxgate.setup.proposal import (
    check_names,
    choose_bins,
    choose_cap,
    choose_expected,
    follows_conventions,
    list_types,
    make_provisional_task,
    plan_task,
    write_task,
)
from lynxgate.setup.survey import Survey, list_columns, read_numbers, survey
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import read_bytes
from minieval.data.labels import read_labels
from minieval.task.columns import Roles, assign_roles
from minieval.task.document import CONVENTIONS, Task, TaskFile, parse_task, read_task

SHOWN_BUCKETS = 30
SHOWN_COLUMNS = 3


def read_eval_set(root: Path, path: str, *, task: str | None = None, expected: str | None = None) -> EvalSet:
    """Return the eval set at ``path`` below ``root``, with its task; ``task`` is the path of an existing task file.

    Raises:
        UsageFailure: a path leads out of the repository, or ``expected`` contradicts the task file.
        CannotJudge: the eval set or its task is invalid, or the column of the right answers is not clear.
        IntegrityFailure: the eval set holds a link or a special file.
    """
    for option, value in (("--eval-set", path), ("--task", task)):
        if value is not None and (Path(value).is_absolute() or ".." in Path(value).parts):
            raise UsageFailure(f"{option} {value[:200]!r} is not a path inside the repository")
    data = root / path
    if not data.exists():
        if task is not None:
            raise CannotJudge(f"{data}: no such file, and --task needs it; name the eval set with --eval-set")
        return EvalSet(path)
    beside = _name_task(root, path)
    if task is None and (root / beside).exists():
        _refuse_other_toml(root / beside)
        task = beside
    if task is not None:
        found = _read_named(root, task, expected)
        return _describe(root, path, found[0].task, survey(data, found[0].task), found[1])
    names = list_columns(data)
    if follows_conventions(names) and expected in (None, CONVENTIONS.expected):
        return _describe(root, path, CONVENTIONS, survey(data, CONVENTIONS), None)
    check_names(names, where=str(data))
    made, seen = _propose(data, choose_expected(names, expected, where=str(data)), names)
    return _describe(
        root, path, parse_task(made, where=beside), seen, AgreedTask(beside, digest_bytes(made), proposed=made)
    )


def _name_task(root: Path, path: str) -> str:
    """Return the path of the task file beside an eval set: a folder's name, or a file's without suffix, and `.toml`."""
    place = Path(path)
    if not place.name:
        raise UsageFailure("--eval-set is the top of the repository; name a file or a folder in it")
    stem = place.name if (root / place).is_dir() else place.stem  # a folder `v1.2` has no suffix
    return str(place.with_name(f"{stem}.toml"))


def _refuse_other_toml(path: Path) -> None:
    """Refuse a file that has the name of the task file and another purpose, as a `pyproject.toml`.

    Raises:
        CannotJudge: it is TOML and has no ``schema``. What is no TOML is refused by the reader of task files.
    """
    try:
        found = tomllib.loads(read_bytes(path).decode())
    except (UnicodeError, tomllib.TOMLDecodeError):
        return
    if "schema" not in found:
        raise CannotJudge(
            f"{path}: has the name of the eval set's task file, and is no task file; rename the eval set, or name its "
            "task file with --task"
        )


def _read_named(root: Path, path: str, expected: str | None) -> tuple[TaskFile, AgreedTask]:
    found = read_task(root / path)
    if expected not in (None, found.task.expected):
        raise UsageFailure(
            f"--expected {str(expected)[:80]!r}: {path} is there and names {found.task.expected[:80]!r}; edit it, or "
            "remove it for a new proposal"
        )
    return found, AgreedTask(Path(path).as_posix(), found.sha256)


def _propose(data: Path, expected: str, names: tuple[str, ...]) -> tuple[bytes, Survey]:
    found = survey(data, make_provisional_task(names, expected), infer=True)
    plan = plan_task(found, expected)
    wanted = [*plan.binned, *([expected] if plan.is_regression else [])]
    typed = make_provisional_task(names, expected, list_types(found))
    numbers = read_numbers(data, typed, wanted) if wanted else {}
    bins = choose_bins({name: numbers[name] for name in plan.binned})
    cap = choose_cap(numbers[expected]) if plan.is_regression else None
    try:
        return write_task(found, plan, bins, cap), found
    except CannotJudge as error:
        raise CannotJudge(f"{data}: {error}") from error


def _describe(root: Path, path: str, task: Task, seen: Survey, agreed: AgreedTask | None) -> EvalSet:
    labels = read_labels(root / path, task)
    sizes = {name: len(rows) for name, rows in labels.buckets.items()}
    roles = assign_roles(task, [column.name for column in seen.columns], where=path)
    text = (f"{path}: {seen.rows} rows, {len(seen.columns)} columns", *_list_lines(seen, roles, task, sizes))
    return EvalSet(path, labels.identity, sizes, agreed, text)


def _list_lines(seen: Survey, roles: Roles, task: Task, sizes: Mapping[str, int]) -> Iterator[str]:
    types = {column.name: column.type for column in seen.columns}
    yield f"  id: {'the number of the row' if roles.id is None else f'{roles.id} ({types[roles.id]})'}"
    values = {column.name: column.values for column in seen.columns}[roles.expected]
    known = f", {len(values)} values" if values else ""
    yield f"  expected: {roles.expected} ({types[roles.expected]}{known}), scored as {task.score.kind}"
    kinds = Counter(types[name] for name in roles.features)
    shown = ", ".join(f"{name} ({types[name]})" for name in roles.features[:SHOWN_COLUMNS])
    more = ", ..." if len(roles.features) > SHOWN_COLUMNS else ""
    yield f"  features: {len(roles.features)} ({_count(kinds)}): {shown}{more}"
    yield f"  buckets: {_list_sizes(sizes)}"
    # Of fewer rows, one that turns wrong moves the accuracy by more than the tolerance.
    fewest = int(100 / DEFAULT_TOLERANCE_PP)
    if small := {name: size for name, size in sizes.items() if size < fewest}:
        yield (
            f"  small: {_list_sizes(small)}; below {fewest} rows a single row can exceed the tolerance of "
            f"{DEFAULT_TOLERANCE_PP} pp"
        )


def _count(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _list_sizes(sizes: Mapping[str, int]) -> str:
    named = sorted(sizes.items())
    more = f" and {len(named) - SHOWN_BUCKETS} more" if len(named) > SHOWN_BUCKETS else ""
    return ", ".join(f"{name} ({size})" for name, size in named[:SHOWN_BUCKETS]) + more
