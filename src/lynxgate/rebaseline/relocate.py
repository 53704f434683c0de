"""The paths in an evaluation as a baseline in another folder names them. Pure.

An evaluation has the paths of eval set and task file as they were typed; a baseline names them from its own folder.
"""

from __future__ import annotations

from pathlib import PurePath

from minieval.contract.report import Evaluation


def relocate(evaluation: Evaluation, folder: PurePath) -> Evaluation:
    """Return the evaluation with the paths below ``folder`` relative to it; other paths stay as they are.

    ``folder`` is that of the baseline, from the directory in which the evaluation was made.
    """
    eval_set, task = evaluation.eval_set, evaluation.task
    path = None if eval_set.path is None else _from(eval_set.path, folder)
    moved = None if task is None else task.model_copy(update={"path": _from(task.path, folder)})
    return evaluation.model_copy(update={"eval_set": eval_set.model_copy(update={"path": path}), "task": moved})


def _from(path: str, folder: PurePath) -> str:
    found = PurePath(path)
    # Of the top itself nothing is changed, also not the spelling (`./data/eval.jsonl`).
    if folder == PurePath() or not found.is_relative_to(folder):
        return path
    return found.relative_to(folder).as_posix()
