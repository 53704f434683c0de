"""The protocol's rules hold in every interleaving; without any one of them, some interleaving breaks."""

from __future__ import annotations

import pytest

from tests.promotion.protocol_model import Protocol, violations


def test_no_interleaving_of_two_owners_breaks_a_rule() -> None:
    states, wrong = violations(Protocol())
    assert wrong == []
    assert states > 500


@pytest.mark.slow
@pytest.mark.heavy
def test_no_interleaving_of_three_owners_breaks_a_rule() -> None:
    states, wrong = violations(Protocol(), owners=3, depth=80)
    assert wrong == []
    assert states > 100_000


@pytest.mark.parametrize("without", [{"guard": False}, {"fence": False}])
def test_without_a_rule_an_interleaving_breaks_it(without: dict[str, bool]) -> None:
    _, wrong = violations(Protocol(**without))
    assert wrong
