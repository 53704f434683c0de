"""Check that two things were read and scored by the same task file: the one rule and the one sentence for it. Pure.

- A task file is named by its digest. Its path may differ: a file may be moved.
- No task file is a task too (the conventions), so one side without it and one with it differ.
"""

from __future__ import annotations

from lynxgate.errors import IntegrityFailure
from minieval.contract.report import TaskIdentity


def check_same_task(
    first: tuple[str, TaskIdentity | None], second: tuple[str, TaskIdentity | None], *, advice: str
) -> None:
    """Check that both subjects (as "the evaluation") name the same task; ``advice`` ends the sentence of the error.

    Raises:
        IntegrityFailure: their digests differ, or only one of them names a task.
    """
    digests = [None if task is None else task.sha256 for _, task in (first, second)]
    if digests[0] != digests[1]:
        raise IntegrityFailure(f"not the same task: {_describe(*first)}, {_describe(*second)}; {advice}")


def _describe(subject: str, task: TaskIdentity | None) -> str:
    return f"{subject} names none" if task is None else f"{subject} was made with {task.path!r}, SHA-256 {task.sha256}"
