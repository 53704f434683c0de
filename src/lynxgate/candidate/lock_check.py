"""Check that the installed packages are those of the lock file: stage 1 of the gate, read-only and offline.

It compares versions. Hashes are checked when the lock is installed (`uv pip sync --require-hashes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from lynxgate.errors import CannotJudge, IntegrityFailure

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


def check_lock(lock: Path) -> int:
    """Compare the installed distributions with a pip lock file, and return the number of pins.

    Raises:
        CannotJudge: the file cannot be read, or pins nothing.
        IntegrityFailure: a package is missing, or has another version.
    """
    try:
        pins = dict(_read_pins(lock.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotJudge(
            f"{lock}: cannot be read ({type(error).__name__}); name the lock file with --lock, make one (pip freeze > "
            f"{lock}), or skip the check with --no-lock"
        ) from error
    if not pins:
        raise CannotJudge(f"{lock}: pins nothing; name a pip lock file (lines name==version)")
    installed = {_plain(found.metadata["Name"]): found.version for found in metadata.distributions()}
    wrong = [
        f"{name} is {installed.get(_plain(name), 'missing')}, locked {version}"
        for name, version in pins.items()
        if installed.get(_plain(name)) != version
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise IntegrityFailure(f"the environment differs from {lock}: {'; '.join(wrong[:3])}{more}; run `just setup`")
    return len(pins)


def _read_pins(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _PIN.match(line):
            yield match[1], match[2]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
