"""Fuzz every target for a share of the time: ``python -m tests.fuzz SECONDS [TARGET ...]``, as `just fuzz` does.

- Each target is a process of its own at low priority, one after the other.
- New inputs that reach new lines go into the kept corpus, a finding too (as ``found-...``). The exit code is 1 when
  there is a finding.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.corpus import CORPUS, keep, read_corpus
from tests.fuzz.targets import TARGETS
from tests.fuzz.words import list_words, write_dictionary

_SECONDS_EACH = 10  # an input that takes longer is a finding
_MEBIBYTES = 2048


@dataclass(frozen=True)
class Fuzzed:
    """What a run of one target came to: the number of inputs, and the end of the output where it found something."""

    inputs: int
    finding: str | None


def main() -> int:
    """The exit code: 1 when a target found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=600, help="for all targets together")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"no target {min(unknown)}; there are {', '.join(TARGETS)}")
    names = chosen.targets or list(TARGETS)
    os.nice(10)
    inputs, findings = 0, 0
    for name in names:
        done = fuzz(name, max(1, chosen.seconds // len(names)))
        inputs += done.inputs
        print(f"{name}: {done.inputs} inputs, {len(list(read_corpus(name)))} kept", flush=True)
        if done.finding is not None:
            findings += 1
            print(f"{name}: FOUND\n{done.finding}", flush=True)
    print(f"{len(names)} targets, {inputs} inputs, {findings} findings")
    return 1 if findings else 0


def fuzz(name: str, seconds: int) -> Fuzzed:
    """Fuzz one target, and keep what is new."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        grown, crashes = Path(scratch) / "grown", Path(scratch) / "crashes"
        grown.mkdir()
        crashes.mkdir()
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        dictionary = Path(scratch) / "words"
        dictionary.write_text(write_dictionary(list_words(data for _, data in read_corpus(name))))
        command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.run", name, str(grown), str(CORPUS / name)]
        limits = [f"-max_total_time={seconds}", f"-timeout={_SECONDS_EACH}", f"-rss_limit_mb={_MEBIBYTES}"]
        where = [f"-dict={dictionary}", f"-artifact_prefix={crashes}/", "-max_len=20000", "-print_final_stats=1"]
        environment = {**os.environ, "TMPDIR": _quick_folder(scratch)}
        done = subprocess.run(
            [*command, *limits, *where],
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=False,
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        counted = re.search(r"number_of_executed_units:\s*(\d+)", output)
        found = [path for path in crashes.iterdir() if not path.name.startswith("slow-unit-")]
        for path in found:
            shutil.copy(path, CORPUS / name / f"found-{path.name.rpartition('-')[2][:16]}")
        keep(name, [path.read_bytes() for path in grown.iterdir()])
    failed = bool(found) or done.returncode != 0
    told = output[output.rfind("=== Uncaught Python exception") :] if "=== Uncaught" in output else output
    return Fuzzed(int(counted[1]) if counted else 0, told[:4000] if failed else None)


def _quick_folder(scratch: str) -> str:
    """Where targets that need a file put it: memory where there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else scratch


if __name__ == "__main__":
    sys.exit(main())
