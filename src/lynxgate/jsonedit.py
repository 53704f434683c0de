"""Change values inside a JSON text and leave the rest as it is: order, layout, comments, the form of numbers.

- The text must have been parsed strictly before; it is not checked again.
- A new entry gets the layout of the entry before it; a removed entry takes its comma with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from minieval.contract.documents import Json

Path = tuple[str, ...]
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class _Removed:
    """The type of `REMOVED`."""


REMOVED = _Removed()


@dataclass(frozen=True)
class _Member:
    key: str
    start: int  # of the key's opening quote
    value: int
    end: int


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


def edit(text: str, changes: Mapping[Path, Json]) -> str:
    """Return ``text`` with the value at each path replaced, added, or (for `REMOVED`) removed.

    A path is the keys of nested objects; all but its last key must exist. No path may lead into a value that another
    path replaces or removes.

    Raises:
        KeyError: a key on the way does not exist.
    """
    # In order of position, so that the text between two edits can be copied unchanged.
    edits = sorted(_edits(text, _skip(text, 0), dict(changes)), key=lambda each: (each.start, each.end))
    pieces, position = [], 0
    for each in edits:
        pieces += [text[position : each.start], each.text]
        position = each.end
    return "".join([*pieces, text[position:]])


def format_value(value: Json, indent: str | None = None) -> str:
    """Return a value as JSON text, decimals exactly; on several lines below ``indent``, or on one line without it."""
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            inner = None if indent is None else indent + "  "
            entries = [
                f"{json.dumps(key, ensure_ascii=False)}: {format_value(each, inner)}" for key, each in value.items()
            ]
            if indent is None or not entries:
                return "{" + ", ".join(entries) + "}"
            lines = ",".join(f"\n{inner}{entry}" for entry in entries)
            return f"{{{lines}\n{indent}}}"
        case list() | tuple():
            return f"[{', '.join(format_value(each) for each in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _edits(text: str, start: int, changes: dict[Path, Json]) -> Iterator[_Edit]:
    members = list(_members(text, start))
    here = {path[0]: value for path, value in changes.items() if len(path) == 1}
    below: dict[str, dict[Path, Json]] = {}
    for path, value in changes.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = value
    for member in members:
        if member.key in below:
            yield from _edits(text, member.value, below.pop(member.key))
        elif member.key in here and here[member.key] is not REMOVED:
            yield _Edit(member.value, member.end, format_value(here[member.key], _indent(text, member)))
    if below:
        raise KeyError(f"no object {next(iter(below))!r} on the path")
    kept = [member for member in members if here.get(member.key) is not REMOVED]
    yield from _removals(members, kept, start)
    known = {member.key for member in members}
    added = {key: value for key, value in here.items() if key not in known and value is not REMOVED}
    if added:
        yield _addition(text, kept[-1] if kept else None, start, added)


def _removals(members: list[_Member], kept: list[_Member], start: int) -> Iterator[_Edit]:
    if not kept:
        if members:
            yield _Edit(start + 1, members[-1].end, "")
        return
    if members[0] is not kept[0]:
        yield _Edit(members[0].start, kept[0].start, "")
    following = {id(member) for member in kept}
    for before, member in pairwise(members):
        if id(member) not in following and member.start > kept[0].start:
            yield _Edit(before.end, member.end, "")


def _addition(text: str, last: _Member | None, start: int, added: Mapping[str, Json]) -> _Edit:
    if last is None:
        inside = format_value(added)[1:-1]
        return _Edit(start + 1, start + 1, inside)
    before = _gap(text, last)
    inline = "\n" not in before
    indent = None if inline or "\n" not in text[last.value : last.end] else before.rpartition("\n")[2]
    pieces = [
        f",{before or ' '}{json.dumps(key, ensure_ascii=False)}: {format_value(v, indent)}" for key, v in added.items()
    ]
    return _Edit(last.end, last.end, "".join(pieces))


def _gap(text: str, member: _Member) -> str:
    """Return the white space before a key."""
    end = member.start
    start = end
    while text[start - 1] in " \t\n\r":
        start -= 1
    return text[start:end]


def _indent(text: str, member: _Member) -> str | None:
    """Return the indentation of a member whose value is on several lines, else `None`."""
    gap = _gap(text, member)
    return gap.rpartition("\n")[2] if "\n" in gap and "\n" in text[member.value : member.end] else None


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield the members of the object whose brace is at ``start``."""
    position = _skip(text, start + 1)
    while text[position] == '"':
        key, end = _DECODER.raw_decode(text, position)
        value = _skip(text, _skip(text, end) + 1)
        _, stop = _DECODER.raw_decode(text, value)
        yield _Member(key, position, value, stop)
        position = _skip(text, stop)
        if text[position] != ",":
            return
        position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
