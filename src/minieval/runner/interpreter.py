"""The Python that runs a model: its executable, and the folders that it needs, found without starting it.

Once a package of a candidate is installed, starting that Python runs code of it: a ``.pth`` file runs before the first
line of any script. So nothing here executes anything.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from minieval.contract.exits import CannotJudge

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")

_VERSION = re.compile(r"3\.\d{1,3}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Python:
    """A Python: ``executable`` as it is started, and the ``roots`` (folders and links) that a sandbox must show.

    ``packages`` are its site-packages; `None` stands for those of this process. ``version`` is `None` where no file
    names it.
    """

    executable: str
    roots: tuple[str, ...]
    version: str | None
    packages: tuple[Path, ...] | None = None


def find_gates_python() -> Python:
    """Return the Python of this process."""
    prefixes = [name for prefix in (sys.prefix, sys.base_prefix) for name in (prefix, str(Path(prefix).resolve()))]
    version = ".".join(map(str, sys.version_info[:3]))
    return Python(sys.executable, _add_links(_outside_system(prefixes), Path(sys.executable)), version)


def find_named_python(name: str) -> Python:
    """Return the Python at a path: of a virtual environment, or of an installation.

    Raises:
        CannotJudge: it is no Python, or its standard library is not where its executable is.
    """
    named = Path(os.path.abspath(name))  # noqa: PTH100 - no link is followed: a venv's Python is a link to another
    if not named.is_file() or not os.access(named, os.X_OK):
        raise CannotJudge(f"--python {name[:200]}: no such program; give the path of a Python, as .venv/bin/python")
    base = named.resolve().parent.parent
    # Checked, because the folder is shown to the candidate: it must be an installation and not, say, a home folder.
    libraries = sorted(base.glob("lib/python3.*/os.py"))
    if not libraries or base in {Path("/"), Path.home()}:
        raise CannotJudge(f"--python {name[:200]}: {base} has no lib/python3.*/os.py; give the path of a Python")
    prefix = named.parent.parent
    settings = _read_settings(prefix / "pyvenv.cfg")
    if not settings:
        prefix = base
    roots = _outside_system([str(prefix), str(prefix.resolve()), str(base)])
    # A link as python3.11, or python3: the part after the last "python" is the minor version.
    minors = {path.parent.name.removeprefix("python") for path in libraries}
    minor = next(iter(minors)) if len(minors) == 1 else None
    named_version = _VERSION.match(settings.get("version_info") or settings.get("version") or "")
    version = minor if named_version is None else named_version[0]
    inherits = settings.get("include-system-site-packages", "").lower() == "true"
    packages = [folder for each in ((prefix, base) if inherits else (prefix,)) for folder in _list_packages(each)]
    return Python(str(named), _add_links(roots, named), version, tuple(packages))


def find_built_python(environment: Path, base: Python) -> Python:
    """Return the Python of an environment that was built with ``base``; no file in the environment is believed."""
    return Python(
        str(environment / "bin" / "python"),
        tuple(dict.fromkeys((str(environment), *base.roots))),
        base.version,
        tuple(sorted(environment.glob("lib/python3.*/site-packages"))),
    )


def _list_packages(prefix: Path) -> list[Path]:
    # Debian's own Python has its packages elsewhere.
    return sorted(prefix.glob("lib/python3.*/site-packages")) + sorted(prefix.glob("lib/python3/dist-packages"))


def _outside_system(prefixes: Iterable[str]) -> list[str]:
    return [path for path in dict.fromkeys(prefixes) if not path.startswith("/usr/") and path != "/usr"]


def _add_links(roots: list[str], executable: Path) -> tuple[str, ...]:
    """Return the roots, and the links from the executable's name to its file that none of them holds."""
    found, link = list(roots), executable
    while link.is_symlink():
        link = link.parent / link.readlink()
        if not any(link.is_relative_to(root) for root in (*found, *SYSTEM_FOLDERS)):
            found.append(str(link))
    return tuple(found)


def _read_settings(path: Path) -> dict[str, str]:
    """Return the settings of a ``pyvenv.cfg``; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace")[:10_000].splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip()[:50] for key, _, value in pairs}
