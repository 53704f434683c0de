"""Run uv: resolve plain requirements to a lock with hashes, and install a lock into an environment.

- uv gets a file that is written here, an empty environment, no configuration file, one index, and wheels only: no code
  of a package runs while it is resolved or installed. It downloads no Python.
- No Python of an environment is started once a package is in it; so nothing is compiled by uv.
- Bytes, packages and time are bounded.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from minieval.contract.exits import CannotJudge
from minieval.contract.model_environment import MAX_LOCK_BYTES
from minieval.runner.child import MIB, printable
from minieval.runner.sandbox import within_limits

MAX_PACKAGES: Final = 500
MAX_TOTAL_MB: Final = 16_384
MAX_FILE_MB: Final = 6_144
MAX_SECONDS: Final = 1_800.0
_TICK = 2.0  # seconds between two looks at the size of the environment
_PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([A-Za-z0-9][A-Za-z0-9.+!]*)( ; [^\\@$]+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
_FRAMES = re.compile(r"[\u00d7\u2500-\u257f\u25b6]+")  # the cross, lines and arrows around its messages
_FIXED = ("--no-config", "--no-python-downloads", "--no-managed-python", "--system-certs", "--no-progress", "--quiet")
_WHEELS = ("--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Uv:
    """A uv, the folders it works in, and the index it asks; ``index`` is a URL, `None` for uv's own default.

    ``home`` is an empty folder, so that no configuration lies in it or above it. The last two are bounds of an
    environment: on its packages, and on the MiB that it, its downloads and what they unpack to have.
    """

    program: Path
    home: Path
    cache: Path
    index: str | None = None
    max_packages: int = MAX_PACKAGES
    max_total_mb: int = MAX_TOTAL_MB

    def resolve(self, requirements: Sequence[Requirement], *, python: str) -> bytes:
        """Return a lock with hashes of all packages that the requirements need.

        Raises:
            CannotJudge: there is no solution of wheels, or it has too many packages.
        """
        asked, lock = self.home / "requirements.in", self.home / "requirements.lock"
        asked.write_text("".join(f"{each}\n" for each in requirements), encoding="utf-8")
        command = ["pip", "compile", *_FIXED, *_WHEELS, "--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--python", python, "--output-file", lock.name, asked.name]
        self._run(command, doing="resolve", watched=self.home)
        data = lock.read_bytes()
        read_lock(data, most=self.max_packages)
        return data

    def install(self, lock: bytes, environment: Path, *, python: str) -> None:
        """Make a virtual environment of a lock's packages, checked by their hashes, at a path that does not exist.

        Raises:
            CannotJudge: a package cannot be installed, or the environment is too large.
        """
        path = self.home / "requirements.lock"
        path.write_bytes(lock)
        self._run(["venv", *_FIXED, "--no-project", "--python", python, str(environment)], doing="make", watched=None)
        # Copies: through a hard link a program that writes to the environment would write to the cache.
        command = ["pip", "sync", *_FIXED, *_WHEELS, "--require-hashes", "--link-mode", "copy"]
        command += ["--python", str(environment / "bin" / "python"), path.name]
        self._run(command, doing="install", watched=environment)

    def _run(self, command: Sequence[str], *, doing: str, watched: Path | None) -> None:
        variables = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "UV_CACHE_DIR": str(self.cache),
            **({} if self.index is None else {"UV_DEFAULT_INDEX": self.index}),
        }
        limited = within_limits([str(self.program), *command], file_mb=MAX_FILE_MB, seconds=MAX_SECONDS)
        errors, kept = self.home / "errors", measure_folder(self.cache)
        with errors.open("wb") as stream:
            process = subprocess.Popen(
                limited,
                env=variables,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
            )
        try:
            self._wait(process, doing, watched, kept)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            raise CannotJudge(f"uv could not {doing} the model's environment: {self._read_errors(errors)}")

    def _wait(self, process: subprocess.Popen[bytes], doing: str, watched: Path | None, kept: int) -> None:
        """Wait for uv, and end it when it writes too much; its cache had ``kept`` bytes before."""
        end = time.monotonic() + MAX_SECONDS
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_TICK)
            # A wheel is unpacked in the cache first, and a small one may hold terabytes.
            sizes = [
                measure_folder(self.cache) - kept,
                *(measure_folder(each) for each in (watched, self.home) if each),
            ]
            if max(sizes) > self.max_total_mb * MIB:
                raise CannotJudge(
                    f"the model's environment is larger than {self.max_total_mb} MiB; ask for fewer packages"
                )
            if process.returncode is not None:
                return
            if time.monotonic() >= end:
                raise CannotJudge(f"uv needed more than {MAX_SECONDS:g} s to {doing} the model's environment")

    def _read_errors(self, path: Path) -> str:
        text = path.read_bytes()[-4000:].decode(errors="replace")
        text = text if self.index is None else text.replace(self.index, "the index")
        return printable(_FRAMES.sub(" ", text), limit=600) or "it printed no reason"


def find_uv() -> Path:
    """Return the uv that is installed with this Python, or the one on PATH.

    Raises:
        CannotJudge: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise CannotJudge(
            "--python model: uv is not installed; install it (pip install uv), or name a Python by its path"
        )
    return Path(found).absolute()


def read_lock(data: bytes, *, most: int = MAX_PACKAGES) -> dict[str, str]:
    """Return the version of each package that a lock pins; every line is a pin or a hash.

    Raises:
        CannotJudge: a line is anything else, or there are more than ``most`` packages.
    """
    if len(data) > MAX_LOCK_BYTES:
        raise CannotJudge(f"the lock of the model's environment is larger than {MAX_LOCK_BYTES} bytes")
    pins: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
        if match := _PIN.fullmatch(line):
            pins[canonicalize_name(match[1])] = match[2]
        elif not _HASH.fullmatch(line) or not pins:
            raise CannotJudge(
                f"the lock of the model's environment, line {number}: {line[:80]!r} is no pin and no hash"
            )
    if len(pins) > most:
        raise CannotJudge(f"the model's environment has {len(pins)} packages; at most {most} are installed")
    if not pins:
        raise CannotJudge("the bundle's requirements.txt asks for nothing; log the model again")
    return pins


def measure_folder(folder: Path) -> int:
    """Return the bytes of all files in a folder, which may change meanwhile."""
    return sum(_sizes(str(folder)))


def _sizes(folder: str) -> Iterator[int]:
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield os.lstat(f"{path}/{name}").st_size
