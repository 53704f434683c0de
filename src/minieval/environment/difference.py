"""Compare what a bundle asks for with the packages that are installed, without starting the Python that has them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from minieval.contract.exits import CannotJudge
from minieval.contract.markers import applies
from minieval.contract.model_environment import MAX_DIFFERENCES, Difference, Interpreter, ModelEnvironment
from minieval.environment.requirements import Asked

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]{0,99}")
_UNREADABLE = "an unreadable version"


def find_installed(names: Iterable[str], folders: Iterable[Path] | None = None) -> dict[str, str]:
    """Return the versions of those packages that are installed: in these folders, or by default for this Python."""
    # Only metadata files are read: a package is not imported, and no .pth file runs.
    path = sys.path if folders is None else [str(each) for each in folders]
    packages: dict[str, str] = {}
    for name in {canonicalize_name(each) for each in names}:
        found = next(iter(metadata.distributions(name=name, path=path)), None)  # the first one is imported
        if found is not None:
            # Metadata of a package may be anything, and a version becomes a part of a document and of a message.
            packages[name] = _read_version(found)
    return packages


def _read_version(found: metadata.Distribution) -> str:
    try:
        version = found.version or ""
    except (KeyError, OSError):  # of a backport of importlib.metadata, where another package has installed its finder
        version = ""
    return version if _VERSION.fullmatch(version) else _UNREADABLE


def describe(
    asked: Asked,
    installed: Mapping[str, str],
    *,
    interpreter: Interpreter,
    python: str | None,
    lock_sha256: str | None = None,
) -> ModelEnvironment:
    """Return the environment of a model; ``python`` is the version that runs, `None` where it is not known.

    Raises:
        CannotJudge: more requirements are not met than an evaluation names.
    """
    differences = find_differences(asked.requirements, installed, python)
    if len(differences) > MAX_DIFFERENCES:
        raise CannotJudge(
            f"{len(differences)} requirements of the bundle are not met; at most {MAX_DIFFERENCES} are named in an "
            "evaluation; use --python model"
        )
    return ModelEnvironment(
        interpreter=interpreter,
        python=python,
        python_asked=asked.python,
        requirements=None if asked.lines is None else len(asked.requirements),
        unread=len(asked.unread) + bool(asked.problem),
        differences=differences,
        lock_sha256=lock_sha256,
    )


def find_differences(
    requirements: Iterable[Requirement], installed: Mapping[str, str], python: str | None = None
) -> tuple[Difference, ...]:
    """Return the requirements that apply to this platform and are not met, in their order."""
    found = []
    for requirement in requirements:
        version = installed.get(canonicalize_name(requirement.name))
        if applies(requirement.marker, python) and not _meets(requirement, version):
            asked = f"{requirement.name}{requirement.specifier}"
            found.append(Difference(package=requirement.name, asked=asked, installed=version))
    return tuple(found)


def _meets(requirement: Requirement, version: str | None) -> bool:
    if version is None:
        return False
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
