"""YAML as plain values: the same values as MLflow's loader gives, written and read again; and what is refused, fast."""

from __future__ import annotations

import datetime
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from minieval.contract.plain_yaml import MAX_DEPTH, MAX_VALUES, NotPlainYaml, dump_yaml, parse_yaml

SECONDS = 8  # of CPU, for what took minutes or never ended; less than 1 for most on a machine at rest


def equal(one: Any, other: Any) -> bool:
    """Equal values of equal types, in the same order; NaN equals NaN, and -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return bool(both_nan or (one == other and math.copysign(1, one) == math.copysign(1, other)))
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(equal(a, c) and equal(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, datetime.datetime):
        return bool(one == other and one.utcoffset() == other.utcoffset())
    return bool(one == other)


ZONES = st.none() | st.integers(-23 * 60, 23 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**53 - 2, 2**53 + 2)
    | st.integers(-(10**300), 10**300)
    | st.floats()
    | st.sampled_from([1e-07, 1e16, 2.0, 1e300, -0.0, 5e-324])
    | st.text(st.characters())
    | st.sampled_from(["2", "2.0", "true", "null", "~", "", "2025-01-01", "1:30", "<<", "=", "\x85", "\ud800", "- a"])
    | st.dates()
    | st.datetimes(timezones=ZONES)
)
KEYS = SCALARS.filter(lambda key: not (isinstance(key, float) and math.isnan(key)))  # equal to no key, itself included
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(VALUES)
@pytest.mark.slow
def test_what_is_written_is_read_again_by_us_and_by_mlflows_loader(value: Any) -> None:
    data = dump_yaml(value)
    assert data.isascii()
    assert equal(parse_yaml(data), value)
    assert equal(yaml.safe_load(data.decode()), value)
    assert dump_yaml(parse_yaml(data)) == data


@given(VALUES)
@pytest.mark.slow
def test_what_mlflow_writes_is_read_as_mlflow_reads_it(value: Any) -> None:
    try:
        text = yaml.safe_dump(value, default_flow_style=False)
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeEncodeError, ValueError, TypeError):
        return  # it cannot be logged, or not be read again
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert equal(parse_yaml(data), expected)


@given(st.text("0123456789_.:+-eExXbinfaNTZtru~ ", max_size=12))
def test_a_plain_scalar_is_what_mlflows_loader_reads_or_is_refused(text: str) -> None:
    data = f"a: {text}\n".encode()
    try:
        found = parse_yaml(data)
    except NotPlainYaml:
        return
    assert equal(found, yaml.safe_load(data.decode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [("2", "2.0"), ("2", "'2'"), ("true", "'true'"), ("2025-01-01", "'2025-01-01'"), ("~", "''"), ("0.0", "-0.0")],
)
def test_values_of_different_types_have_different_bytes(one: str, other: str) -> None:
    first, second = (dump_yaml(parse_yaml(f"scale: {text}\n".encode())) for text in (one, other))
    assert first != second


@pytest.mark.parametrize(
    ("one", "other"),
    [("{a: 1}", "a:   1 # words"), ("0x10", "16"), ("1.0e-07", "0.0000001"), ("'é'", '"\\xe9"'), ("a", "'a'")],
)
def test_spelling_does_not_matter(one: str, other: str) -> None:
    assert dump_yaml(parse_yaml(one.encode())) == dump_yaml(parse_yaml(other.encode()))


def test_a_key_of_any_length_is_read_again() -> None:
    value = {"k" * n: {"below": [1]} for n in (1, 990, 1000, 1024, 1030, 5000)} | {"plain" * 500: 2}
    assert yaml.safe_load(dump_yaml(value)) == parse_yaml(dump_yaml(value)) == value


def test_aliases_within_the_bounds_are_written_out() -> None:
    data = b"a: &x {k: [1, 2]}\nb: *x\nc: &t text\nd: *t\n"
    assert parse_yaml(data) == yaml.safe_load(data)
    assert b"&" not in dump_yaml(parse_yaml(data))


NUMBERS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
BOMB = NUMBERS + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
REFUSED = {
    "base 60, 600 KB": "a: " + "1:" * 300_000 + "1\n",
    "base 60, short": "a: 1:30\n",
    "base 60, a fraction": "a: 1:30.5\n",
    "a number of 5,000 digits": "a: " + "1" * 5_000,
    "a hexadecimal one": "a: 0x" + "f" * 500_000,
    "merges of merges": MERGES,
    "a merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "a merge as a value": "a: <<\n",
    "the value key": "=: 1\n",
    "aliases of aliases": BOMB,
    "long text, often": "a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 1_000 + "]\n",
    "an alias within its anchor": "a: &x [*x]\n",
    "an alias of nothing": "a: *x\n",
    "an anchor twice": "a: &x 1\nb: &x 2\n",
    "depth in flow": "a: " + "[" * 1_000 + "]" * 1_000,
    "depth in blocks": "".join(f"{' ' * n}a:\n" for n in range(MAX_DEPTH + 1)),
    "depth by aliases": "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200)),
    "values": "".join(f"k{n}: 1\n" for n in range(MAX_VALUES)),
    "bytes": "a: " + "x" * 2_000_000,
    "a tag on a bool": "a: !!bool abc\n",
    "on an int": "a: !!int ''\n",
    "on a float": "a: !!float ''\n",
    "on a time": "a: !!timestamp abc\n",
    "on text": "a: !!str 1\n",
    "on a set": "a: !!set {x, y}\n",
    "on bytes": "a: !!binary aGk=\n",
    "on a call": "a: !!python/object/apply:os.system ['true']\n",
    "the tag that is no tag": "a: ! 1\n",
    "a date that is none": "a: 2025-13-45\n",
    "an hour that is none": "a: 2025-01-01 99:00:00\n",
    "an int of no digit": "a: 0x_\n",
    "a key twice": "a: 1\na: 2\n",
    "a key twice, below": "a: {b: 1, b: 2}\n",
    "a key twice, by value": "a: {1: x, 0x1: y}\n",
    "a key that is a list": "? [a]\n: 1\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "open": "a: [\n",
    "a control character": "a: \x00\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.slow
def test_what_is_not_plain_is_refused_in_one_line_and_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(NotPlainYaml) as caught:
        parse_yaml(text.encode())
    assert time.process_time() - started < SECONDS
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(NotPlainYaml, match="not UTF-8 text at byte 3"):
        parse_yaml(b"a: \xff\n")
