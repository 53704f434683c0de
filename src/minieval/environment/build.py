"""Build the environment that a bundle asks for, with a Python of this machine; keep it on a laptop.

- An environment is kept under a name that is the digest of lock, Python and platform. In CI it is built anew: a job
  whose output is believed restores no cache.
- No Python of an environment is started here once a package is in it, except to compile it, in the sandbox and without
  its packages.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minieval.contract.digests import digest_bytes
from minieval.contract.exits import CannotJudge
from minieval.environment.requirements import Asked, check_plain
from minieval.environment.uv import Uv, find_uv, read_lock
from minieval.runner import sandbox
from minieval.runner.child import Limits
from minieval.runner.interpreter import Python, find_built_python, find_named_python

COMPILE_SECONDS: Final = 600
_LOADERS = ("mlflow", "mlflow-skinny")


@dataclass(frozen=True, slots=True)
class Builder:
    """How an environment is built: the index (a URL, `None` for uv's own), and the folder that keeps environments.

    Without a ``cache`` nothing is kept.
    """

    index: str | None = None
    cache: Path | None = None


def choose_builder(environ: Mapping[str, str], index: str | None) -> Builder:
    """Return the builder for these environment variables: in CI (``CI`` is set), one that keeps nothing."""
    index = index or None
    if environ.get("CI"):
        return Builder(index)
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".cache")
    return Builder(index, Path(home) / "lynxgate") if Path(home).is_absolute() else Builder(index)


@dataclass(frozen=True, slots=True)
class Built:
    """An environment: its Python, the version of each package in it, and its lock."""

    python: Python
    installed: Mapping[str, str]
    lock: bytes


def build(asked: Asked, scratch: Path, builder: Builder) -> Built:
    """Build the environment that a bundle asks for, or take the one that was kept.

    Raises:
        CannotJudge: a line of the bundle's files is not plain, there is no solution of wheels, it does not hold mlflow,
            or it cannot be installed or kept.
    """
    check_plain(asked)
    base = _find_base(asked.python)
    home = scratch / "uv"
    home.mkdir()
    downloads = (builder.cache or scratch) / "downloads"
    uv = Uv(find_uv(), home, downloads, builder.index)
    lock = uv.resolve(asked.requirements, python=base.executable)
    installed = read_lock(lock)
    if not any(name in installed for name in _LOADERS):
        raise CannotJudge("the bundle's requirements.txt does not ask for mlflow, which loads the model; add it")
    environment = _install(uv, lock, base, scratch, builder.cache)
    return Built(find_built_python(environment, base), installed, lock)


def _install(uv: Uv, lock: bytes, base: Python, scratch: Path, cache: Path | None) -> Path:
    """Return the environment of a lock, from the cache where it is there."""
    if cache is None:
        environment = scratch / "environment"
        uv.install(lock, environment, python=base.executable)
        return environment
    facts = (digest_bytes(lock), os.path.realpath(base.executable), base.version or "", platform.platform())
    kept = cache / "environments" / digest_bytes("\n".join(facts).encode())
    if kept.is_dir():
        return kept
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="unfinished-") as name:
            built = Path(name) / "environment"
            uv.install(lock, built, python=base.executable)
            _compile(built, base)
            # Whole or not at all; another process may have been faster.
            with contextlib.suppress(OSError):
                built.rename(kept)
    except OSError as error:
        raise CannotJudge(f"{kept.parent}: cannot be written: {error.strerror}; set XDG_CACHE_HOME") from error
    if not kept.is_dir():
        raise CannotJudge(f"{kept}: cannot be written; set XDG_CACHE_HOME")
    return kept


def _compile(environment: Path, base: Python) -> None:
    """Compile the packages, which makes later starts four times faster; a failure costs only time.

    The base Python does it, in the sandbox and without site-packages: no code of a package runs.
    """
    packages = [str(path) for path in environment.glob("lib/python3.*/site-packages")]
    compiler = [base.executable, "-I", "-S", "-m", "compileall", "-q", "-j", str(os.cpu_count() or 1), *packages]
    command = [*sandbox.bwrap(Limits(), python=base, writable=environment), *compiler]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, env={}, capture_output=True, timeout=COMPILE_SECONDS, check=False)


def _find_base(version: str | None) -> Python:
    """Return the installed Python of that minor version, else that of the gate; it has no package of a candidate.

    Raises:
        CannotJudge: there is neither.
    """
    ours = ".".join(map(str, sys.version_info[:2]))
    minor = ours if version is None else ".".join(version.split(".")[:2])
    if minor != ours and (found := shutil.which(f"python{minor}")) and (other := _query(found, minor)):
        return other
    base = getattr(sys, "_base_executable", None) or sys.executable
    return dataclasses.replace(find_named_python(base), version=".".join(map(str, sys.version_info[:3])))


def _query(program: str, minor: str) -> Python | None:
    """Return an installed Python; `None` where it does not start, as a shim without a version, or is another minor."""
    script = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.executable)"
    try:
        done = subprocess.run(
            [program, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=30, check=False,
            env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        version, _, executable = done.stdout.strip().partition(" ")
        if done.returncode != 0 or version.split(".")[:2] != minor.split("."):
            return None
        return dataclasses.replace(find_named_python(executable), version=version)
    except (OSError, subprocess.TimeoutExpired, CannotJudge):
        return None
