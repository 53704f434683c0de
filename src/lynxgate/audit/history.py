"""Read the history of a registry: its events and its records. Nothing is written."""

from __future__ import annotations

from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.identity import is_semver, parse_sha
from lynxgate.ports import RegistryStore
from lynxgate.registry.events import Event
from lynxgate.registry.layout import JOURNAL_PREFIX, TOMBSTONES_PREFIX
from lynxgate.registry.record import Record, State, read_record
from lynxgate.registry.resolve import find_production
from lynxgate.registry.tombstone import read_tombstone
from minieval.contract.documents import parse_document


def read_events(store: RegistryStore) -> tuple[str | None, list[Event]]:
    """Return the semver in production, and every event from the first to the last.

    Raises:
        IntegrityFailure: the last events are missing.
    """
    production, where = find_production(store), f"{store.location}/index"
    events = [parse_document(line, Event, where=where) for line in store.lines()]
    _check_end(store, len(events), _find_known_event(store, production))
    return production, events


def read_last_events(store: RegistryStore, count: int) -> tuple[str | None, list[Event], int]:
    """Return the semver in production, the last ``count`` events in order, and the number of events before them.

    Reads no more of the index than that, so that it takes as long after ten thousand events as after ten.

    Raises:
        IntegrityFailure: an event is missing.
    """
    production = find_production(store)
    known = _find_known_event(store, production)
    last = store.last(known)
    number = 0 if last is None else last[0]
    _check_end(store, number, known)
    first = max(1, number - count + 1)
    lines = [last[1]] if last is not None else []
    for earlier in range(number - 1, first - 1, -1):
        line = store.event(earlier)
        if line is None:
            raise IntegrityFailure(f"{store.location}: event {earlier} is missing; see lynxgate registry verify")
        lines.append(line)
    where = f"{store.location}/index"
    events = [parse_document(line, Event, where=where) for line in reversed(lines)]
    return production, events, first - 1 if number else 0


def find_records(store: RegistryStore, which: str) -> list[Record]:
    """Return the record of a semver, or all records of a canonical SHA.

    Raises:
        UsageFailure: ``which`` is neither.
        CannotJudge: the registry has no such record.
    """
    if is_semver(which):
        semvers = [which]
    else:
        parse_sha(which)
        semvers = _list_semvers(store)  # the key of a record does not show its SHA: each must be read
    versioned = (read_record(store, semver) for semver in semvers)
    records = [each.record for each in versioned if each is not None]
    matching = [record for record in records if which in (record.semver, record.canonical_sha)]
    if not matching:
        raise CannotJudge(f"{store.location} has no record of {which}; see lynxgate registry list")
    return matching


def _check_end(store: RegistryStore, number: int, known: int) -> None:
    """Check that the index, whose last event is ``number``, has what records and tombstones show to be written."""
    if number < known:
        raise IntegrityFailure(
            f"{store.location}: the index ends at event {number}, and a record names event {known}; "
            "see lynxgate registry verify"
        )
    if number == 0:  # nothing was promoted; only a tombstone can be older than an index that was removed
        for key in store.keys(TOMBSTONES_PREFIX):
            found = read_tombstone(store, key.removeprefix(TOMBSTONES_PREFIX).removesuffix(".json"))
            if found is not None and found.tombstone.written:
                raise IntegrityFailure(
                    f"{store.location}: the index is empty, and {key} is in it; see lynxgate registry verify"
                )


def _find_known_event(store: RegistryStore, production: str | None) -> int:
    """Return the number of an event that is in the index, from which the store searches for the last one."""
    if production is None:
        return 0
    (record,) = find_records(store, production)
    return record.event.number if record.event is not None and record.state is State.PROMOTED else 0


def _list_semvers(store: RegistryStore) -> list[str]:
    return [key.removeprefix(JOURNAL_PREFIX).removesuffix(".json") for key in store.keys(JOURNAL_PREFIX)]
