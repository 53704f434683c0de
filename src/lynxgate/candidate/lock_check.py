"""Check that the installed packages are those of the lock file: stage 1 of the gate, read-only and offline.

- It compares versions. Hashes are checked when the lock is installed (`uv pip sync --require-hashes`).
- A pin whose environment marker does not apply here is skipped: a lock for several platforms has such lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.markers import applies

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._, -]*\])?\s*==\s*([^\s;\\]+)\s*(?:;([^\\#]*))?")
_MAX_MARKER = 1000  # characters
_RECIPES = ("Justfile", "justfile", ".justfile")


def check_lock(lock: Path) -> int:
    """Compare the installed distributions with a pip lock file, and return the number of pins.

    Raises:
        CannotJudge: the file cannot be read, or pins nothing for this platform.
        IntegrityFailure: a package is missing, or has another version.
    """
    try:
        pins = list(_read_pins(lock.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotJudge(
            f"{lock}: cannot be read ({type(error).__name__}); name the lock file with --lock, make one (pip freeze > "
            f"{lock}), or skip the check with --no-lock"
        ) from error
    if not pins:
        raise CannotJudge(f"{lock}: pins nothing for this platform; name a pip lock file (lines name==version)")
    installed = {canonicalize_name(found.metadata["Name"]): found.version for found in metadata.distributions()}
    wrong = [
        f"{name} is {installed.get(canonicalize_name(name), 'missing')}, locked {version}"
        for name, version in pins
        if installed.get(canonicalize_name(name)) != version
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise IntegrityFailure(f"the environment differs from {lock}: {'; '.join(wrong[:3])}{more}; {_advise(lock)}")
    return len(pins)


def _advise(lock: Path) -> str:
    """Return how to install the lock in this repository."""
    for recipes in (lock.parent / name for name in _RECIPES):
        try:
            if re.search(r"(?m)^setup\b.*:", recipes.read_text(encoding="utf-8", errors="replace")):
                return "run `just setup`"
        except OSError:
            continue
    return f"install it (pip install -r {lock}), name another with --lock, or skip the check with --no-lock"


def _read_pins(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and version of each pin that applies to this platform."""
    for line in text.splitlines():
        match = _PIN.match(line)
        if match and _applies((match[3] or "").partition(" --")[0].strip()):
            yield match[1], match[2]


def _applies(marker: str) -> bool:
    """Return whether an environment marker holds here; one that cannot be read counts as none."""
    if not marker or len(marker) > _MAX_MARKER:
        return True
    try:
        return applies(Marker(marker))
    except (InvalidMarker, RecursionError):
        return True
