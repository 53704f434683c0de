"""Many processes at the same key of the same store: one wins each time, and no change is lost."""

from __future__ import annotations

import json

import pytest

from tests.contract.stores import Place, append_each_round, count_up, create_each_round, race


@pytest.mark.parametrize(
    ("writers", "rounds"), [(2, 20), pytest.param(8, 25, marks=pytest.mark.slow)], ids=["2 writers", "8 writers"]
)
@pytest.mark.slow
def test_of_many_who_create_a_key_one_wins(racing_place: Place, writers: int, rounds: int) -> None:
    results = race(racing_place, writers, rounds, create_each_round)
    store = racing_place.open()
    for number, won in enumerate(zip(*results, strict=True)):
        assert sum(won) == 1, f"round {number}"
        found = store.read(f"journal/v0.0.{number}.json")
        assert found is not None
        assert found.data == b"writer %d" % won.index(True)


@pytest.mark.parametrize(
    ("writers", "rounds"), [(2, 20), pytest.param(8, 10, marks=pytest.mark.slow)], ids=["2 writers", "8 writers"]
)
@pytest.mark.slow
def test_no_swap_is_lost(racing_place: Place, writers: int, rounds: int) -> None:
    store = racing_place.open()
    store.create("tags.json", b"0")
    lost = race(racing_place, writers, rounds, count_up)
    found = store.read("tags.json")
    assert found is not None
    assert int(found.data) == writers * rounds
    print(f"{writers * rounds} swaps won, {sum(lost)} lost and tried again")


@pytest.mark.parametrize(
    ("writers", "rounds"), [(2, 10), pytest.param(8, 10, marks=pytest.mark.slow)], ids=["2 writers", "8 writers"]
)
def test_the_index_has_each_event_once(racing_place: Place, writers: int, rounds: int) -> None:
    numbers = race(racing_place, writers, rounds, append_each_round)
    assert sorted(number for own in numbers for number in own) == list(range(1, writers * rounds + 1))
    events = [json.loads(line) for line in racing_place.open().lines()]
    assert [each["number"] for each in events] == list(range(1, writers * rounds + 1))
    assert all(each["number"] in numbers[each["by"]] for each in events)
