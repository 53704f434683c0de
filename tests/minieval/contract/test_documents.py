"""Strict JSON in, whole files out."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract import documents as files
from minieval.contract.documents import canonical_json, parse_json, pretty_json, read_bytes
from minieval.contract.exits import CannotJudge

REFUSED = {
    "empty": b"",
    "blank": b" \n",
    "truncated": b'{"a": [1',
    "nan": b"[NaN]",
    "infinity": b"[-Infinity]",
    "overflow": b"[1e999]",
    "an exponent beyond every Decimal": b"[1e-4500000000000000000000]",
    "a zero that a fraction would never end to compute": b"[0e999999999999999999]",
    "underflow": b"[1e-999]",
    "long integer": b"[" + b"9" * 5000 + b"]",
    "long fraction": b"[0." + b"9" * 50 + b"]",
    "duplicate key": b'{"a": 1, "a": 2}',
    "nested duplicate key": b'{"a": [{"b": 1, "b": 1}]}',
    "lone surrogate": b'["\\ud800"]',
    "surrogate as key": b'{"\\uDFFF": 1}',
    "not utf-8": b'["\xff"]',
    "binary": bytes(range(256)),
    "byte order mark": b"\xef\xbb\xbf{}",
    "101 deep": b"[" * 101 + b"]" * 101,
    "100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000,
    "two documents": b"{}{}",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a': 1}",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_input_that_is_not_strict_json_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(CannotJudge, match=r"^here: ") as caught:
        parse_json(data, where="here")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_fractions_come_back_as_written() -> None:
    assert parse_json(b"[0.1, 1, -0.0, 1e2]", where="here") == [Decimal("0.1"), 1, Decimal("-0.0"), Decimal("1e2")]
    assert parse_json(b'["\\ud83d\\ude00"]', where="here") == ["\U0001f600"]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("aé\u20ac\U0001f600"), inner, max_size=4),
    max_leaves=20,
)


@given(values)
@pytest.mark.slow
def test_both_written_forms_read_back(value: object) -> None:
    assert parse_json(canonical_json(value), where="x") == value
    assert parse_json(pretty_json(value), where="x") == value


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused_without_another_error(data: bytes) -> None:
    try:
        parse_json(data, where="x")
    except CannotJudge as refused:
        assert str(refused).startswith("x: ")


def test_a_document_past_the_limit_is_refused_unread(tmp_path: Path) -> None:
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(CannotJudge, match="larger than"):
        read_bytes(big)
    with pytest.raises(CannotJudge, match="at most"):
        parse_json(bytes(files.MAX_DOCUMENT_BYTES + 1), where="x")


def test_reading_names_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match="no such file; make it"):
        read_bytes(tmp_path / "none", missing="make it")
    with pytest.raises(CannotJudge, match="cannot be read"):
        read_bytes(tmp_path)


def test_values_that_json_does_not_have_have_no_canonical_form() -> None:
    for value in (float("nan"), 2**60, {1: 2}):
        with pytest.raises(ValueError, match=r"."):
            canonical_json(value)


def test_pretty_json_keeps_order_and_ends_in_a_newline() -> None:
    data = pretty_json({"b": Decimal("0.9300"), "a": Decimal("3"), "c": "é"})
    assert data.decode() == '{\n  "b": 0.93,\n  "a": 3,\n  "c": "é"\n}\n'
    assert json.loads(data) == {"b": 0.93, "a": 3, "c": "é"}
    with pytest.raises(TypeError):
        pretty_json({"x": os})
