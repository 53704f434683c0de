"""YAML as plain values: reading it within bounds, with the values that MLflow's loader gives, and writing it again.

- The values are those of ``yaml.SafeLoader``, with which MLflow reads ``MLmodel``: text, integers, fractions, true and
  false, null, dates, times, lists and mappings. The order of a mapping is kept.
- Refused: tags, merge keys (``<<``), numbers in base 60 (``1:30``), a key twice in one mapping, and keys that are
  lists or mappings. So is whatever exceeds a bound in bytes, depth, values or text, aliases written out.
- `dump_yaml` writes ASCII that depends on the values only, never on the version of PyYAML. Reading it again gives equal
  values of equal types; two texts with different values or types give different bytes.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 20_000  # keys count too
MAX_TEXT: Final = 2 * MAX_BYTES  # characters of all scalars together
MAX_NUMBER: Final = 1_000  # characters of one number or time
MAX_SIMPLE_KEY: Final = 1_000  # a longer key has to be written with "?": readers look no further than 1,024 characters

Yaml = Any  # mypy has no narrower recursive type that is of use here

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_CONSTRUCT = {
    "null": lambda _: None,
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
    "timestamp": _CONSTRUCTOR.construct_yaml_timestamp,
}
_ESCAPED = re.compile(r"[^ !#-\[\]-~]")  # all but printable ASCII, the quote and the backslash


class NotPlainYaml(ValueError):
    """The text is not YAML, or not plain; the message is the reason, in one line."""


def parse_yaml(data: bytes) -> Yaml:
    """Return the one document in ``data``; `None` for an empty text.

    Raises:
        NotPlainYaml: it is not UTF-8, not YAML, or not plain within the bounds.
    """
    if len(data) > MAX_BYTES:
        raise NotPlainYaml(f"larger than {MAX_BYTES} bytes")
    builder = _Builder()
    try:
        # The events of the pure parser, as MLflow's: libyaml differs in corners, and it is not everywhere.
        for event in yaml.parse(data.decode("utf-8"), Loader=yaml.SafeLoader):
            builder.take(event)
    except UnicodeDecodeError as error:
        raise NotPlainYaml(f"not UTF-8 text at byte {error.start}") from error
    except yaml.YAMLError as error:
        raise NotPlainYaml(" ".join(str(error).split())[:200]) from error
    return builder.root.value


def dump_yaml(value: Yaml) -> bytes:
    """Return ``value``, which `parse_yaml` gave or could give, as bytes in block style."""
    lines = _write(value, "")
    return "".join(f"{line}\n" for line in lines).encode("ascii")


@dataclass(frozen=True)
class _Node:
    """A value with its size, aliases written out; a scalar has height 0."""

    value: Yaml
    values: int = 1
    text: int = 0
    height: int = 0


@dataclass
class _Open:
    """A list or mapping whose end has not come."""

    value: list[Yaml] | dict[Yaml, Yaml]
    anchor: str | None
    key: _Node | None = None
    values: int = 1
    text: int = 0
    height: int = 1

    def add(self, node: _Node) -> None:
        self.values += node.values
        self.text += node.text
        self.height = max(self.height, node.height + 1)
        if self.values > MAX_VALUES:
            raise NotPlainYaml(f"more than {MAX_VALUES} values")
        if self.text > MAX_TEXT:
            raise NotPlainYaml(f"more than {MAX_TEXT} characters")
        if isinstance(self.value, list):
            self.value.append(node.value)
        elif self.key is None:
            self._check_key(self.value, node)
            self.key = node
        else:
            self.value[self.key.value] = node.value
            self.key = None

    @staticmethod
    def _check_key(mapping: dict[Yaml, Yaml], key: _Node) -> None:
        if key.height:
            raise NotPlainYaml("a key is a list or a mapping")
        if key.value in mapping:
            raise NotPlainYaml(f"the key {str(key.value)[:80]!r} is twice in one mapping")


@dataclass
class _Builder:
    """Builds the value of one document from its events, without recursion."""

    root: _Node = field(default=_Node(None))
    documents: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Node] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        if (tag := getattr(event, "tag", None)) is not None:
            raise NotPlainYaml(f"a value has the tag {str(tag)[:80]!r}; tags are not read")
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise NotPlainYaml("more than one document")
            case yaml.ScalarEvent():
                plain = event.implicit[0]
                value = _resolve(event.value) if plain else event.value
                self._close(_Node(value, text=len(event.value)), event.anchor)
            case yaml.SequenceStartEvent():
                self._open([], event.anchor)
            case yaml.MappingStartEvent():
                self._open({}, event.anchor)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                ended = self.open.pop()
                self._close(_Node(ended.value, ended.values, ended.text, ended.height), ended.anchor)
            case yaml.AliasEvent():
                # An anchor counts from its end on: an alias within it would make an endless value.
                name = str(event.anchor)
                if name not in self.anchors:
                    raise NotPlainYaml(f"the alias {name[:80]!r} names nothing that ended before it")
                self._close(self.anchors[name], None)

    def _open(self, value: list[Yaml] | dict[Yaml, Yaml], anchor: str | None) -> None:
        self.open.append(_Open(value, anchor))
        self._check_depth(0)

    def _close(self, node: _Node, anchor: str | None) -> None:
        self._check_depth(node.height)
        if anchor is not None:
            if anchor in self.anchors:
                raise NotPlainYaml(f"the anchor {anchor[:80]!r} is there twice")
            self.anchors[anchor] = node
        if self.open:
            self.open[-1].add(node)
        else:
            self.root = node

    def _check_depth(self, below: int) -> None:
        if len(self.open) + below > MAX_DEPTH:
            raise NotPlainYaml(f"nested more than {MAX_DEPTH} levels deep")


def _resolve(text: str) -> Yaml:
    """Return the value of a plain scalar, as ``yaml.SafeLoader`` does."""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    tag = next((tag.removeprefix(_TAG) for tag, pattern in resolvers if pattern.match(text)), "str")
    if tag == "str":
        return text
    if tag not in _CONSTRUCT:
        raise NotPlainYaml(f"{text[:80]!r} has a special meaning in YAML (tag {tag}); write it in quotes")
    if len(text) > MAX_NUMBER:
        raise NotPlainYaml(f"a number of {len(text)} characters; at most {MAX_NUMBER} are read")
    if tag in {"int", "float"} and ":" in text:
        raise NotPlainYaml(f"{text[:80]!r} is a number in base 60; write it in quotes")
    try:
        return _CONSTRUCT[tag](yaml.ScalarNode(_TAG + tag, text))
    except (ValueError, OverflowError) as error:
        raise NotPlainYaml(f"{text[:80]!r} looks like a number or a time and is none") from error


def _write(value: Yaml, indent: str) -> Iterator[str]:
    """Yield the lines of a value that stands on lines of its own."""
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            text = _scalar(key)
            if len(text) > MAX_SIMPLE_KEY:
                yield f"{indent}? {text}"
                text = ""
            yield from _write_after(f"{indent}{text}:", entry, indent)
    elif isinstance(value, list) and value:
        for entry in value:
            yield from _write_after(f"{indent}-", entry, indent)
    else:
        yield f"{indent}{_scalar(value)}"


def _write_after(start: str, value: Yaml, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield start
        yield from _write(value, f"{indent}  ")
    else:
        yield f"{start} {_scalar(value)}"


def _scalar(value: Yaml) -> str:  # noqa: PLR0911 - one return for each type
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _fraction(value)
        case datetime.datetime():
            return value.isoformat(" ")
        case datetime.date():
            return value.isoformat()
        case str():
            return f'"{_ESCAPED.sub(_escape, value)}"'
        case dict():
            return "{}"
        case list():
            return "[]"
    raise TypeError(f"{type(value).__name__} is not a plain value")


def _fraction(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    # Python's shortest form; YAML 1.1 takes it for text where it has an exponent and no point.
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code in (0x22, 0x5C):
        return f"\\{found[0]}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
