"""The kept corpus, `corpus/<target>/`: small files, each of which runs lines that no smaller one of its target runs.

- A file is named by the start of its SHA-256. What a fuzzer once found is kept under a name that begins with
  ``found-``, and is never removed.
- `keep` makes the corpus of a target anew from candidates; its size is bounded.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import TARGETS, check

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 14_000  # of one target
MOST_BYTES_EACH = 6_000
_TRACED = ("/src/lynxgate/", "/src/minieval/", "/yaml/", "/markdown_it/")

Place = tuple[str, int, int]


def read_corpus(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the kept inputs of a target, with their file names."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.name, path.read_bytes()


def keep(name: str, candidates: Iterable[bytes]) -> int:
    """Keep those of ``candidates`` and of the corpus that add something, accepted ones first; return how many."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    found = {path.read_bytes() for path in folder.glob("found-*")}
    known = {data for _, data in read_corpus(name)}
    traces = {data: _trace(name, data) for data in {*candidates, *known} if len(data) <= MOST_BYTES_EACH}
    seen: set[Place] = set().union(*(traces[data].places for data in found if data in traces))
    kept: list[bytes] = []
    size = 0
    # What is accepted goes deepest, and small refused inputs would fill the folder before it.
    for data in sorted(traces.keys() - found, key=lambda each: (not traces[each].accepted, len(each), each)):
        if size + len(data) <= MOST_BYTES and not traces[data].places <= seen:
            seen |= traces[data].places
            kept.append(data)
            size += len(data)
    for path in folder.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for data in kept:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(kept)


@dataclass(frozen=True)
class _Trace:
    """What an input did: whether it was accepted, and the jumps from line to line in the code under test."""

    accepted: bool
    places: frozenset[Place]


def _trace(name: str, data: bytes) -> _Trace:
    places: set[Place] = set()
    before: dict[FrameType, int] = {}

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            places.add((frame.f_code.co_filename, before.get(frame, 0), frame.f_lineno))
            before[frame] = frame.f_lineno
        elif event == "return":
            before.pop(frame, None)
        return on_line

    def on_call(frame: FrameType, _: str, __: Any) -> Any:
        return on_line if any(part in frame.f_code.co_filename for part in _TRACED) else None

    accepted = False
    sys.settrace(on_call)
    try:
        accepted = check(TARGETS[name], data)
    except Exception:  # noqa: BLE001 - a finding; the run that found it has reported it
        places.add((name, -1, -1))
    finally:
        sys.settrace(None)
    return _Trace(accepted, frozenset(places))
