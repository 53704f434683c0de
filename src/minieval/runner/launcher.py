"""The launcher: set limits and drop capabilities in this process, then become the program that is given.

`minieval.runner.sandbox` starts it as a script with the gate's own Python, without site-packages. Nothing of a
candidate runs before the limits hold, whichever Python the candidate has: a ``.pth`` file of its packages would run
before the first line of any script.

- The limits are inherited by everything that the program starts, and none of it can raise them again.
- Under bwrap, which needs capabilities to start, bwrap drops them itself.
- Addresses are not limited: accelerators and runtimes reserve far more than they use. `minieval.runner.memory` bounds
  what is used. If the machine's memory ends first, the kernel stops this process before any other.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import sys

MIB = 1024 * 1024
MAX_PROCESSES = 8192
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522


def main() -> None:
    """Confine this process, and execute the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--file-mb", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    parser.add_argument("--keep-capabilities", action="store_true")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    _limit(file=arguments.file_mb * MIB, cpu_seconds=arguments.cpu_seconds)
    _end_first()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not arguments.keep_capabilities:
        _drop_capabilities(libc)
    program = arguments.program[1:]  # after "--"
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


def _limit(*, file: int, cpu_seconds: int) -> None:
    limits = {
        resource.RLIMIT_FSIZE: file,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: MAX_PROCESSES,
    }
    for which, wanted in limits.items():
        _, hard = resource.getrlimit(which)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (bound, bound))


def _end_first() -> None:
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib is slow
        file.write("1000")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop them permanently: with no_new_privs, a program that root executes does not get them back either."""
    header, none_of_them = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, none_of_them):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


if __name__ == "__main__":
    main()
