"""Choose the Python that a model runs in: the gate's, one at a path, or one that is built from the bundle.

What a bundle asks for and what is installed is compared for each of them. `minieval.environment.build` builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from minieval.contract.digests import digest_bytes
from minieval.contract.model_environment import Interpreter, ModelEnvironment
from minieval.environment.build import Builder, build
from minieval.environment.difference import describe, find_installed
from minieval.environment.requirements import Asked, read_asked
from minieval.runner.interpreter import Python, find_gates_python, find_named_python
from minieval.runner.machine import THAT_PREDICT

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The Python of a model, what differs from the bundle, its packages, and the lock of a built one."""

    python: Python
    described: ModelEnvironment
    packages: Mapping[str, str]
    lock: bytes | None = None


def choose_python(wanted: str, bundle: Path, scratch: Path, builder: Builder, *, warn: Warn) -> Chosen:
    """Return the Python for a staged ``bundle``; ``wanted`` is ``gate``, ``model`` or a path.

    ``scratch`` is a folder of this evaluation. ``warn`` gets one sentence about what differs from the bundle.

    Raises:
        CannotJudge: a path is no Python, or the environment cannot be built.
    """
    asked = read_asked(bundle)
    if wanted == Interpreter.MODEL:
        chosen = _choose_built(asked, scratch, builder)
    else:
        interpreter = Interpreter.GATE if wanted == Interpreter.GATE else Interpreter.PATH
        python = find_gates_python() if interpreter is Interpreter.GATE else find_named_python(wanted)
        names = (*(each.name for each in asked.requirements), *THAT_PREDICT)
        installed = find_installed(names, python.packages)
        chosen = Chosen(python, describe(asked, installed, interpreter=interpreter, python=python.version), installed)
    if differs := chosen.described.explain():
        advice = "" if wanted == Interpreter.MODEL else " (--python model builds the environment that it asks for)"
        warn(f"{differs}{advice}")
    return chosen


def _choose_built(asked: Asked, scratch: Path, builder: Builder) -> Chosen:
    built = build(asked, scratch, builder)
    described = describe(
        asked,
        built.installed,
        interpreter=Interpreter.MODEL,
        python=built.python.version,
        lock_sha256=digest_bytes(built.lock),
    )
    return Chosen(built.python, described, built.installed, built.lock)
