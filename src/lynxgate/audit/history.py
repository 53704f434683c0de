"""Reading a registry's history, and ending what dead owners left: the commands of an operator."""

from __future__ import annotations

from lynxgate.errors import CannotJudge, Conflict, IntegrityFailure, UsageFailure
from lynxgate.identity import parse_semver, parse_sha
from lynxgate.ports import RegistryStore
from lynxgate.promotion.rollback import end
from lynxgate.promotion.steps import PromotionContext
from lynxgate.promotion.tombstones import finish_tombstone
from lynxgate.registry.events import Event
from lynxgate.registry.layout import journal_key
from lynxgate.registry.record import Record, State
from lynxgate.registry.resolve import find_production
from minieval.contract.documents import parse_document


def read_events(store: RegistryStore) -> tuple[str | None, list[Event]]:
    """The semver in production, and every event from the first to the last."""
    where = f"{store.location}/index"
    return find_production(store), [parse_document(line, Event, where=where) for line in store.lines()]


def read_last_events(store: RegistryStore, count: int) -> tuple[str | None, list[Event], int]:
    """The semver in production, the last ``count`` events in order, and how many there are before them.

    Reads no more of the history than that.

    Raises:
        IntegrityFailure: an event is missing.
    """
    production = find_production(store)
    last = store.last(_known_event(store, production))
    number = 0 if last is None else last[0]
    first = max(1, number - count + 1)
    lines = [last[1]] if last is not None else []
    for earlier in range(number - 1, first - 1, -1):
        if (line := store.event(earlier)) is None:
            raise IntegrityFailure(f"{store.location}: event {earlier} is missing; see lynxgate registry verify")
        lines.append(line)
    where = f"{store.location}/index"
    return (
        production,
        [parse_document(line, Event, where=where) for line in reversed(lines)],
        first - 1 if number else 0,
    )


def _known_event(store: RegistryStore, production: str | None) -> int:
    """The number of an event known to be there: where to begin to look for the last."""
    if production is None:
        return 0
    (record,) = find_records(store, production)
    return record.event.number if record.event is not None and record.state is State.PROMOTED else 0


def find_records(store: RegistryStore, which: str) -> list[Record]:
    """The record of a semver, or all records of a canonical SHA.

    Raises:
        UsageFailure: ``which`` is neither.
        CannotJudge: the registry has no such record.
    """
    try:
        keys = [journal_key(str(parse_semver(which)))]
    except UsageFailure:
        parse_sha(which)
        keys = list(store.keys("journal/"))
    stored = ((key, store.read(key)) for key in keys)
    records = [parse_document(found.data, Record, where=f"{store.location}/{key}") for key, found in stored if found]
    matching = [record for record in records if which in (record.semver, record.canonical_sha)]
    if not matching:
        raise CannotJudge(f"{store.location} has no record of {which}; see lynxgate registry list")
    return matching


def recover_all(context: PromotionContext) -> list[Record]:
    """End every promotion, rollback and tombstone that a dead owner left; the records as they ended."""
    ended = []
    for key in context.store.keys("journal/"):
        held = context.journal.read(key.removeprefix("journal/").removesuffix(".json"))
        if held is None or not held.record.unfinished or held.record.is_alive(context.store.now()):
            continue
        try:
            ended.append(end(context, held).record)
        except Conflict:
            continue  # somebody else is settling it
    for key in context.store.keys("tombstones/"):
        finish_tombstone(context, key.removeprefix("tombstones/").removesuffix(".json"))
    return ended
