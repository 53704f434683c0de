"""What a kill at each step of a promotion leaves, found by killing: ``python -m tests.promotion.kill_table``.

A promotion of v0.3.1 over v0.3.0 on a registry directory is killed before and after each of its calls that change
something. Neighbouring kills after which everything looks the same, and goes on the same way, are one row.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lynxgate.audit.history import find_records
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.layout import read_tags
from lynxgate.registry.resolve import find_production
from tests.promotion.kills import Moment, kill_at, record_calls
from tests.promotion.workshop import Workshop

SEMVER, BEFORE = "v0.3.1", "v0.3.0"
HEAD = ("last step done", "kills", "record", "`tags.json`", "MLflow tag", "index", "readers see", "the same again",
        "`registry recover`")  # fmt: skip


@dataclass(frozen=True)
class Left:
    """What there is after a kill, as words of a row, and what comes of it."""

    record: str
    tags: str
    tag: str
    index: str
    readers: str
    again: str
    recovered: str


def main() -> None:
    """Print the table as Markdown."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        print("\n".join(table(Path(folder))))


def table(folder: Path) -> Iterator[str]:
    """The lines of the table."""
    base = prepare(folder / "base")
    trial = copy(base, folder / "calls")
    calls = record_calls(lambda: promote(trial), trial.folder)
    seen = list(kill_everywhere(base, calls, folder))
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    for (step, left), kills in groupby(seen):
        cells = (step, str(len(list(kills))), *vars(left).values())
        yield "| " + " | ".join(cells) + " |"


def kill_everywhere(base: Workshop, calls: list[str], folder: Path) -> Iterator[tuple[str, Left]]:
    """Each kill in order: the last step that was done, and what was left."""
    records = [point for point, call in enumerate(calls) if call.startswith("replace /registry/journal/")]
    steps = {
        first(calls, "manifest.json.tmp"): "the manifest",
        first(calls, "/evidence/."): "the evidence",
        records[0]: "the claim: the record",
        records[1]: "artifacts hashed again, lease renewed",
        first(calls, "/registry/.tags.json.tmp"): "`tags.json`",
        first(calls, "/tags/.lynxgate.semver"): "MLflow's tag",
        records[2]: "**the commit**: the event put into the record",
        first(calls, "index.jsonl", "pwrite"): "the event in the index",
        records[3]: "the record closed",
    }
    done = "nothing yet"
    for point in range(len(calls)):
        moments: tuple[Moment, Moment] = ("before", "after")
        for moment in moments:
            if moment == "after":
                done = steps.get(point, done)
            killed = copy(base, folder / f"{point}-{moment}")
            assert kill_at(lambda: promote(killed), killed.folder, point, moment), calls[point]  # noqa: B023
            yield done, look(killed, folder)
            shutil.rmtree(killed.folder)


def look(killed: Workshop, folder: Path) -> Left:
    """What is left, and how each of the two ways goes on from it."""
    candidate = killed.candidate("b")
    held = killed.context().journal.read(SEMVER)
    production = find_production(killed.store)
    tag = killed.tracking.read_tag(candidate.run_id, tag_key(SEMVER))
    again, recovered = copy(killed, folder / "again"), copy(killed, folder / "recovered")
    receipt = again.promote(candidate, SEMVER, later=True)
    recover_all(recovered.context(recovered.later))
    left = Left(
        record="none" if held is None else f"{held.record.state}{', with event' * (held.record.event is not None)}",
        tags=f"has {SEMVER}" if SEMVER in read_tags(killed.store).tags.semver else "as before",
        tag="there" if tag == candidate.sha else "absent",
        index="has it" if len(list(killed.store.lines())) > 1 else "as before",
        readers="**v0.3.1**" if production == SEMVER else str(production),
        again=receipt.ending,
        recovered=f"{find_records(recovered.store, SEMVER)[0].state}: {find_production(recovered.store)}"
        if held
        else "-",
    )
    shutil.rmtree(again.folder)
    shutil.rmtree(recovered.folder)
    return left


def prepare(folder: Path) -> Workshop:
    """v0.3.0 is in production; candidate b is to become v0.3.1."""
    workshop = Workshop(folder)
    workshop.open_registry()
    workshop.promote(workshop.candidate("a"), BEFORE)
    workshop.candidate("b")
    return workshop


def promote(workshop: Workshop) -> None:
    """The promotion that is killed."""
    workshop.promote(workshop.candidate("b"), SEMVER)


def copy(workshop: Workshop, folder: Path) -> Workshop:
    """The same workshop at another place."""
    shutil.copytree(workshop.folder, folder)
    return Workshop(folder)


def first(calls: list[str], part: str, kind: str = "replace") -> int:
    """Where the first call of a kind about something is."""
    return next(point for point, call in enumerate(calls) if call.startswith(kind) and part in call)


if __name__ == "__main__":
    main()
