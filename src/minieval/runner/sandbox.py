"""Start the predictor under bwrap, or as a plain process with limits.

Both have: a session of its own, no inherited descriptors, a fixed environment of a few variables, no capabilities,
limits on memory, CPU time, file size and processes, and a copy of the bundle.

- `bwrap`: no network, no other process visible, and a read-only file system of the system's libraries, this Python,
  the bundle, and the files of a batch. An eval set inside any of these is refused. ``/proc`` is read-only: otherwise
  root without capabilities could still write to the host's ``/proc/sys``. With bwrap 0.8 or newer no user namespace
  can be made inside, in which the candidate would have all capabilities again, and could mount file systems.
- `process`: the same user, the same file system and the network. Labels are not sent, and this process's memory and
  environment are closed to it. **A candidate that looks for the eval-set file finds it**, other processes of the
  same user (for example a shell with secrets) are open to it, and a process that starts its own session survives the
  end of the group. It guards against accidents, not malice. The evaluation records the isolation, and a policy may
  require `bwrap`.
- Neither bounds what many processes of the candidate use together; the runner's own limits do. The kernel does not
  count processes against `RLIMIT_NPROC` for root, and not in a user namespace of root's either.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from minieval.contract.exits import CannotJudge
from minieval.runner.child import MIB, Child, Limits
from minieval.runner.interpreter import SYSTEM_FOLDERS, Python, find_gates_python

BUNDLE = "/bundle"
FILES = "/files"
PREDICTOR = "/predictor.py"
SCORER = "/scorer_script.py"
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime")
# With the fixed environment, as isolated as -I, which would ignore PYTHONHASHSEED. A Python before 3.11 does not know
# PYTHONSAFEPATH: there the predictor itself removes its folder from the path.
PYTHON_OPTIONS = ("-s", "-B")
NO_PACKAGES = "-S"  # neither site-packages nor what a .pth file there would start
# A hash seed and a time zone of its own, so that a scorer's sets and dates are the same everywhere; nothing else.
SCORER_ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4


class Isolation(StrEnum):
    """The isolation of a candidate. `AUTO` is only a request: it becomes one of the others."""

    AUTO = "auto"
    BWRAP = "bwrap"
    PROCESS = "process"


def choose(wanted: Isolation, *, warn: Callable[[str], None]) -> Isolation:
    """Return the isolation to use: for `AUTO`, `bwrap` where it works, else `process` with a warning.

    Raises:
        CannotJudge: `bwrap` is required and does not work.
    """
    if wanted is Isolation.PROCESS:
        return Isolation.PROCESS
    reason = why_no_bwrap()
    if not reason:
        return Isolation.BWRAP
    if wanted is Isolation.BWRAP:
        raise CannotJudge(f"--isolation bwrap: {reason}; install bubblewrap, or allow user namespaces")
    warn(f"no bwrap ({reason}): the candidate runs as a plain process, which can read this machine's files")
    return Isolation.PROCESS


@contextlib.contextmanager
def start(
    isolation: Isolation,
    *,
    bundle: Path,
    eval_set: Path,
    home: Path,
    limits: Limits,
    files: Path | None = None,
    python: Python | None = None,
) -> Iterator[Child]:
    """Start a predictor for the staged ``bundle``; ``home`` is an empty directory that it may write to.

    ``files`` is the folder in which `show_files` puts the files of a batch; ``python`` is by default that of this
    process.

    Raises:
        CannotJudge: the eval set would be visible under `bwrap`, or the process cannot be started.
    """
    python = python or find_gates_python()
    if isolation is Isolation.BWRAP:
        _refuse_visible(eval_set, python)
        command = [
            *bwrap(limits, bundle=bundle, files=files, python=python),
            *_start_python(python, PREDICTOR, BUNDLE, None if files is None else FILES),
        ]
        environment = _environment("/tmp")  # noqa: S108 - the sandbox's own
    else:
        command = _start_python(python, str(_script("predictor")), str(bundle), None if files is None else str(files))
        environment = _environment(str(home))
    command = _launch(isolation, command, limits)
    with _closed_memory(), _spawn(command, environment, home, limits) as child:
        yield child


@contextlib.contextmanager
def start_scorer(isolation: Isolation, *, limits: Limits) -> Iterator[Child]:
    """Start the process of a repository's own scorer (`minieval.runner.scorer_script`).

    It gets labels and answers over its pipe. Under `bwrap` it sees this Python and the system's libraries alone, and
    neither the candidate nor the eval set.

    Raises:
        CannotJudge: the process cannot be started.
    """
    script = _script("scorer_script")
    python = (sys.executable, *PYTHON_OPTIONS, NO_PACKAGES)
    if isolation is Isolation.BWRAP:
        command = [*bwrap(limits, scorer=script), *python, SCORER]
    else:
        command = [*python, str(script)]
    command = _launch(isolation, command, limits)
    with _closed_memory(), _spawn(command, SCORER_ENVIRONMENT, Path("/"), limits, name="the scorer") as child:
        yield child


@contextlib.contextmanager
def show_files(folder: Path, files: Sequence[tuple[str, Path]]) -> Iterator[None]:
    """Show a batch's files in ``folder`` (that of `start`) under the given names, and remove them at the end.

    They are copies without the times of the originals: no candidate can change the eval set through them, or learn
    from a time to which label a file belongs.

    Raises:
        CannotJudge: a file cannot be read.
    """
    shown = []
    try:
        for name, path in files:
            shown.append(folder / name)
            _copy(path, shown[-1])
        yield
    finally:
        for path in shown:
            path.unlink(missing_ok=True)


def _copy(path: Path, target: Path) -> None:
    try:
        # No link is followed on either side: the eval set's last part, or one that a candidate put at the target.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        raise CannotJudge(f"{path}: cannot be shown to the model: {error.strerror}") from error


@functools.cache
def why_no_bwrap() -> str:
    """Return why bwrap cannot be used here, found by running `true` in it; empty when it works."""
    if shutil.which("bwrap") is None:
        return "bwrap is not on PATH"
    command = [*bwrap(Limits()), "/usr/bin/true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={})
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not start: {error}"
    return "" if done.returncode == 0 else f"bwrap does not work: {done.stderr.strip()[:200] or done.returncode}"


def bwrap(
    limits: Limits,
    *,
    bundle: Path | None = None,
    files: Path | None = None,
    scorer: Path | None = None,
    python: Python | None = None,
    writable: Path | None = None,
) -> list[str]:
    """Return the command line up to the program: the namespaces, and every path that is visible.

    ``writable`` is a folder that the program may change; no candidate gets one.
    """
    python = python or find_gates_python()
    scratch = ("--size", str(limits.file_mb * MIB), "--tmpfs")
    command = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    command += [*_no_nested_namespaces(), "--cap-drop", "ALL", "--proc", "/proc", "--remount-ro", "/proc"]
    command += ["--dev", "/dev", *scratch, "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 - the sandbox's own
    command += [*scratch, "/tmp", "--chdir", "/tmp"]  # noqa: S108 - the sandbox's own
    for folder in SYSTEM_FOLDERS:
        command += _bind_system(Path(folder))
    for path in (*SYSTEM_FILES, *python.roots):
        command += ["--ro-bind-try", path, path]
    command += ["--ro-bind", str(_script("predictor")), PREDICTOR]
    if bundle is not None:
        command += ["--ro-bind", str(bundle), BUNDLE]
    if files is not None:
        command += ["--ro-bind", str(files), FILES]
    if scorer is not None:
        command += ["--ro-bind", str(scorer), SCORER]
    if writable is not None:
        command += ["--bind", str(writable), str(writable)]
    return [*command, "--remount-ro", "/", "--"]


@functools.cache
def _no_nested_namespaces() -> tuple[str, ...]:
    """Return the options that forbid user namespaces inside: in one of its own, a candidate would have capabilities.

    Empty where bwrap is older than 0.8 or may not make a user namespace itself, as inside some containers.
    """
    options = ("--unshare-user", "--disable-userns")
    command = [shutil.which("bwrap") or "bwrap", *options, "--ro-bind", "/", "/", "--", "/usr/bin/true"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False, env={})
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return options if done.returncode == 0 else ()


def _bind_system(folder: Path) -> list[str]:
    if folder.is_symlink():
        return ["--symlink", str(folder.readlink()), str(folder)]
    return ["--ro-bind", str(folder), str(folder)] if folder.is_dir() else []


def _refuse_visible(eval_set: Path, python: Python) -> None:
    real = eval_set.resolve()
    for path in (*SYSTEM_FOLDERS, *python.roots):
        if real.is_relative_to(Path(path).resolve()) and Path(path).is_dir():
            raise CannotJudge(
                f"{eval_set}: is inside {path}, which is visible to the candidate; move the eval set out of it"
            )


def _start_python(python: Python, predictor: str, bundle: str, files: str | None) -> list[str]:
    return [
        *(python.executable, *PYTHON_OPTIONS, predictor, "--bundle", bundle),
        *(("--files", files) if files else ()),
    ]


def _launch(isolation: Isolation, command: Sequence[str], limits: Limits) -> list[str]:
    # bwrap needs capabilities to start, and drops them for everything inside.
    keep = isolation is Isolation.BWRAP
    return within_limits(command, file_mb=limits.file_mb, seconds=limits.timeout_s, keep_capabilities=keep)


def within_limits(
    command: Sequence[str], *, file_mb: int, seconds: float, keep_capabilities: bool = False
) -> list[str]:
    """Return the command that starts ``command`` with limits and without capabilities (`minieval.runner.launcher`)."""
    # CPU time adds up over all cores, wall-clock time does not.
    cpu_seconds = int(seconds * (os.cpu_count() or 1)) + 1
    launcher = [sys.executable, "-I", "-B", NO_PACKAGES, str(_script("launcher"))]
    launcher += ["--file-mb", str(file_mb), "--cpu-seconds", str(cpu_seconds)]
    launcher += ["--keep-capabilities"] if keep_capabilities else []
    return [*launcher, "--", *command]


def _script(name: str) -> Path:
    return Path(__file__).resolve().with_name(f"{name}.py")


def _environment(home: str) -> dict[str, str]:
    """Return the candidate's whole environment: fixed values, and one thread, so that sums are reproducible."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "USER": "minieval",
        "LOGNAME": "minieval",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONSAFEPATH": "1",
        "DO_NOT_TRACK": "true",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


def _spawn(
    command: Sequence[str], environment: dict[str, str], home: Path, limits: Limits, *, name: str = "the predictor"
) -> Child:
    try:
        return Child(command, environment=environment, cwd=home, limits=limits, name=name)
    except OSError as error:
        raise CannotJudge(f"{name} cannot be started: {error.strerror}") from error


@contextlib.contextmanager
def _closed_memory() -> Iterator[None]:
    """Close this process's memory, which holds the labels, to other processes of the same user."""
    prctl = ctypes.CDLL(None).prctl
    before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_DUMPABLE, before, 0, 0, 0)
