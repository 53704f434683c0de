"""What a bundle asks for: the lines of its ``requirements.txt``, and the Python of its ``python_env.yaml``.

- A requirement is ``name[extras] specifier ; marker``, and nothing else is read: no option, no URL, no path, no
  variable, no continued line. A tool that reads such files obeys all of these: it opens other files, sends the values
  of variables to a server, or runs the code of a folder.
- Nothing here reads the file twice: what is installed comes from the parsed lines, never from the file itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from minieval.contract.exits import CannotJudge
from minieval.contract.plain_yaml import parse_yaml

REQUIREMENTS: Final = "requirements.txt"
PYTHON_ENV: Final = "python_env.yaml"
MAX_BYTES: Final = 256 * 1024
MAX_LINES: Final = 1000
MAX_LINE: Final = 180  # characters: a requirement becomes a name in a document
FORBIDDEN: Final = frozenset("@/\\$`%")
_PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ``requirements.txt``: its number, and what it asks for, or why it is not read."""

    number: int
    requirement: Requirement | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a bundle asks for. ``lines`` is `None` without the file; ``python`` is a version, as ``3.11.7``.

    ``problem`` is why ``python_env.yaml`` is not read.
    """

    lines: tuple[Line, ...] | None
    python: str | None = None
    problem: str = ""

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Return the requirements that were read."""
        return tuple(line.requirement for line in self.lines or () if line.requirement is not None)

    @property
    def unread(self) -> tuple[Line, ...]:
        """Return the lines that were not read."""
        return tuple(line for line in self.lines or () if line.requirement is None)


def read_asked(bundle: Path) -> Asked:
    """Read what a bundle asks for; what is not read is kept with the reason, for `check_plain`."""
    lines = _read_lines(bundle / REQUIREMENTS)
    try:
        return Asked(lines, _read_python(bundle / PYTHON_ENV))
    except ValueError as error:
        return Asked(lines, problem=" ".join(str(error).split())[:200])


def check_plain(asked: Asked) -> None:
    """Check that everything that the bundle asks for was read.

    Raises:
        CannotJudge: there is no ``requirements.txt``, a line of it is no plain requirement, or ``python_env.yaml``
            names no version of Python 3.
    """
    if asked.lines is None:
        raise CannotJudge(f"the bundle has no {REQUIREMENTS}, so its environment cannot be built; log the model again")
    if asked.problem:
        raise CannotJudge(f"the bundle's {PYTHON_ENV}: {asked.problem}")
    for line in asked.unread:
        raise CannotJudge(
            f"the bundle's {REQUIREMENTS}, line {line.number}: {line.reason}; --python model reads lines of the form "
            "name[extras] specifier ; marker alone"
        )


def parse_lines(text: str) -> tuple[Line, ...]:
    """Return the lines of a requirements file, without empty ones and comments."""
    lines = [(number, line.strip(" \t")) for number, line in enumerate(text.split("\n"), 1)]
    return tuple(_parse_line(number, line) for number, line in lines if line and not line.startswith("#"))


def _parse_line(number: int, line: str) -> Line:
    if reason := _find_fault(line):
        return Line(number, None, f"{line[:_SHOWN]!r} {reason}")
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return Line(number, None, f"{line[:_SHOWN]!r} is no requirement")
    if requirement.url is not None or any(each.operator == "===" for each in requirement.specifier):
        return Line(number, None, f"{line[:_SHOWN]!r} is no plain requirement")
    return Line(number, requirement)


def _find_fault(line: str) -> str:
    """Return why a line is not even parsed; empty where it may be."""
    if len(line) > MAX_LINE:
        return f"is longer than {MAX_LINE} characters"
    if not line.isascii() or not line.isprintable():
        return "has characters that are not printable ASCII"
    if line.startswith("-"):
        return "is an option"
    found = sorted(FORBIDDEN.intersection(line))
    return f"has the character {found[0]!r}" if found else ""


def _read_lines(path: Path) -> tuple[Line, ...] | None:
    try:
        data = _read(path)
        text = None if data is None else data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return (Line(1, None, f"not UTF-8 text at byte {error.start}"),)
    except ValueError as error:
        return (Line(1, None, str(error)),)
    if text is None:
        return None
    if text.count("\n") > MAX_LINES:
        return (Line(1, None, f"the file has more than {MAX_LINES} lines"),)
    return parse_lines(text)


def _read_python(path: Path) -> str | None:
    """Return the version that a ``python_env.yaml`` names.

    Raises:
        ValueError: the file is not plain YAML, or names something else.
    """
    data = _read(path)
    tree = None if data is None else parse_yaml(data)
    version = tree.get("python") if isinstance(tree, dict) else None
    if version is None:
        return None
    # Matched before anything uses it: a tool would take a path here, and execute it.
    if not isinstance(version, str) or not _PYTHON.fullmatch(version):
        raise ValueError(f'python is {str(version)[:_SHOWN]!r}; write a version of Python 3 as text, as "3.11.7"')
    return version


def _read(path: Path) -> bytes | None:
    """Return the bytes of a file of the staged bundle, which has no links; `None` where it has no such file.

    Raises:
        ValueError: it is too large, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    return data
