"""The bitset of outcomes: its form, and what is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.outcome_bits import pack_outcomes, unpack_outcomes


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_outcomes_come_back_first_row_first(outcomes: list[bool]) -> None:
    bits = unpack_outcomes(pack_outcomes(outcomes), len(outcomes))
    assert [bool(bits >> (len(outcomes) - 1 - i) & 1) for i in range(len(outcomes))] == outcomes
    assert bits.bit_count() == sum(outcomes)


def test_outcomes_have_the_published_form() -> None:
    assert pack_outcomes([True]) == base64.b64encode(b"\x80").decode()
    assert pack_outcomes([True, False, False, False, False, False, False, False, True]) == "gIA="
    assert len(pack_outcomes([True] * 1_000_000)) < 167_000


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("gA==", 9),
        ("gIA=", 8),
        ("gQ==", 7),
        ("gA=", 1),
        ("gA", 1),
        ("gB==", 1),
        ("g A=", 1),
        ("_w==", 8),
        ("gA==\n", 1),
    ],
)
def test_outcomes_that_do_not_fit_are_refused(text: str, n: int) -> None:
    with pytest.raises(ValueError, match="outcomes"):
        unpack_outcomes(text, n)
