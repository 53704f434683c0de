"""Change JSON as a tree: bytes alone rarely stay JSON, and then only the reader of JSON is fuzzed.

- The same seed and input give the same output.
- Strings that hold JSON themselves are changed within: evidence holds whole documents as text.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

Json = Any

_VALUES: tuple[Json, ...] = (
    *(None, True, False, "", "TODO", [], {}, [[]], {"": None}),
    *(0, -1, 1, 2, 100, 101, 10_001, 2**31, 2**53 + 1, 2**63, 10**39, 10**41, 0.0, -0.0, 0.5, 1.5, 1e-39, 1e39, 1e-45),
    *("*", "**", "?", "[", "\x00", "\x1b[2J", "\u202e", "\ud800", "\U0001f600", "a" * 200, "a" * 201, "é", "/", ".."),
    *("0", "1/3", "0.5", "1e9", "NaN", "-1", "v0.0.1", "v999999999.0.0", "0" * 32, "f" * 64, "::error::", "##[group]"),
    *("2026-01-31T12:00:00+00:00", "2026-01-31", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
)
_MOST_NODES = 400


def mutate_json(data: bytes, seed: int, words: Sequence[str]) -> bytes | None:
    """Return ``data`` with some changes of its tree, in which ``words`` are likely strings; `None` for no JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return None
    dice = random.Random(seed)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        tree = _change(tree, dice, words)
    return json.dumps(tree, ensure_ascii=dice.random() < 0.9).encode("utf-8", errors="replace")


def _change(tree: Json, dice: random.Random, words: Sequence[str]) -> Json:
    places = _places(tree)
    if not places:
        return _other(tree, dice, words)
    holder, key = dice.choice(places)
    match dice.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[dice.choice(words) if words else "x"] = copy.deepcopy(holder[key])
        case 1:
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2:
            other_holder, other_key = dice.choice(places)
            holder[key] = copy.deepcopy(other_holder[other_key])
        case 3 if isinstance(holder, dict):
            holder[dice.choice(words) if words else "x"] = holder.pop(key)
        case _:
            holder[key] = _other(holder[key], dice, words)
    return tree


def _places(tree: Json) -> list[tuple[Json, Json]]:
    """Every entry, as what holds it and its key or index."""
    found: list[tuple[Json, Json]] = []
    pending = [tree]
    while pending and len(found) < _MOST_NODES:
        node = pending.pop(0)
        if isinstance(node, dict | list):
            for key in node if isinstance(node, dict) else range(len(node)):
                found.append((node, key))
                pending.append(node[key])
    return found


def _other(value: Json, dice: random.Random, words: Sequence[str]) -> Json:
    if isinstance(value, str) and value[:1] in ("{", "[") and dice.random() < 0.8:
        inner = mutate_json(value.encode(errors="replace"), dice.randrange(2**31), words)
        if inner is not None:
            return inner.decode()
    if isinstance(value, int | float) and not isinstance(value, bool) and dice.random() < 0.5:
        return dice.choice((value + 1, value - 1, -value, value * 10, value / 2, round(value, 2)))
    if isinstance(value, str) and dice.random() < 0.4:
        at = dice.randrange(len(value) + 1)
        return value[:at] + dice.choice(("\n", "\x7f", "\u2028", "é", "0", "*", ".", "|", "`")) + value[at:]
    return dice.choice(words) if words and dice.random() < 0.3 else copy.deepcopy(dice.choice(_VALUES))
