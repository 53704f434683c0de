"""How a policy names buckets and metrics: by a name, or by a glob.

- ``*`` matches any run of characters, dots included; ``?`` matches exactly one; every other character matches itself.
- Of the globs that match a name, the most specific one applies as a whole. A literal name is more specific than any
  glob; then the glob with more characters other than wildcards; then the text that sorts first by code point.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(glob: str, name: str) -> bool:
    """Whether a glob matches a name."""
    # `fnmatch` knows character classes in brackets, and a policy does not: a bracket is escaped to match itself.
    return glob == name or fnmatchcase(name, glob.replace("[", "[[]"))


def find_most_specific(globs: Iterable[str], name: str) -> str | None:
    """Return the glob that applies to a name; `None` where none matches."""
    return min((glob for glob in globs if matches(glob, name)), key=_generality, default=None)


def find_idle(globs: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the globs that match none of ``names``, in code-point order: probably misspelt."""
    known = tuple(names)
    return tuple(sorted(glob for glob in globs if not any(matches(glob, name) for name in known)))


def _generality(glob: str) -> tuple[bool, int, str]:
    wildcards = glob.count("*") + glob.count("?")
    return wildcards > 0, wildcards - len(glob), glob
