"""Measure the memory that a process and everything it started use, from ``/proc``.

- What counts is resident memory and swap. Reserved addresses do not count.
- The peak of a single process is the kernel's own figure: what a process used between two looks is not missed.
- Of several processes the sum counts. Shared pages count once where the kernel gives shares (``smaps_rollup``).
- Files in memory (``memfd_create``) count while a process has them open, also where none has mapped them.
- Nothing here is trusted to be there: a process that ended, or a figure that may not be read, counts as 0.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

KIB = 1024
PROC = Path("/proc")
_RESCAN = 0.5  # seconds between two searches for new processes; a search reads all of /proc


class MemoryWatch:
    """The processes of one root: itself, those of its session, and the descendants of all of these."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._pids: tuple[int, ...] = (root,)
        self._next_scan = 0.0

    def exceeds(self, bound: int) -> bool:
        """Return whether the processes use more than ``bound`` bytes together, or one of them once did."""
        if (now := time.monotonic()) >= self._next_scan:
            self._pids, self._next_scan = find_processes(self._root), now + _RESCAN
        unmapped = _measure_memory_files(self._pids)
        used, peak = unmapped, 0
        for status in map(_read_status, self._pids):
            swapped = status.get("VmSwap", 0)
            used += status.get("VmRSS", 0) + swapped
            peak = max(peak, status.get("VmHWM", 0) + swapped)
        return peak > bound or (used > bound and self._measure_shares(unmapped) > bound)

    def _measure_shares(self, memory_files: int) -> int:
        """Return what all processes use, where a page counts once; pages of a file in memory may be mapped too."""
        shares = [_read_share(pid) for pid in self._pids]
        return sum(own for own, _ in shares) + max(memory_files, sum(shared for _, shared in shares))


def find_processes(root: int) -> tuple[int, ...]:
    """Return the ids of ``root``, of the processes of its session, and of all their descendants."""
    children: dict[int, list[int]] = {}
    found = [root]
    for pid, parent, session in _list_processes():
        children.setdefault(parent, []).append(pid)
        if session == root and pid != root:
            found.append(pid)
    for pid in found:  # grows while it is read
        found.extend(child for child in children.get(pid, ()) if child not in found)
    return tuple(found)


def _list_processes() -> Iterable[tuple[int, int, int]]:
    """Yield the id, the parent's id and the session of every process."""
    for name in os.listdir(PROC):  # noqa: PTH208 - pathlib is slow
        if not name.isdigit():
            continue
        # The name of the program, in brackets, may itself hold spaces and brackets.
        fields = _read(f"{name}/stat").rpartition(")")[2].split()
        if len(fields) > 3:
            yield int(name), int(fields[1]), int(fields[3])


def _read_status(pid: int) -> dict[str, int]:
    """Return the sizes in ``/proc/PID/status``, in bytes."""
    lines = (line.split() for line in _read(f"{pid}/status").splitlines() if line.startswith(("Vm", "RssShmem")))
    return {words[0].rstrip(":"): int(words[1]) * KIB for words in lines}


def _read_share(pid: int) -> tuple[int, int]:
    """Return the memory of a process without shared memory, and its share of shared memory.

    The part of a page that n processes share is 1/n of it.
    """
    text = _read(f"{pid}/smaps_rollup")
    if not text:
        status = _read_status(pid)
        shared = status.get("RssShmem", 0)
        return status.get("VmRSS", 0) - shared + status.get("VmSwap", 0), shared
    lines = [line.split() for line in text.splitlines()]
    sizes = {words[0]: int(words[1]) * KIB for words in lines if words[-1] == "kB"}
    shared = sizes.get("Pss_Shmem:", 0)
    return sizes.get("Pss:", 0) - shared + sizes.get("SwapPss:", 0), shared


def _measure_memory_files(pids: Iterable[int]) -> int:
    """Return the bytes of the files in memory that these processes have open, each file once."""
    sizes: dict[int, int] = {}
    for pid in pids:
        folder = PROC / f"{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 - pathlib is slow
                with contextlib.suppress(OSError):  # it was closed
                    if os.readlink(folder / name).startswith("/memfd:"):  # noqa: PTH115 - pathlib is slow
                        found = os.stat(folder / name)  # noqa: PTH116 - pathlib is slow
                        sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def _read(name: str) -> str:
    try:
        return (PROC / name).read_text(errors="replace")
    except OSError:  # it ended, or belongs to another user
        return ""
