"""Scoring: exact, per bucket, in the order of the rows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minieval.contract.rows import Features, Labels, Row
from minieval.runner.scorers import score

from minieval.contract.outcome_bits import unpack_outcomes


def row(index: int, buckets: tuple[str, ...], *right: str) -> Row:
    return Row(Features(str(index), "{}"), Labels(frozenset(right), buckets, None))


def test_expected_and_accepted_count_exactly_as_written() -> None:
    rows = [row(i, ("x",), "went", "wended") for i in range(6)]
    scored = score(rows, ["went", "wended", "Went", " went", "went\n", ""])
    assert (scored.aggregate.n, scored.aggregate.correct) == (6, 2)
    assert scored.aggregate.accuracy == Decimal("0.3333")


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)), min_size=1
    )
)
def test_counts_and_outcomes_agree_with_a_plain_count(cases: list[tuple[bool, list[str]]]) -> None:
    rows = [row(i, tuple(buckets), "yes") for i, (_, buckets) in enumerate(cases)]
    scored = score(rows, ["yes" if right else "no" for right, _ in cases])
    assert list(scored.buckets) == sorted({bucket for _, buckets in cases for bucket in buckets})
    for name, measured in [("", scored.aggregate), *scored.buckets.items()]:
        expected = [right for right, buckets in cases if not name or name in buckets]
        assert (measured.n, measured.correct) == (len(expected), sum(expected))
        assert measured.outcomes is not None
        bits = unpack_outcomes(measured.outcomes, len(expected))
        assert [bool(bits >> (len(expected) - 1 - i) & 1) for i in range(len(expected))] == expected


def test_another_number_of_predictions_is_a_bug() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score([row(0, ("x",), "a")], [])
