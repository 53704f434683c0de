"""The environment that a model predicted in, as an evaluation records it: its Python, and what differs from the bundle.

- It holds what was found outside the model's process. Nothing in it comes from code of a candidate.
- The sentence about a difference is written here alone; `minieval` and the verdict print it.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from minieval.contract.documents import Document, read_bytes
from minieval.contract.exits import CannotJudge
from minieval.contract.fields import Count, Name, Sha256

MAX_DIFFERENCES: Final = 200
MAX_LOCK_BYTES: Final = 4 * 1024 * 1024
_SHOWN = 3


def lock_path(evaluation: Path) -> Path:
    """Return the path of the lock that is kept beside an evaluation."""
    return evaluation.with_name(f"{evaluation.stem}.model.lock")


def read_lock_beside(evaluation: Path) -> bytes | None:
    """Return the lock beside an evaluation; `None` where there is none.

    Raises:
        CannotJudge: it cannot be read, or is larger than any lock.
    """
    path = lock_path(evaluation)
    if not path.is_file():
        return None
    data = read_bytes(path)
    if len(data) > MAX_LOCK_BYTES or not data.isascii():
        raise CannotJudge(f"{path}: no lock of an environment: larger than {MAX_LOCK_BYTES} bytes, or not ASCII")
    return data


class Interpreter(StrEnum):
    """Which Python the model ran in: the gate's, one that was named by its path, or one built for it."""

    GATE = "gate"
    PATH = "path"
    MODEL = "model"


def _is_absent(value: object) -> bool:
    return value is None or value == ()


class Difference(Document):
    """One requirement that is not met; ``installed`` is the version that is there, `None` for a missing package."""

    package: Name
    asked: Name
    installed: Name | None


class ModelEnvironment(Document):
    """The Python of the model, and how it differs from what the bundle asks for.

    - ``python`` is the version that ran, ``python_asked`` the one that ``python_env.yaml`` names.
    - ``requirements`` is the number of lines of ``requirements.txt`` that were compared, `None` without that file;
      ``unread`` is the number of lines, of it and of ``python_env.yaml``, that were not read, such as options and URLs.
    - ``lock_sha256`` is the SHA-256 of the lock file of an environment that was built for the model.
    """

    interpreter: Annotated[Interpreter, Field(strict=False)]
    python: Name | None = None
    python_asked: Name | None = None
    requirements: Count | None = None
    unread: Annotated[Count, Field(exclude_if=lambda count: not count)] = 0
    differences: Annotated[
        tuple[Difference, ...], Field(strict=False, max_length=MAX_DIFFERENCES, exclude_if=_is_absent)
    ] = ()
    lock_sha256: Annotated[Sha256 | None, Field(exclude_if=_is_absent)] = None

    def explain(self) -> str:
        """Return in which way the environment differs from what the bundle asks for; empty where it does not."""
        found = []
        if self.differences:
            listed = ", ".join(map(_explain_difference, self.differences[:_SHOWN]))
            more = len(self.differences) - _SHOWN
            found.append(f"the bundle asks for {listed}{f' and {more} more' if more > 0 else ''}")
        if self.python_asked is not None and self.python is not None and not _same_minor(self):
            found.append(f"the bundle asks for Python {self.python_asked}, and {self.python} ran")
        if self.unread:
            found.append(f"{self.unread} of its lines are no plain requirements, and were not compared")
        return "; ".join(found)


def _explain_difference(difference: Difference) -> str:
    return f"{difference.asked} ({f'{difference.installed} is' if difference.installed else 'not'} installed)"


def _same_minor(environment: ModelEnvironment) -> bool:
    asked, found = environment.python_asked or "", environment.python or ""
    return asked.split(".")[:2] == found.split(".")[:2]
