"""The contract of `lynxgate.ports.RegistryStore`: what every registry may rely on, wherever it lives."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from lynxgate.errors import Conflict
from lynxgate.ports import RegistryStore, Stored
from lynxgate.registry.compare_and_swap import put
from tests.contract.stores import Place


@pytest.fixture
def store(place: Place) -> RegistryStore:
    return place.open()


def event(number: int, text: str = "") -> bytes:
    return json.dumps({"number": number, "text": text}, ensure_ascii=False).encode()


def test_an_unused_place_is_empty(store: RegistryStore) -> None:
    assert store.read("tags.json") is None
    assert list(store.keys("")) == []
    assert store.last() is None
    assert store.event(1) is None
    assert store.event(0) is None
    assert list(store.lines()) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", "ünïcödé ∀ 🐈\n".encode(), bytes(range(256)), bytes(range(256)) * 4096],
    ids=["empty", "short", "unicode", "all bytes", "1 MB"],
)
def test_what_is_created_is_read_back_byte_by_byte(store: RegistryStore, data: bytes) -> None:
    version = store.create("entries/a/manifest.json", data)
    assert store.read("entries/a/manifest.json") == Stored(data, version)


@pytest.mark.parametrize("name", ["v0.1.0+build 7%41&x=y", "größe-∀", "a.b_c~d'(e)!*", "x" * 200])
def test_any_name_will_do(store: RegistryStore, name: str) -> None:
    key = f"journal/{name}.json"
    version = store.create(key, b"1")
    assert store.read(key) == Stored(b"1", version)
    assert list(store.keys("journal/")) == [key]
    with pytest.raises(Conflict):
        store.create(key, b"2")


def test_a_key_is_created_once(store: RegistryStore) -> None:
    store.create("registry.json", b"first")
    with pytest.raises(Conflict):
        store.create("registry.json", b"second")
    with pytest.raises(Conflict):
        store.create("registry.json", b"first")
    found = store.read("registry.json")
    assert found is not None
    assert found.data == b"first"


def test_a_key_is_replaced_only_by_who_read_it_last(store: RegistryStore) -> None:
    first = store.create("tags.json", b"1")
    second = store.replace("tags.json", b"2", first)
    assert second != first
    with pytest.raises(Conflict):
        store.replace("tags.json", b"3", first)
    assert store.read("tags.json") == Stored(b"2", second)
    third = store.replace("tags.json", b"3", second)
    assert store.read("tags.json") == Stored(b"3", third)


def test_what_is_not_there_is_not_replaced(store: RegistryStore) -> None:
    other = store.create("journal/v0.1.0.json", b"1")
    with pytest.raises(Conflict):
        store.replace("tags.json", b"2", other)
    assert store.read("tags.json") is None


def test_another_handle_sees_a_write_at_once(place: Place) -> None:
    here, there = place.open(), place.open()
    first = here.create("tags.json", b"1")
    assert there.read("tags.json") == Stored(b"1", first)
    there.replace("tags.json", b"2", first)
    with pytest.raises(Conflict):
        here.replace("tags.json", b"3", first)
    here.append(1, event(1))
    assert there.last() == (1, event(1))


def test_put_again_finds_what_it_wrote(store: RegistryStore) -> None:
    version = put(store, "journal/v0.1.0.json", b"ours", None)
    assert put(store, "journal/v0.1.0.json", b"ours", None) == version
    with pytest.raises(Conflict):
        put(store, "journal/v0.1.0.json", b"theirs", None)


def test_keys_are_those_with_the_prefix_sorted(store: RegistryStore) -> None:
    names = ["journal/v0.10.0.json", "journal/v0.1.0.json", "journal/v0.2.0.json", "entries/a/b", "entries/a-b"]
    names += ["entries/a/evidence/c", "registry.json"]
    for name in names:
        store.create(name, b"")
    assert list(store.keys("")) == sorted(names)
    assert list(store.keys("entries/")) == ["entries/a-b", "entries/a/b", "entries/a/evidence/c"]
    assert list(store.keys("entries/a")) == ["entries/a-b", "entries/a/b", "entries/a/evidence/c"]
    assert list(store.keys("journal/v0.1")) == ["journal/v0.1.0.json", "journal/v0.10.0.json"]
    assert list(store.keys("journal/v1")) == []
    assert list(store.keys("nothing/here/")) == []
    assert list(store.keys("registry.json")) == ["registry.json"]


@pytest.mark.slow
def test_keys_has_no_end_at_a_thousand(store: RegistryStore) -> None:
    names = [f"journal/{number}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.create(name, b""), names))
    assert list(store.keys("journal/")) == sorted(names)


def test_the_index_counts_from_one(store: RegistryStore) -> None:
    for number in range(1, 4):
        store.append(number, event(number, "größer ∀"))
        assert store.last() == (number, event(number, "größer ∀"))
    assert [store.event(number) for number in range(5)] == [None, *(event(n, "größer ∀") for n in (1, 2, 3)), None]
    assert list(store.lines()) == [event(n, "größer ∀") for n in (1, 2, 3)]


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5])
def test_an_event_goes_after_the_last_or_nowhere(store: RegistryStore, number: int) -> None:
    store.append(1, event(1))
    store.append(2, event(2))
    with pytest.raises(Conflict):
        store.append(number, event(number, "intruder"))
    assert list(store.lines()) == [event(1), event(2)]
    store.append(3, event(3))
    assert store.last() == (3, event(3))


def test_the_first_event_is_number_one(store: RegistryStore) -> None:
    with pytest.raises(Conflict):
        store.append(2, event(2))
    assert store.last() is None


def test_any_event_that_exists_leads_to_the_last(store: RegistryStore) -> None:
    for number in range(1, 14):
        store.append(number, event(number))
        for hint in range(number + 1):
            assert store.last(hint) == (number, event(number)), f"hint {hint} of {number}"


def test_events_may_be_long(store: RegistryStore) -> None:
    lengths = [1, 70_000, 10, 200_000, 65_536, 3]
    for number, length in enumerate(lengths, start=1):
        store.append(number, event(number, "x" * length))
        assert store.last() == (number, event(number, "x" * length))
    assert list(store.lines()) == [event(number, "x" * length) for number, length in enumerate(lengths, start=1)]
    assert store.event(2) == event(2, "x" * 70_000)


def test_the_clock_is_in_utc_and_does_not_go_back(store: RegistryStore) -> None:
    before = datetime.now(UTC)
    readings = [store.now() for _ in range(3)]
    assert readings == sorted(readings)
    for reading in readings:
        assert reading.utcoffset() == timedelta(0)
        # S3 tells whole seconds, cut off.
        assert before - timedelta(seconds=1.1) <= reading <= datetime.now(UTC)


def test_the_location_is_where_it_was_opened(place: Place, store: RegistryStore) -> None:
    assert store.location == place.address
