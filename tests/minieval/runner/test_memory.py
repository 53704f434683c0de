"""What processes use of memory counts, what they reserve does not, and no process of a tree is missed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from minieval.runner.memory import MemoryWatch, find_processes

MIB = 1024 * 1024


@contextmanager
def running(script: str) -> Iterator[int]:
    """Run a script in a session of its own until it has printed a line; yield its process id."""
    command = [sys.executable, "-I", "-S", "-c", f"import mmap, os, time\n{script}\nprint(flush=True)\ntime.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_what_is_touched_counts_and_what_is_reserved_does_not() -> None:
    flags = "mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000"  # MAP_NORESERVE, which Python has since 3.13
    with running(f"kept = mmap.mmap(-1, 9 * 2**30, {flags})") as pid:
        assert not MemoryWatch(pid).exceeds(64 * MIB)
    with running("kept = bytearray(b'x' * 100 * 2**20)") as pid:
        assert MemoryWatch(pid).exceeds(64 * MIB)
        assert not MemoryWatch(pid).exceeds(400 * MIB)


def test_what_was_given_back_before_the_first_look_counts() -> None:
    with running("kept = b'x' * 100 * 2**20; del kept") as pid:
        assert MemoryWatch(pid).exceeds(64 * MIB)


def test_the_processes_of_a_tree_count_together() -> None:
    fork = "for _ in range(3):\n if os.fork() == 0:\n  kept = b'x' * 50 * 2**20; print(flush=True); time.sleep(60)"
    with running(fork + "\ntime.sleep(2)") as pid:
        assert len(find_processes(pid)) == 4
        assert MemoryWatch(pid).exceeds(120 * MIB)
        assert not MemoryWatch(pid).exceeds(300 * MIB)


def test_pages_that_forks_share_count_once() -> None:
    fork = "kept = b'x' * 50 * 2**20\nfor _ in range(5):\n if os.fork() == 0: time.sleep(60)"
    with running(fork) as pid:
        assert len(find_processes(pid)) == 6
        assert not MemoryWatch(pid).exceeds(150 * MIB)


def test_a_child_whose_parent_ended_is_found() -> None:
    orphan = "if os.fork() == 0:\n if os.fork() == 0: time.sleep(60)\n os._exit(0)\nos.wait()"
    with running(orphan) as pid:
        assert len(find_processes(pid)) == 2


def test_a_process_that_ended_uses_nothing() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert not MemoryWatch(done.pid).exceeds(0)


WRITTEN = "kept = os.memfd_create('x')\nfor _ in range(100): os.write(kept, bytes(2**20))"


def test_a_file_in_memory_counts_though_no_process_has_mapped_it() -> None:
    with running(WRITTEN) as pid:
        assert MemoryWatch(pid).exceeds(64 * MIB)
        assert not MemoryWatch(pid).exceeds(200 * MIB)


def test_a_file_in_memory_counts_once_where_processes_share_and_map_it() -> None:
    mapped = "pages = mmap.mmap(kept, 0)\nsum(pages[::4096])"
    with running(f"{WRITTEN}\n{mapped}\nfor _ in range(3):\n if os.fork() == 0: time.sleep(60)") as pid:
        assert MemoryWatch(pid).exceeds(64 * MIB)
        assert not MemoryWatch(pid).exceeds(180 * MIB)
