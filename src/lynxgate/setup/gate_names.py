"""The names of one gate of a repository: what follows from the name of its model and the path of its baseline.

A gate with a name has a label, workflows, comment, check run and registry of its own, beside those of other gates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from lynxgate.errors import UsageFailure

BASELINE, IGNORE = "eval_baseline.json", ".gitignore"
WORKFLOWS = ".github/workflows"  # GitHub finds workflows only here, at the top of the repository
CALLER, GATE = f"{WORKFLOWS}/lynxgate.yml", f"{WORKFLOWS}/lynxgate-gate.yml"
LABEL = "deploy-candidate"
# Part of a label, of names of files and, in upper case, of a variable: two names never become one.
_GATE_NAME = re.compile("[a-z][a-z0-9-]{0,30}")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class GateNames:
    """The names of one gate of a repository: its model, its baseline, and what follows from these.

    ``baseline`` is a path from the top of the repository. ``folder`` is the folder in which gates are run by hand, ""
    for the top.
    """

    model: str | None = None
    baseline: str = BASELINE
    folder: str = ""

    def __post_init__(self) -> None:
        """Check the form of the names.

        Raises:
            UsageFailure: one is malformed; the message names its option.
        """
        if self.model is not None and not _GATE_NAME.fullmatch(self.model):
            raise UsageFailure(f"--name {self.model[:80]!r} must be 1 to 31 lower-case letters, digits and hyphens")
        if not _PLAIN_PATH.fullmatch(self.baseline):
            raise UsageFailure(
                f"--baseline {self.baseline[:200]!r} is not a plain path inside the repository (letters, digits, '_', "
                "'-', '.' and '/')"
            )

    @property
    def caller(self) -> str:
        """The path of the workflow that a label starts."""
        return CALLER if self.model is None else f"{WORKFLOWS}/lynxgate-{self.model}.yml"

    @property
    def gate(self) -> str:
        """The path of the workflow that it calls."""
        return GATE if self.model is None else f"{WORKFLOWS}/lynxgate-{self.model}-gate.yml"

    @property
    def label(self) -> str:
        """The label that requests the gate."""
        return LABEL if self.model is None else f"{LABEL}-{self.model}"

    @property
    def registry_variable(self) -> str:
        """The variable of the environment that has the address of the registry."""
        suffix = "" if self.model is None else "_" + self.model.upper().replace("-", "_")
        return f"LYNXGATE_REGISTRY{suffix}"

    @property
    def request(self) -> str:
        """What a request has after run and version."""
        return "" if self.model is None else f" model={self.model}"

    @property
    def ignores(self) -> tuple[str, ...]:
        """The paths of the files that tell git what a gate writes: at the top, and where it is run by hand."""
        return (IGNORE,) if not self.folder else (IGNORE, f"{self.folder}/{IGNORE}")

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files of this gate except the task file."""
        return (self.baseline, self.caller, self.gate, *self.ignores)

    def from_baseline(self, path: str) -> str:
        """Return a path in the repository as the baseline names it: relative to its own folder.

        Raises:
            UsageFailure: it is outside that folder.
        """
        folder = PurePosixPath(self.baseline).parent
        if not PurePosixPath(path).is_relative_to(folder):
            raise UsageFailure(
                f"{path[:200]!r} is outside {str(folder)!r}, the folder of --baseline; a baseline names files in or "
                "below its own folder"
            )
        return str(PurePosixPath(path).relative_to(folder))


ONLY_GATE: Final = GateNames()  # of a repository with one model
